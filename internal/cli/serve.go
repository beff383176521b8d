package cli

import (
	"cmp"
	"debug/elf"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"runtime"

	"guestcore/internal/monitor"
	"guestcore/internal/rsp"
	"guestcore/internal/rsp/endpoint"
	"guestcore/internal/session"
	"guestcore/internal/version"
)

var serveCommand = &command{
	name:    "serve",
	usage:   "[flags] CORE",
	summary: "serve the QEMU process in CORE to gdb",
	run: func(e *env, c *command, args []string) error {
		f := newFlags(c)
		src := f.source()
		f.partial(src)
		var w way
		f.StringVar(&w.listen, "listen", "127.0.0.1:1234", "`ADDRESS` to listen on: HOST:PORT, :PORT for loopback, or unix:PATH")
		f.BoolVar(&w.allowRemote, "allow-remote", false, "let --listen take an address that other machines reach")
		f.BoolVar(&w.stdio, "stdio", false, "serve standard input and output: target remote | guestcore serve --stdio CORE")
		f.BoolVar(&w.pty, "pty", false, "serve a pseudo-terminal of its own, and print its name")
		once := f.Bool("once", false, "end when the first gdb has left")
		asJSON := f.Bool("json", false, "print where it listens as JSON")
		var disabled list
		f.Var(&disabled, "disable-packet", "") // hidden: to test gdbs with
		packets := f.Bool("trace", false, "write every packet to stderr")
		e.told = func() {
			if w.stdio {
				endpoint.Refuse(e.stdin, e.stdout)
			}
		}
		if done, err := f.parse(e, args, 1, 1); done || err != nil {
			return err
		}
		f.Visit(func(x *flag.Flag) { w.socket = w.socket || x.Name == "listen" })
		if err := w.check(); err != nil {
			return err
		}
		options := rsp.Options{
			Log:   logger(e, src.verbose),
			Trace: logger(e, *packets),
			Once:  *once,

			DisablePackets: disabled,
		}
		if src.upstream != "" {
			return serveProxy(e, src, &w, options, *asJSON)
		}
		s, err := src.open(e, f.arg(0))
		if err != nil {
			return err
		}
		defer s.Close()
		defer letGo(e, s)
		if err := s.CheckQEMU(); err != nil {
			return err
		}
		ln, err := w.open(e)
		if err != nil {
			return err
		}
		defer ln.Close()
		m := &monitor.Monitor{Session: s, Creator: version.String(), Log: logger(e, src.verbose)}
		if w.stdio {
			m.Leaving = "stay in gdb until it is: gdb ends what it started within seconds of leaving it"
		}
		t, err := s.Target(m.Run)
		if err != nil {
			return err
		}
		if err := w.announce(e, s, ln, *asJSON); err != nil {
			return err
		}
		e.told = nil
		err = rsp.ServeAll(e.ctx, ln, t, options)
		return cmp.Or(m.Finish(e.ctx, e.stderr), err) // before the session is closed
	},
}

// way is how gdb reaches the server.
type way struct {
	listen      string
	allowRemote bool
	stdio, pty  bool
	socket      bool // listen is given, not the default
}

// check refuses more than one way.
func (w *way) check() error {
	switch {
	case w.stdio && w.pty:
		return usagef("--stdio and --pty exclude each other")
	case w.socket && w.stdio:
		return usagef("--stdio and --listen exclude each other")
	case w.socket && w.pty:
		return usagef("--pty and --listen exclude each other")
	}
	return nil
}

// listener is a way opened: what to give to gdb's "target remote", "" if gdb
// has started us.
type listener interface {
	rsp.Listener
	Target() string
}

// stdio is the listener that has no name.
type stdio struct{ *endpoint.Stdio }

func (stdio) Target() string { return "" }

func (w *way) open(e *env) (listener, error) {
	switch {
	case w.stdio:
		l, err := endpoint.NewStdio(e.stdin, e.stdout)
		return stdio{l}, err
	case w.pty:
		return endpoint.OpenPty()
	}
	return endpoint.Listen(w.listen, w.allowRemote)
}

// announcement is what is served, for --json.
type announcement struct {
	Target     string   `json:"target,omitempty"` // for gdb's "target remote"
	Upstream   string   `json:"upstream,omitempty"`
	Executable string   `json:"executable,omitempty"`
	PID        int      `json:"pid,omitempty"`
	Threads    int      `json:"threads,omitempty"`
	Warnings   []string `json:"warnings,omitempty"`
}

// announce says what is served and what to type in gdb. With --stdio the
// standard output is gdb's, and stderr too is what the user sees in gdb.
func (w *way) announce(e *env, s *session.Session, ln listener, asJSON bool) error {
	out := io.Writer(e.stdout)
	if w.stdio {
		out = e.stderr
	}
	if asJSON {
		return printJSON(out, announcement{
			Target: ln.Target(), Executable: s.ExePath, PID: s.Process.PID(), Threads: len(s.Process.Threads()), Warnings: s.Warnings,
		})
	}
	fmt.Fprintf(out, "guestcore: %s of %s, pid %d, %d threads\n", s.What(), s.ExePath, s.Process.PID(), len(s.Process.Threads()))
	for _, warning := range s.Warnings {
		fmt.Fprintf(out, "guestcore: warning: %s\n", warning)
	}
	if !w.stdio {
		fmt.Fprintf(out, "guestcore: serving; in %s    target remote %s\n", inGDB(s), ln.Target())
	}
	return nil
}

// inGDB is which gdb to use, and what to type before "target remote".
func inGDB(s *session.Session) string {
	host := s.Process.Host()
	if host.Machine == thisMachine[runtime.GOARCH] {
		return "gdb:\n    set sysroot /\n" // the libraries are on this machine: gdb is not to fetch them from us
	}
	if s.Exe == nil && host.Order == binary.BigEndian { // else the executable tells gdb
		return "gdb-multiarch:\n    set endian big\n"
	}
	return "gdb-multiarch:\n"
}

// thisMachine is what executables say that are of the machine this program is
// for.
var thisMachine = map[string]elf.Machine{
	"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64, "s390x": elf.EM_S390, "ppc64": elf.EM_PPC64, "ppc64le": elf.EM_PPC64, "riscv64": elf.EM_RISCV,
}
