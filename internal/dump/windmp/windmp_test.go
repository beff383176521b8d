package windmp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/internal/addr"
	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
	"guestcore/internal/guest"
	"guestcore/internal/guest/windows"
)

// pc is the memory of a small PC, as in the tests of other formats.
var pc = []dumptest.Part{
	{Addr: 0, Size: 0xa0000},
	{Addr: 0xc0000, Size: 0x20000, Kind: dumptest.Hole},
	{Addr: 0xe0000, Size: 0x3000},
	{Addr: 0xe3000, Size: 0x5000, Kind: dumptest.Zero},
	{Addr: 0xe8000, Size: 0x8000},
	{Addr: 0x100000, Size: 0x80000, Split: true},
	{Addr: 0xfffc0000, Size: 0x40000},
}

// runs are what Windows takes for its memory there: not the first page, not
// what is at 0xc0000, and at the end not the last pages.
var runs = []windows.Run{{Base: 1, Pages: 0x9e}, {Base: 0xe0, Pages: 0x10}, {Base: 0x100, Pages: 0x7c}}

// machine is a guest of Windows. The page at 0x101000 has a context.
func machine(t testing.TB, wide bool, runs []windows.Run, parts ...dumptest.Part) *guest.Machine {
	t.Helper()
	a, err := arch.GuestByName(map[bool]string{true: "X86_64", false: "386"}[wide])
	if err != nil {
		t.Fatal(err)
	}
	m := dumptest.Machine(t, t.TempDir(), a, parts...)
	h := windows.NewHeader(wide)
	h.SetRuns(runs)
	m.Windows = &guest.Windows{Header: h, Patches: []guest.Patch{{Addr: 0x101004, Bytes: []byte("CONTEXT")}}, Remarks: []string{"a remark"}}
	return m
}

func plan(t testing.TB, m *guest.Machine, o dump.Options) dump.Job {
	t.Helper()
	job, err := Format{}.Plan(m, o)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

// write writes a job to a file and returns what is in it.
func write(t testing.TB, job dump.Job) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dump")
	s, err := dump.ToFile(t.Context(), job, path, dump.FileOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if p := job.Plan(); int64(len(b)) != p.Size || s.Memory != p.Memory {
		t.Fatalf("%d bytes with %d of memory, planned were %d and %d", len(b), s.Memory, p.Size, p.Memory)
	}
	return b
}

// want is what a file has to be: a header, and the runs behind it.
func want(header []byte, runs []windows.Run, parts []dumptest.Part, patches []guest.Patch) []byte {
	b := bytes.Clone(header)
	for _, r := range runs {
		memory := dumptest.Want(parts, r.Addr(), r.Size())
		for _, p := range patches {
			if p.Addr >= r.Addr() && p.Addr < r.End() {
				copy(memory[p.Addr-r.Addr():], p.Bytes)
			}
		}
		b = append(b, memory...)
	}
	return b
}

func TestFile(t *testing.T) {
	for _, wide := range []bool{true, false} {
		t.Run(fmt.Sprintf("wide %v", wide), func(t *testing.T) {
			m := machine(t, wide, runs, pc...)
			header := bytes.Clone(m.Windows.Header)
			job := plan(t, m, dump.Options{Creator: "guestcore test"})
			expected := want(header, runs, pc, m.Windows.Patches)
			if got := write(t, job); !bytes.Equal(got, expected) {
				t.Error("the file is not the header and the runs")
			}
			if got := stream(t, job); !bytes.Equal(got, expected) {
				t.Error("a pipe has not the header and the runs")
			}
			p := job.Plan()
			const pages = 0x9e + 0x10 + 0x7c
			if p.Memory != pages*0x1000 || p.Format != "win-dmp" || p.Space != int64(len(header))+(pages-5)*0x1000 || p.Absent != nil {
				t.Errorf("plan %+v", p)
			}
			// All but the first run's first page and ROM: 1 + 1 + 0x20 + 4 + 0x40 pages.
			if diff := cmp.Diff([]string{"a remark", "408.0 KiB of guest memory are in none of the runs that Windows takes for its memory, and not in the file, " +
				"as in QEMU's own: the elf format has them"}, p.Remarks); diff != "" {
				t.Error(diff)
			}
			if !bytes.Equal(m.Windows.Header, header) {
				t.Error("the machine's header has changed")
			}
		})
	}
}

// stream writes a job to a pipe.
func stream(t *testing.T, job dump.Job) []byte {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	read := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(r)
		read <- b
	}()
	_, err = dump.ToOpen(t.Context(), job, w, dump.FileOptions{}, nil)
	w.Close()
	b := <-read
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Behind some of a run is nothing, as QEMU writes it: zeros.
func TestRunWithoutMemory(t *testing.T) {
	more := []windows.Run{{Base: 0x98, Pages: 0x10}, {Base: 0x17f, Pages: 4}}
	m := machine(t, true, more, pc...)
	m.Windows.Patches = nil
	header := bytes.Clone(m.Windows.Header)
	job := plan(t, m, dump.Options{})
	expected := want(header, more, pc, nil)
	if got := write(t, job); !bytes.Equal(got, expected) {
		t.Error("the file has no zeros where no memory is")
	}
	if got := stream(t, job); !bytes.Equal(got, expected) {
		t.Error("a pipe has no zeros where no memory is")
	}
	if said := strings.Join(job.Plan().Remarks, "\n"); !strings.Contains(said, "44.0 KiB of what Windows takes for its memory, the first at 0xa0000, is none that a dump can have: the file has zeros there") {
		t.Errorf("remarks %q", job.Plan().Remarks)
	}
}

// Absent memory is taken out of the runs, by whole pages.
func TestPartial(t *testing.T) {
	for _, wide := range []bool{true, false} {
		t.Run(fmt.Sprintf("wide %v", wide), func(t *testing.T) {
			lacking := []dumptest.Part{
				{Addr: 0, Size: 0x4000}, {Addr: 0x4000, Size: 0x2000, Kind: dumptest.Absent}, {Addr: 0x6000, Size: 0x9a000},
				{Addr: 0x100000, Size: 0x7a800}, {Addr: 0x17a800, Size: 0x800, Kind: dumptest.Lost}, {Addr: 0x17b000, Size: 0x5000},
			}
			m := machine(t, wide, runs, lacking...)
			x86 := &arch.X86{}
			m.CPUs = []guest.CPU{{Index: 0}, {Index: 1, State: x86, Trust: guest.Stale}, {Index: 2, State: x86, Trust: guest.Valid}}
			var missing *dump.MissingError
			if _, err := (Format{}).Plan(m, dump.Options{}); !errors.As(err, &missing) {
				t.Fatalf("%v", err)
			}
			job := plan(t, m, dump.Options{Partial: true, StaleRegisters: true, Creator: "guestcore test"})
			got := write(t, job)
			left := []windows.Run{{Base: 1, Pages: 3}, {Base: 6, Pages: 0x99}, {Base: 0xe0, Pages: 0x10}, {Base: 0x100, Pages: 0x7a}, {Base: 0x17b, Pages: 1}}
			header := windows.NewHeader(wide)
			header.SetRuns(left)
			header.SetComment("guestcore test: 10.0 KiB of memory absent; no registers of 1 of 3 CPUs; stale registers of 1 of 3 CPUs")
			if !bytes.Equal(got, want(header, left, lacking, m.Windows.Patches)) {
				t.Errorf("the file is not the header and what is left of the runs: comment %q", got[map[bool]int{true: 0xfb0, false: 0x820}[wide]:][:128])
			}
			if len(job.Plan().Absent) != 2 {
				t.Errorf("absent %v", job.Plan().Absent)
			}
		})
	}
}

// Where what is left has more parts than the header has room for, the closest
// are joined, with zeros between them.
func TestTooManyRuns(t *testing.T) {
	var parts []dumptest.Part
	var a addr.GPA
	put := func(pages uint64, k dumptest.Kind) {
		parts = append(parts, dumptest.Part{Addr: a, Size: pages * 0x1000, Kind: k})
		a += addr.GPA(pages * 0x1000)
	}
	for i := range 45 { // 46 runs; gaps of one page between the first and in the middle, of two elsewhere
		put(1, dumptest.Data)
		put(map[bool]uint64{true: 1, false: 2}[i < 2 || i == 20], dumptest.Absent)
	}
	put(1, dumptest.Data)
	whole := []windows.Run{{Base: 0, Pages: uint64(a) / 0x1000}}
	m := machine(t, true, whole, parts...)
	m.Windows.Patches = nil
	job := plan(t, m, dump.Options{Partial: true})
	got := write(t, job)
	h := windows.Header(bytes.Clone(got[:windows.HeaderSize64]))
	left, err := h.Runs()
	if err != nil || len(left) != 43 || left[0] != (windows.Run{Base: 0, Pages: 5}) {
		t.Fatalf("%v, %v", left, err)
	}
	if !bytes.Equal(got, want(h, left, parts, nil)) {
		t.Error("the file is not the header and the joined runs")
	}
	if said := strings.Join(job.Plan().Remarks, "\n"); !strings.Contains(said, "memory has 46 runs, and the header room for 43: 12.0 KiB between") {
		t.Errorf("remarks %q", job.Plan().Remarks)
	}
}

// A count of pages that the runs have not is put right.
func TestPagesMiscounted(t *testing.T) {
	m := machine(t, false, runs, pc...)
	h := windows.Header(m.Windows.Header)
	right := bytes.Clone(h)
	h.Put(windows.NumberOfPages, 5)
	job := plan(t, m, dump.Options{})
	if got := write(t, job); !bytes.Equal(got, want(right, runs, pc, m.Windows.Patches)) {
		t.Error("the header counts other pages")
	}
	if said := strings.Join(job.Plan().Remarks, "\n"); !strings.Contains(said, "the header counted 5 pages, and its runs have 298") {
		t.Errorf("remarks %q", job.Plan().Remarks)
	}
}

// Nonvolatile memory that QEMU's other dumps leave out is in the runs, and in
// the file unless it is not wanted.
func TestNonvolatile(t *testing.T) {
	parts := []dumptest.Part{{Addr: 0, Size: 0x10000}, {Addr: 0x10000, Size: 0x10000, Split: true}}
	m := machine(t, true, []windows.Run{{Base: 1, Pages: 0x1f}}, parts...)
	m.Windows.Patches = nil
	m.Image.Ranges[1].PMEM, m.Image.Ranges[1].Unlisted = true, true
	if got := write(t, plan(t, m, dump.Options{})); !bytes.Equal(got[0x2000:], dumptest.Want(parts, 0x1000, 0x1f000)) {
		t.Error("the file lacks nonvolatile memory")
	}
	if got := write(t, plan(t, m, dump.Options{ExcludePMEM: true})); !bytes.Equal(got[0x2000:], dumptest.Want(parts, 0x1000, 0xf000)) {
		t.Error("the file has nonvolatile memory")
	}
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*guest.Machine)
		o      dump.Options
		want   string
	}{
		{"not asked", func(m *guest.Machine) { m.Windows = nil }, dump.Options{}, "nothing is known of a Windows in the guest"},
		{"no header", func(m *guest.Machine) { m.Windows.Header = nil }, dump.Options{}, "too few for a crash dump's header"},
		{"no runs", func(m *guest.Machine) { windows.Header(m.Windows.Header).SetRuns(nil) }, dump.Options{}, "lists no physical memory"},
		{"runs of another guest", func(m *guest.Machine) {
			windows.Header(m.Windows.Header).SetRuns([]windows.Run{{Base: 1, Pages: 1 << 40}})
		}, dump.Options{}, "4.0 PiB where the guest has no memory, the first at 0xa0000: the header is not this guest's"},
		{"context nowhere", func(m *guest.Machine) { m.Windows.Patches[0].Addr = 0xb0000 }, dump.Options{}, "the processors' contexts: guest has no memory"},
		{"window", nil, dump.Options{Window: dump.Window{Begin: 0, Length: 4096}}, "win-dmp holds all of guest memory, with QEMU too: leave begin and length out"},
		{"paging", nil, dump.Options{Paging: true}, "win-dmp has no virtual addresses"},
		{"level", nil, dump.Options{Level: 1}, "win-dmp is not compressed"},
		{"flattened", nil, dump.Options{Flattened: true}, "win-dmp has no flattened form"},
		{"sealed", func(m *guest.Machine) { m.Sealed = "memory is encrypted" }, dump.Options{}, "memory is encrypted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := machine(t, true, runs, pc...)
			if tt.change != nil {
				tt.change(m)
			}
			if _, err := (Format{}).Plan(m, tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v; want %q", err, tt.want)
			}
		})
	}
}

// Whatever the header says, there is a plan or an error, and the file is not
// much larger than memory.
func FuzzPlan(f *testing.F) {
	for _, wide := range []bool{true, false} {
		h := windows.NewHeader(wide)
		h.SetRuns(runs)
		f.Add([]byte(h))
	}
	m := machine(f, true, runs, pc...)
	f.Fuzz(func(t *testing.T, header []byte) {
		m.Windows.Header = header
		job, err := Format{}.Plan(m, dump.Options{})
		if err != nil {
			return
		}
		p := job.Plan()
		if most := int64(len(header)) + 2*int64(m.Image.Size()); p.Size > most || p.Memory > int64(m.Image.Size()) {
			t.Errorf("a file of %d bytes with %d of memory", p.Size, p.Memory)
		}
	})
}
