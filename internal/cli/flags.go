package cli

import (
	"flag"
	"fmt"
	"io"
	"strings"

	"guestcore/internal/corefile"
	"guestcore/internal/progress"
	"guestcore/internal/session"
)

// flags parses a command's arguments. Flags may stand anywhere among them, up
// to a "--".
type flags struct {
	*flag.FlagSet
	cmd  *command
	args []string // what is no flag
}

func newFlags(c *command) *flags {
	f := &flags{FlagSet: flag.NewFlagSet(c.name, flag.ContinueOnError), cmd: c}
	f.SetOutput(io.Discard) // the errors are our own
	return f
}

// parse parses arguments of which least to most are no flags. done means that
// the user asked for help and has it.
func (f *flags) parse(e *env, args []string, least, most int) (done bool, err error) {
	for len(args) > 0 {
		if args[0] == "-h" || args[0] == "-help" || args[0] == "--help" {
			f.help(e.stdout)
			return true, nil
		}
		if args[0] == "--" {
			f.args = append(f.args, args[1:]...)
			break
		}
		if len(args[0]) < 2 || args[0][0] != '-' {
			f.args, args = append(f.args, args[0]), args[1:]
			continue
		}
		name, _, hasValue := strings.Cut(strings.TrimLeft(args[0], "-"), "=")
		fl := f.Lookup(name)
		if fl == nil {
			return false, usagef("unknown flag %s%s \"guestcore help %s\" lists the flags", args[0], didYouMean(name, f.names(), "--"), f.cmd.name)
		}
		n := 1 // arguments of this flag, itself included
		if b, ok := fl.Value.(interface{ IsBoolFlag() bool }); !hasValue && !(ok && b.IsBoolFlag()) {
			n = min(2, len(args))
		}
		if err := f.FlagSet.Parse(args[:n]); err != nil {
			return false, usagef("%v: \"guestcore help %s\" lists the flags", err, f.cmd.name)
		}
		args = args[n:]
	}
	switch n := len(f.args); {
	case n < least:
		return false, usagef("too few arguments: guestcore %s", f.cmd.synopsis())
	case n > most:
		return false, usagef("too many arguments, %q: guestcore %s", f.args[most], f.cmd.synopsis())
	}
	return false, nil
}

// arg is the argument of that number, "" if there are fewer.
func (f *flags) arg(i int) string {
	if i < len(f.args) {
		return f.args[i]
	}
	return ""
}

func (f *flags) names() []string {
	var names []string
	f.VisitAll(func(fl *flag.Flag) { names = append(names, fl.Name) })
	return names
}

func (f *flags) help(w io.Writer) {
	fmt.Fprintf(w, "guestcore %s: %s\n", f.cmd.synopsis(), f.cmd.summary)
	between := "\n" // the first flag and what is above
	f.VisitAll(func(fl *flag.Flag) {
		fmt.Fprint(w, between)
		between = ""
		value, text := flag.UnquoteUsage(fl)
		left := strings.TrimSpace("--" + fl.Name + " " + value)
		fmt.Fprintf(w, "  %-24s %s\n", left, text)
	})
}

// list is a flag that may be given several times.
type list []string

func (l *list) String() string     { return strings.Join(*l, ",") }
func (l *list) Set(s string) error { *l = append(*l, s); return nil }

// pairs is a flag NAME=VALUE that may be given several times.
type pairs map[string]string

func (p pairs) String() string { return "" }
func (p pairs) Set(s string) error {
	name, value, ok := strings.Cut(s, "=")
	if !ok || name == "" || value == "" {
		return fmt.Errorf("%q is not BLOCK=FILE", s)
	}
	p[name] = value
	return nil
}

// source are the flags that say where the guest is, for all commands that
// open one.
type source struct {
	exe, sysroot string
	debugDirs    list
	ram          pairs
	spoolDir     string
	coredumpDir  string
	partial      bool
	verbose      bool
}

func (f *flags) source() *source {
	s := &source{ram: pairs{}}
	f.StringVar(&s.exe, "exe", "", "QEMU's executable, if not the `FILE` the core names")
	f.Var(&s.debugDirs, "debug-dir", "a `DIR` that separate debug files are looked for under; may be repeated (default /usr/lib/debug)")
	f.StringVar(&s.sysroot, "sysroot", "", "a `DIR` to put before the paths that the core names")
	f.Var(s.ram, "ram", "the file with a RAM block's contents, as `BLOCK=FILE`; may be repeated")
	f.StringVar(&s.spoolDir, "spool-dir", "", "a `DIR` with space for the core if it is compressed (default $TMPDIR or /var/tmp)")
	f.StringVar(&s.coredumpDir, "coredump-dir", "", "the `DIR` of systemd-coredump's cores (default /var/lib/systemd/coredump)")
	f.BoolVar(&s.partial, "partial", false, "take what there is of a compressed core that is cut short, and of guest memory; label the rest")
	f.BoolVar(&s.verbose, "verbose", false, "say on stderr what is decided, and why")
	return s
}

// open opens the core with those flags.
func (s *source) open(e *env, core string) (*session.Session, error) {
	opened, err := session.Open(e.ctx, session.Options{
		Core:        core,
		Exe:         s.exe,
		DebugDirs:   s.debugDirs,
		Sysroot:     s.sysroot,
		RAM:         s.ram,
		Spool:       corefile.Options{Dir: s.spoolDir, Partial: s.partial, Show: progress.ForFile(e.stderr)},
		CoredumpDir: s.coredumpDir,
		Log:         logger(e, s.verbose),
	})
	if err != nil {
		return nil, err
	}
	for _, n := range opened.Notes {
		fmt.Fprintf(e.stderr, "guestcore: %s\n", n)
	}
	return opened, nil
}

// didYouMean is a question about the name most like the wrong one, written
// with a prefix, or a colon if none is like it.
func didYouMean(wrong string, names []string, prefix string) string {
	best, least := "", min(3, len(wrong)) // more than two slips are not a typo
	for _, n := range names {
		if d := distance(wrong, n); d < least {
			best, least = n, d
		}
	}
	if best == "" {
		return ":"
	}
	return fmt.Sprintf(", did you mean %s%s?", prefix, best)
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0]++
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
