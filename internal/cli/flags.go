package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"guestcore/internal/arch"
	"guestcore/internal/argv"
	"guestcore/internal/corefile"
	"guestcore/internal/progress"
	"guestcore/internal/rsp/client"
	"guestcore/internal/rsp/endpoint"
	"guestcore/internal/session"
)

// flags are a command's flags, and its other arguments once parsed.
type flags struct {
	*flag.FlagSet
	cmd  *command
	src  *source  // nil: the command has none
	args []string // what is no flag; a source that a flag names is the first
}

func newFlags(c *command) *flags { return &flags{FlagSet: argv.New(c.name), cmd: c} }

// parse parses arguments of which least to most are no flags. done means that
// the user asked for help and has it.
func (f *flags) parse(e *env, args []string, least, most int) (done bool, err error) {
	f.args, err = argv.Parse(f.FlagSet, args, fmt.Sprintf("\"guestcore help %s\" lists the flags", f.cmd.name))
	if errors.Is(err, flag.ErrHelp) {
		return true, e.print(f.help)
	}
	if err != nil {
		return false, usagef("%v", err)
	}
	if f.src != nil {
		if err := f.src.check(f); err != nil {
			return false, err
		}
		f.args = append(f.src.named(), f.args...)
	}
	switch n := len(f.args); {
	case n > most && f.src != nil && len(f.src.named()) > 0:
		return false, usagef("too many arguments, %q: with --pid or --upstream there is no CORE", f.args[most])
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

func (f *flags) help(w io.Writer) {
	fmt.Fprintf(w, "guestcore %s: %s\n", f.cmd.synopsis(), f.cmd.summary)
	var list strings.Builder
	if argv.List(&list, f.FlagSet); list.Len() > 0 {
		fmt.Fprintf(w, "\n%s", &list)
	}
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

// archName is a flag for the guest's architecture.
type archName string

func (a *archName) String() string { return string(*a) }

func (a *archName) Set(s string) error {
	*a = archName(s)
	return arch.CheckGuestName(s)
}

// arch is the flag for commands that read a dump.
func (f *flags) arch() *archName {
	var a archName
	f.Var(&a, "arch", "the guest's architecture, if a dump does not tell: `NAME`, as X86_64")
	return &a
}

// source are the flags that say where the guest is, for all commands that
// open one.
type source struct {
	exe, sysroot string
	debugDirs    list
	ram          pairs
	layout       string
	spoolDir     string
	coredumpDir  string
	pid          int
	noStop       bool
	upstream     string
	partial      bool
	verbose      bool
	show         progress.Renderer // of a decompression; nil: as stderr is
}

func (f *flags) source() *source {
	s := &source{ram: pairs{}}
	f.src = s
	f.IntVar(&s.pid, "pid", 0, "the QEMU with that process id instead of CORE, `PID`; it is stopped meanwhile")
	f.StringVar(&s.upstream, "upstream", "", "the QEMU that a gdbserver at `ADDRESS` has, or QEMU's own -s, instead of CORE: HOST:PORT, unix:PATH or a terminal")
	f.BoolVar(&s.noStop, "no-stop", false, "with --pid: leave QEMU running, if its guest is stopped")
	f.StringVar(&s.exe, "exe", "", "QEMU's executable, if not the `FILE` the core names")
	f.Var(&s.debugDirs, "debug-dir", "a `DIR` that separate debug files are looked for under; may be repeated (default /usr/lib/debug)")
	f.StringVar(&s.sysroot, "sysroot", "", "a `DIR` to put before the paths that the core names")
	f.Var(s.ram, "ram", "the file with a RAM block's contents, as `BLOCK=FILE`; may be repeated")
	f.StringVar(&s.layout, "layout", "", "a `FILE` with the layout of QEMU's structures, as \"guestcore layout\" prints it")
	f.StringVar(&s.spoolDir, "spool-dir", "", "a `DIR` with space for the core if it is compressed (default $TMPDIR or /var/tmp)")
	f.StringVar(&s.coredumpDir, "coredump-dir", "", "the `DIR` of systemd-coredump's cores (default /var/lib/systemd/coredump)")
	f.BoolVar(&s.verbose, "verbose", false, "say on stderr what is decided, and why")
	return s
}

// named is the source that a flag names, as the argument that it takes the
// place of.
func (s *source) named() []string {
	switch {
	case s.pid > 0:
		return []string{session.PID(s.pid)}
	case s.upstream != "":
		return []string{s.upstream}
	}
	return nil
}

// check refuses flags that make no sense together.
func (s *source) check(f *flags) error {
	given := map[string]bool{}
	f.Visit(func(x *flag.Flag) { given[x.Name] = true })
	switch {
	case given["pid"] && s.pid <= 0:
		return usagef("--pid %d is no process id: \"pidof qemu-system-x86_64\" prints those of that program", s.pid)
	case given["pid"] && given["upstream"]:
		return usagef("--pid and --upstream exclude each other: both say where QEMU is")
	case given["upstream"]:
		if err := endpoint.CheckServer(s.upstream); err != nil {
			return usagef("--upstream: %v", err)
		}
	}
	if s.noStop && !given["pid"] && !slices.ContainsFunc(f.args, session.IsPID) {
		return usagef("--no-stop is for a QEMU that runs: give it with --pid")
	}
	return nil
}

// partial is the flag for commands that write no dump: those have it of the
// dump.
func (f *flags) partial(s *source) {
	f.BoolVar(&s.partial, "partial", false, "take what there is of a compressed core that is cut short")
}

// options are those of a session with these flags.
func (s *source) options(e *env, core string) session.Options {
	show := s.show
	if show == nil {
		show = progress.ForFile(e.stderr)
	}
	return session.Options{
		Core:        core,
		NoStop:      s.noStop,
		Exe:         s.exe,
		DebugDirs:   s.debugDirs,
		Sysroot:     s.sysroot,
		RAM:         s.ram,
		Layout:      s.layout,
		Spool:       corefile.Options{Dir: s.spoolDir, Partial: s.partial, Show: show},
		CoredumpDir: s.coredumpDir,
		Log:         logger(e, s.verbose),
	}
}

// connect connects to the server that the flags name, until the program ends.
func (s *source) connect(e *env) (*client.Client, error) {
	conn, err := endpoint.Dial(e.ctx, s.upstream)
	if err != nil {
		return nil, fmt.Errorf("--upstream: %w", err)
	}
	c := client.New(conn)
	if err := c.Hello(e.ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("--upstream %s: %w", s.upstream, err), c.Close())
	}
	return c, nil
}

// open opens the core with those flags.
func (s *source) open(e *env, core string) (*session.Session, error) {
	o := s.options(e, core)
	if s.upstream != "" {
		server, err := s.connect(e)
		if err != nil {
			return nil, err
		}
		o.Server = server
	}
	opened, err := session.Open(e.ctx, o)
	if err != nil {
		return nil, err
	}
	for _, n := range opened.Notes {
		fmt.Fprintf(e.stderr, "guestcore: %s\n", n)
	}
	if s.noStop {
		fmt.Fprintln(e.stderr, "guestcore: QEMU is not stopped: if its guest runs, what is read of it is of no one moment")
	}
	return opened, nil
}

// letGo lets a process or a guest run again and says how long it was stopped,
// or who can.
func letGo(e *env, s *session.Session) {
	switch paused, err := s.Resume(); {
	case err != nil:
		fmt.Fprintf(e.stderr, "guestcore: warning: %v\n", err)
	case paused > 0:
		fmt.Fprintf(e.stderr, "guestcore: the %s runs on, it was stopped for %.2f s\n", s.What(), paused.Seconds())
	case s.StaysStopped():
		fmt.Fprintln(e.stderr, "guestcore: the gdbserver keeps the process stopped: gdb's detach, or the end of the gdbserver, lets it run on")
	}
}
