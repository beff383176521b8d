package monitor

import (
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/internal/addr"
	"guestcore/internal/argv"
	"guestcore/internal/dump"
)

// parse reads a line as dump-guest-memory does.
func parse(line string) (r DumpRequest, detach bool, err error) {
	fs := argv.New("")
	args, d := NewDumpArgs(fs), detachFlag(fs)
	words, err := argv.Parse(fs, strings.Fields(line), "HINT")
	if err == nil {
		r, err = args.Request(words)
	}
	return r, *d, err
}

func TestDumpArgs(t *testing.T) {
	within := func(begin addr.GPA, length uint64) dump.Options {
		return dump.Options{Window: dump.Window{Begin: begin, Length: length}}
	}
	paging, pagingWithin := dump.Options{Paging: true}, within(0, 4096)
	pagingWithin.Paging = true
	for line, want := range map[string]DumpRequest{
		// the script's: FILE ARCH
		"f":                     {File: "f"},
		"f X86_64":              {File: "f", Arch: "X86_64"},
		"f 386":                 {File: "f", Arch: "386"},
		"--partial f":           {File: "f", Options: dump.Options{Partial: true}},
		"f --partial auto":      {File: "f", Arch: "auto", Options: dump.Options{Partial: true}},
		"f 386 --partial":       {File: "f", Arch: "386", Options: dump.Options{Partial: true}},
		"--partial f --partial": {File: "f", Options: dump.Options{Partial: true}},
		"-- -f":                 {File: "-f"},
		"--include-pmem f":      {File: "f", Options: dump.Options{IncludePMEM: true}},
		"f --exclude-pmem":      {File: "f", Options: dump.Options{ExcludePMEM: true}},
		"- X86_64":              {File: "-", Arch: "X86_64"},
		"X86_64 auto":           {File: "X86_64", Arch: "auto"},

		// those of QEMU's monitor
		"-z f":                        {File: "f", Format: "kdump-zlib"},
		"-l f":                        {File: "f", Format: "kdump-lzo"},
		"-s f":                        {File: "f", Format: "kdump-snappy"},
		"-l --format kdump-raw-lzo f": {File: "f", Format: "kdump-lzo"},
		"-z -R f":                     {File: "f", Format: "kdump-zlib"},
		"-w f":                        {File: "f", Format: "win-dmp"},
		"-w --format win-dmp f 386":   {File: "f", Format: "win-dmp", Arch: "386"},
		"f -w --float-context":        {File: "f", Format: "win-dmp", FloatContext: true},
		"--ignore-note -w f":          {File: "f", Format: "win-dmp", IgnoreNote: true},
		"-p f":                        {File: "f", Options: paging},
		"f 0 4096 --paging":           {File: "f", Options: pagingWithin},
		"-R -s f X86_64":              {File: "f", Format: "kdump-snappy", Arch: "X86_64"},
		"f 0 4096":                    {File: "f", Options: within(0, 4096)},
		"f 0x1000 0x2000":             {File: "f", Options: within(0x1000, 0x2000)},
		"f 386 4096":                  {File: "f", Options: within(386, 4096)},
		"f 1M 1G":                     {File: "f", Options: within(1<<20, 1<<30)},
		"f 0x10k 2t":                  {File: "f", Options: within(0x4000, 2<<40)},
		"f 0 0XffffffffFFFFFFFF":      {File: "f", Options: within(0, math.MaxUint64)},

		// both
		"f X86_64 0 4096":               {File: "f", Arch: "X86_64", Options: within(0, 4096)},
		"f 386 386 386":                 {File: "f", Arch: "386", Options: within(386, 386)},
		"--begin 4k f --length=0x10":    {File: "f", Options: within(4096, 16)},
		"f --begin 0 --length 1 auto":   {File: "f", Arch: "auto", Options: within(0, 1)},
		"--format elf f":                {File: "f", Format: "elf"},
		"f --format kdump-raw-lzo -R":   {File: "f", Format: "kdump-raw-lzo"},
		"--format kdump-zlib -z f":      {File: "f", Format: "kdump-zlib"},
		"-z --level 9 --flattened f":    {File: "f", Format: "kdump-zlib", Options: dump.Options{Level: 9, Flattened: true}},
		"-z --level 1 --level 2 f auto": {File: "f", Arch: "auto", Format: "kdump-zlib", Options: dump.Options{Level: 2}},
		"f --skip-zero":                 {File: "f", Output: dump.FileOptions{Sparse: dump.SparseAlways}},
		"--sparse always f --direct=off --fsync --keep-partial": {File: "f", Output: dump.FileOptions{
			Sparse: dump.SparseAlways, Direct: dump.DirectOff, Sync: true, KeepPartial: true}},
	} {
		got, detach, err := parse(line)
		if err != nil || detach {
			t.Errorf("%q: detach %v, %v", line, detach, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q (-want +got):\n%s", line, d)
		}
	}
	for _, line := range []string{"-d f", "f --detach", "f X86_64 -d", "-p -d f 0 4096"} {
		if _, detach, err := parse(line); err != nil || !detach {
			t.Errorf("%q: detach %v, %v", line, detach, err)
		}
	}
}

func TestDumpArgsRefused(t *testing.T) {
	for line, want := range map[string]string{
		"":                                "FILE is missing: FILE [ARCH] [BEGIN LENGTH]",
		"--partial":                       "FILE is missing",
		"--include-pmem f --exclude-pmem": "exclude each other",
		"f X86_64 0 1 more":               `too many arguments, "more": FILE`,
		"X86_64":                          "X86_64 is an architecture, and FILE is missing: write ./X86_64",
		"aarch64 0 4096":                  "aarch64 is an architecture, and FILE is missing",
		"f 0":                             `BEGIN and LENGTH go together, and there is only "0": FILE`,
		"f 0x1000":                        `BEGIN and LENGTH go together, and there is only "0x1000": FILE`,
		"f X86_64 0x1000":                 `BEGIN and LENGTH go together, and there is only "0x1000": FILE`,
		"f auto 4096":                     `BEGIN and LENGTH go together, and there is only "4096": FILE`,
		"f X86_64 more":                   `there is only "more"`,
		"f 0 X86_64":                      `BEGIN and LENGTH: "X86_64" is no number: write it like 1048576, 0x100000 or 1M`,
		"f a b":                           `BEGIN and LENGTH: "a" is no number`,
		"f 0 0x":                          `"0x" is no number`,
		"f 0 1_000":                       `"1_000" is no number`,
		"f 0 +1":                          `"+1" is no number`,
		"f 0 4096+1":                      `"4096+1" is no number`,
		"f 0 k":                           `"k" is no number`,
		"f 0 1Mi":                         `"1Mi" is no number`,
		"f 0 0100":                        `"0100" begins with 0: write 0x before a hexadecimal number`,
		"f 0000000000100000 0x1000":       "begins with 0: write 0x",
		"f 0 16777216T":                   `"16777216T" is larger than any address`,
		"f 0 0x10000000000000000":         "is larger than any address",
		"f 0 0":                           "a length of 0 is no memory at all",
		"f 0x1000 0xffffffffffffffff":     "pass the last address there is: give the length, not the end",
		"f --begin 0":                     "--begin comes with --length",
		"f --length 1":                    "--length comes with --begin",
		"f --begin x --length 1":          `"x" is no number: write it like 1048576, 0x100000 or 1M: HINT`,
		"f 0 1 --begin 0":                 "BEGIN and LENGTH are given twice, as 0 1 and as --begin and --length",
		"-p -z f":                         "kdump-zlib has no virtual addresses: leave paging out",
		"f --paging --format kdump-lzo":   "kdump-lzo has no virtual addresses",
		"-w -z f":                         "-w is the format win-dmp, and kdump-zlib is asked for too: leave one out",
		"-w -R f":                         "-R is the raw form of a kdump file, and the format is win-dmp",
		"-w -p f":                         "win-dmp has no virtual addresses",
		"--float-context f":               "--float-context is of a Windows crash dump, and the format is elf: add -w",
		"--ignore-note f":                 "--ignore-note is of a Windows crash dump, and the format is elf: add -w",
		"-z -l f":                         "-l is the format kdump-lzo, and kdump-zlib is asked for too: leave one out",
		"-l -s f":                         "-s is the format kdump-snappy, and kdump-lzo is asked for too",
		"-z --format elf f":               "-z is the format kdump-zlib, and elf is asked for too",
		"-R f":                            "-R is the raw form of a kdump file, and the format is elf: add -z, -l or -s",
		"-R --format elf f":               "and the format is elf",
		"-z -R --flattened f":             "-R and --flattened exclude each other",
		"--format zip f":                  `unknown dump format "zip": use one of elf, kdump-zlib`,
		"--level much f":                  "invalid value \"much\" for flag --level: not a number: HINT",
		"--partail f":                     "unknown flag --partail, did you mean --partial? HINT",
		"--skip-zero f --sparse never":    "--skip-zero and --sparse never exclude each other",
		"--sparse often f":                `"often" is none of auto, always, never: HINT`,
		"f --arch 386":                    "unknown flag --arch: HINT",
		"-zR f":                           "unknown flag -zR: HINT",
		"f -1 1":                          "unknown flag -1: HINT",
		"f pdp11":                         `unknown architecture "pdp11": use one of`,
		"f pdp11 0 4096":                  `unknown architecture "pdp11"`,
		"--level 10 -z f":                 "kdump-zlib has no level 10: use one from 1, fast, to 9, small",
		"--level 1 f":                     "elf is not compressed and has no level",
		"-l --level 1 f":                  "kdump-lzo has one level only",
		"-w --flattened f":                "win-dmp has no flattened form",
		"-z f 0 4096":                     "kdump-zlib holds all of guest memory",
	} {
		if got, _, err := parse(line); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %+v, %v; want one line with %q", line, got, err, want)
		}
	}
}

// What can be seen to be wrong is said before anything is opened.
func TestDumpRefusedAtOnce(t *testing.T) {
	var m Monitor
	for line, want := range map[string]string{
		"dump-guest-memory X86_64":   "FILE is missing",
		"dump aarch64":               "FILE is missing",
		"dump-guest-memory":          "FILE is missing",
		"dump --partail f":           `did you mean --partial? "help dump-guest-memory" lists the flags`,
		"dump-guest-memory -d -pz f": "unknown flag -pz",
		"dump-guest-memory f 0x1000": "there is only",
		"dump-guest-memory -":        "gdb has none for it: name a file",
		"cancel-dump":                "no dump is being written",
		"cancel-dump all":            "takes no arguments",
		"info dump all":              "takes no arguments",
	} {
		var out strings.Builder
		if err := m.Run(t.Context(), line, &out); err == nil || !strings.Contains(err.Error(), want) || out.Len() > 0 {
			t.Errorf("%s: %q, %v", line, out.String(), err)
		}
	}
	var out strings.Builder
	if err := m.Run(t.Context(), "info dump", &out); err != nil || out.String() != "status         none\n" {
		t.Errorf("info dump: %q, %v", out.String(), err)
	}
	out.Reset()
	if err := m.Run(t.Context(), "dump-guest-memory --help", &out); err != nil || !strings.Contains(out.String(), "\n  -z  ") || !strings.Contains(out.String(), "\n  --begin ADDRESS ") {
		t.Errorf("--help: %q, %v", out.String(), err)
	}
}
