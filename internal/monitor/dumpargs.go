package monitor

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/dump"
)

// DumpRequest is what a user asks of a dump.
type DumpRequest struct {
	File   string
	Arch   string // "" and "auto": QEMU's own
	Format string // "": the first of formats
	Scan   dump.Scan
	// FloatContext puts x87 and SSE registers into a Windows crash dump.
	FloatContext bool
	// IgnoreNote has the header of a Windows crash dump made from guest memory.
	IgnoreNote bool
	dump.Options
	Output dump.FileOptions // of the file
	To     *os.File         // where the dump goes if not to File
}

// DumpUsage are the arguments of a dump behind its flags.
const DumpUsage = "FILE [ARCH] [BEGIN LENGTH]"

// DumpArgs are the arguments of a dump, which gdb's monitor and the command
// line have in common: guestcore's own and those of dump-guest-memory in
// QEMU's monitor (hmp-commands.hx, QEMU 8.2).
type DumpArgs struct {
	r             DumpRequest
	begin, length quantity
	skipZero      bool
	hmp           struct{ zlib, lzo, snappy, raw, windows bool }
}

// NewDumpArgs defines the flags of a dump on fs.
func NewDumpArgs(fs *flag.FlagSet) *DumpArgs {
	a := &DumpArgs{}
	fs.BoolVar(&a.r.Partial, "partial", false, "take what there is of guest memory, and of a compressed core that is cut short; label the rest")
	fs.BoolVar(&a.r.IncludePMEM, "include-pmem", false, "also write nonvolatile memory that QEMU's own dump leaves out")
	fs.BoolVar(&a.r.ExcludePMEM, "exclude-pmem", false, "leave all nonvolatile memory out, NVDIMMs too, which QEMU's own dump has")
	fs.BoolVar(&a.r.StaleRegisters, "stale-registers", false, "write the vCPUs' registers also where the accelerator (KVM) had newer ones")
	fs.StringVar(&a.r.Format, "format", "", "`NAME` of the dump's format: "+strings.Join(formats.Names(), ", ")+" (default elf)")
	fs.IntVar(&a.r.Level, "level", 0, "how hard the file is compressed, `N` from 1, fast, to 9 (kdump-zlib) or 4 (kdump-zstd)")
	fs.BoolVar(&a.r.Flattened, "flattened", false, "write kdump in the form that needs no seeking, which makedumpfile -R undoes; a pipe always gets it")
	NewScan(fs, &a.r.Scan)
	fs.Var(&a.r.Output.Sparse, "sparse", "which zeros become holes, `WHEN`: auto (where that is cheap), always, never")
	fs.BoolVar(&a.skipZero, "skip-zero", false, "store no pages of zeros, as the kdump formats never do: --sparse always")
	fs.Var(&a.r.Output.Direct, "direct", "whether to write around the page cache, `WHEN`: auto (large dumps), on, off")
	fs.BoolVar(&a.r.Output.Sync, "fsync", false, "end when the disk holds the file and its name")
	fs.BoolVar(&a.r.Output.KeepPartial, "keep-partial", false, "keep what was written when the rest could not be")
	fs.Var(&a.begin, "begin", "the first guest-physical `ADDRESS` to write; with --length")
	fs.Var(&a.length, "length", "the `BYTES` from --begin on to write")
	fs.BoolVar(&a.r.Paging, "paging", false, "give memory the virtual addresses that the vCPUs' page tables have for it, as gdb needs them; elf only")
	fs.BoolVar(&a.r.FloatContext, "float-context", false, "write the vCPUs' x87 and SSE registers too, where QEMU's own dump has zeros; win-dmp only")
	fs.BoolVar(&a.r.IgnoreNote, "ignore-note", false, "make the header from guest memory, whatever the guest's driver left; win-dmp only")
	fs.BoolVar(&a.hmp.zlib, "z", false, "as in QEMU's monitor: --format kdump-zlib")
	fs.BoolVar(&a.hmp.lzo, "l", false, "as in QEMU's monitor: --format kdump-lzo")
	fs.BoolVar(&a.hmp.snappy, "s", false, "as in QEMU's monitor: --format kdump-snappy")
	fs.BoolVar(&a.hmp.raw, "R", false, "as in QEMU's monitor: not the flattened form, which only a pipe gets here anyway")
	fs.BoolVar(&a.r.Paging, "p", false, "as in QEMU's monitor: --paging")
	fs.BoolVar(&a.hmp.windows, "w", false, "as in QEMU's monitor: --format win-dmp")
	return a
}

// NewScan defines the flag of a search for VMCOREINFO on fs.
func NewScan(fs *flag.FlagSet, s *dump.Scan) {
	fs.Var(s, "scan", "whether guest memory is scanned where QEMU has no VMCOREINFO that is right, `WHEN`: auto (unless Windows runs), always, never")
}

// Request is what was asked for, once the flags are set: words are the other
// arguments, as [DumpUsage] names them.
func (a *DumpArgs) Request(words []string) (DumpRequest, error) {
	r := a.r
	if err := a.position(&r, words); err != nil {
		return DumpRequest{}, err
	}
	if a.skipZero {
		if r.Output.Sparse == dump.SparseNever {
			return DumpRequest{}, errors.New("--skip-zero and --sparse never exclude each other: leave one out")
		}
		r.Output.Sparse = dump.SparseAlways
	}
	if r.IncludePMEM && r.ExcludePMEM {
		return DumpRequest{}, errors.New("--include-pmem and --exclude-pmem exclude each other: leave one out")
	}
	var err error
	if r.Window, err = window(a.begin, a.length); err != nil {
		return DumpRequest{}, err
	}
	return r, a.format(&r)
}

// position takes the arguments that are told by their place. Their number
// says which they are: BEGIN never comes without LENGTH.
func (a *DumpArgs) position(r *DumpRequest, words []string) error {
	if len(words) == 0 || words[0] == "" {
		return errors.New("FILE is missing: " + DumpUsage)
	}
	r.File, words = words[0], words[1:]
	switch _, err := arch.GuestByName(r.File); {
	case len(words) > 3:
		return fmt.Errorf("too many arguments, %q: %s", words[3], DumpUsage)
	case err == nil && len(words)%2 == 0:
		return fmt.Errorf("%s is an architecture, and FILE is missing: write ./%s for a file of that name", r.File, r.File)
	case len(words) == 1 && isNumber(words[0]) && !isArch(words[0]),
		len(words) == 2 && isArch(words[0]) && !isNumber(words[0]):
		return fmt.Errorf("BEGIN and LENGTH go together, and there is only %q: %s", words[len(words)-1], DumpUsage)
	case len(words)%2 == 1:
		r.Arch, words = words[0], words[1:]
	}
	if err := arch.CheckGuestName(r.Arch); err != nil {
		return err
	}
	if len(words) == 0 {
		return nil
	}
	if a.begin.given || a.length.given {
		return fmt.Errorf("BEGIN and LENGTH are given twice, as %s %s and as --begin and --length: leave one out", words[0], words[1])
	}
	err := a.begin.Set(words[0])
	if err == nil {
		err = a.length.Set(words[1])
	}
	if err != nil {
		return fmt.Errorf("BEGIN and LENGTH: %w", err)
	}
	return nil
}

// format settles the format, by its name or by one of QEMU's letters, and
// refuses what it has no place for.
func (a *DumpArgs) format(r *DumpRequest) error {
	for _, letter := range []struct {
		given        bool
		name, format string
	}{{a.hmp.zlib, "-z", "kdump-zlib"}, {a.hmp.lzo, "-l", "kdump-lzo"}, {a.hmp.snappy, "-s", "kdump-snappy"}, {a.hmp.windows, "-w", "win-dmp"}} {
		if !letter.given {
			continue
		}
		if f, err := formats.Find(r.Format); err != nil {
			return err
		} else if r.Format != "" && f.Name() != letter.format {
			return fmt.Errorf("%s is the format %s, and %s is asked for too: leave one out", letter.name, letter.format, r.Format)
		}
		r.Format = letter.format
	}
	f, err := formats.Find(r.Format)
	if err != nil {
		return err
	}
	switch {
	case r.IgnoreNote && f.Name() != "win-dmp":
		return fmt.Errorf("--ignore-note is of a Windows crash dump, and the format is %s: add -w or leave it out", f.Name())
	case r.FloatContext && f.Name() != "win-dmp":
		return fmt.Errorf("--float-context is of a Windows crash dump, and the format is %s: add -w or leave it out", f.Name())
	case a.hmp.raw && r.Flattened:
		return errors.New("-R and --flattened exclude each other: leave one out")
	case a.hmp.raw && !strings.HasPrefix(f.Name(), "kdump-"):
		return fmt.Errorf("-R is the raw form of a kdump file, and the format is %s: add -z, -l or -s", f.Name())
	}
	return f.Check(r.Options)
}

// window is the range of guest memory to write.
func window(begin, length quantity) (dump.Window, error) {
	switch {
	case !begin.given && !length.given:
		return dump.Window{}, nil
	case !length.given:
		return dump.Window{}, errors.New("--begin comes with --length: the number of bytes to write from there on")
	case !begin.given:
		return dump.Window{}, errors.New("--length comes with --begin: where the memory to write begins")
	case length.value == 0:
		return dump.Window{}, errors.New("a length of 0 is no memory at all: leave begin and length out to write all of it")
	case begin.value+length.value < begin.value:
		return dump.Window{}, fmt.Errorf("%#x bytes from %#x on pass the last address there is: give the length, not the end", length.value, begin.value)
	}
	return dump.Window{Begin: addr.GPA(begin.value), Length: length.value}, nil
}

// quantity is a flag for an address or a number of bytes: decimal, hexadecimal
// with 0x, either with one of k, M, G and T behind it, for powers of 1024.
// QEMU's monitor takes no such letter, and octal, which is refused here since
// it is not what a 0 in front is meant to say.
type quantity struct {
	value uint64
	given bool
}

func (n *quantity) String() string { return "" }

func (n *quantity) Set(s string) error {
	shift := 0
	digits := s
	if i := strings.IndexByte("kmgt", lower(s)); i >= 0 {
		shift, digits = (i+1)*10, s[:len(s)-1]
	}
	base := 10
	hex := strings.HasPrefix(digits, "0x") || strings.HasPrefix(digits, "0X")
	if hex {
		base, digits = 16, digits[2:]
	}
	if !hex && len(digits) > 1 && digits[0] == '0' {
		return fmt.Errorf("%q begins with 0: write 0x before a hexadecimal number, and no 0 before a decimal one", s)
	}
	v, err := strconv.ParseUint(digits, base, 64)
	if errors.Is(err, strconv.ErrRange) || err == nil && v<<shift>>shift != v {
		return fmt.Errorf("%q is larger than any address", s)
	}
	if err != nil {
		return fmt.Errorf("%q is no number: write it like 1048576, 0x100000 or 1M", s)
	}
	n.value, n.given = v<<shift, true
	return nil
}

// lower is the last letter of s in lower case, 0 for the empty string.
func lower(s string) byte {
	if s == "" {
		return 0
	}
	return s[len(s)-1] | 0x20
}

func isNumber(s string) bool { return new(quantity).Set(s) == nil }

func isArch(s string) bool { return arch.CheckGuestName(s) == nil }
