package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"guestcore/internal/addr"
	"guestcore/internal/corefile"
	"guestcore/internal/dumpfile"
	"guestcore/internal/guest"
	"guestcore/internal/inferior/core"
	"guestcore/internal/progress"
	"guestcore/internal/verify"
)

var verifyCommand = &command{
	name:    "verify",
	usage:   "[flags] DUMP [CORE]",
	summary: "check a dump, alone or against the core it was made of",
	run: func(e *env, c *command, args []string) error {
		f := newFlags(c)
		src := f.source()
		f.BoolVar(&src.partial, "partial", false, "accept files that hold different parts of memory, and a compressed core that is cut short")
		asJSON := f.Bool("json", false, "print the result as JSON")
		var only spans
		f.Var(&only, "range", "only the guest-physical memory `START-END`; may be repeated")
		if done, err := f.parse(e, args, 1, 2); done || err != nil {
			return err
		}
		show, end := showProgress(e, *asJSON)
		defer end()
		src.show = show
		var subjects []*subject
		for _, path := range f.args {
			s, err := src.subject(e, path)
			if err != nil {
				return err
			}
			defer s.close()
			subjects = append(subjects, s)
		}
		var meter progress.Meter
		stop := progress.Show(&meter, show)
		defer stop()
		v, err := newVerification(e.ctx, subjects, only, src.partial, &meter)
		if err != nil {
			return err
		}
		stop()
		if *asJSON {
			err = printJSON(e.stdout, v)
		} else {
			err = e.print(v.print)
		}
		return errors.Join(err, v.err())
	},
}

// spans is a flag START-END that may be given several times.
type spans []verify.Span

func (s *spans) String() string { return "" }

func (s *spans) Set(text string) error {
	from, to, _ := strings.Cut(text, "-")
	start, err1 := strconv.ParseUint(from, 0, 63)
	end, err2 := strconv.ParseUint(to, 0, 63)
	if err1 != nil || err2 != nil || start >= end {
		return fmt.Errorf("%q is not START-END, for instance 0x100000-0x200000", text)
	}
	*s = append(*s, verify.Span{Start: addr.GPA(start), End: addr.GPA(end)})
	return nil
}

// subject is a file to verify, a dump or a core.
type subject struct {
	*verify.Source
	format   string
	size     int64           // of the file, bytes; 0: unknown
	absent   []guest.Missing // left out of the file
	lost     []guest.Missing // behind its end
	problems []string        // what else is wrong with it
	warnings []string
	close    func() error
}

// subject opens a file as what it is.
func (s *source) subject(e *env, path string) (*subject, error) {
	f, err := dumpfile.OpenNamed(path)
	if errors.Is(err, dumpfile.ErrNotDump) || errors.Is(err, fs.ErrNotExist) { // as coredump:PID is not
		found, err := s.coreSubject(e, path)
		return found, neither(path, err)
	}
	if err != nil {
		return nil, err
	}
	return &subject{
		Source: &verify.Source{Name: path, Memory: f, Ranges: f.Ranges, Block: f.Block, Own: f.Own},
		format: f.Format, size: f.Size, absent: f.Absent, lost: f.Lost, problems: f.Problems, close: f.Close,
	}, nil
}

// neither is the error of a file that is no dump, and could not be opened as a
// core.
func neither(path string, err error) error {
	switch {
	case errors.Is(err, core.ErrGuestDump):
		if how := corefile.Compression(path); how != "" {
			return fmt.Errorf("%s: is a dump, compressed with %s: decompress it first", path, how)
		}
		return fmt.Errorf("%s: is a dump, but none that can be read here: ELF, kdump-compressed version 6, VirtualBox's, Windows' complete ones and LiME's can be, if they are not cut short", path)
	case errors.Is(err, core.ErrNotCore):
		return fmt.Errorf("neither a dump of a guest nor a core: %w", err)
	}
	return err
}

func (s *source) coreSubject(e *env, path string) (*subject, error) {
	opened, err := s.open(e, path)
	if err != nil {
		return nil, err
	}
	m, err := opened.Machine("")
	if err != nil {
		letGo(e, opened)
		opened.Close()
		return nil, err
	}
	if m.Sealed != "" {
		m.Warnings = append(m.Warnings, m.Sealed)
	}
	source, absent := verify.OfMachine(path, m)
	return &subject{
		Source: source, format: fmt.Sprintf("%s of QEMU, %s guest", opened.What(), m.Arch), absent: absent,
		warnings: slices.Concat(opened.Warnings, m.Warnings),
		close: func() error {
			letGo(e, opened)
			return opened.Close()
		},
	}, nil
}
