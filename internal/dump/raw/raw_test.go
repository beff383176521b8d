package raw

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
)

var parts = []dumptest.Part{
	{Addr: 0x1000, Size: 0x1000},
	{Addr: 0x8000, Size: 0x2000},
	{Addr: 0xa000, Size: 0x3000, Kind: dumptest.Absent},
}

// write writes an image and returns its bytes and what is to be known of it.
func write(t *testing.T, o dump.Options) ([]byte, dump.Plan) {
	t.Helper()
	m := dumptest.Machine(t, t.TempDir(), arch.Guests[2], parts...)
	job, err := Format{}.Plan(m, o)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "raw")
	if _, err := dump.ToFile(t.Context(), job, path, dump.FileOptions{}, nil); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b, job.Plan()
}

// TestImage has each byte at its address, zeros where there is no memory or
// none to be had, and begins where it was asked to.
func TestImage(t *testing.T) {
	b, plan := write(t, dump.Options{Partial: true})
	if !bytes.Equal(b, dumptest.Want(parts, 0, 0xd000)) || plan.Size != 0xd000 || plan.Memory != 0x3000 {
		t.Errorf("%d bytes, planned %+v", len(b), plan)
	}
	if !slices.ContainsFunc(plan.Remarks, func(r string) bool { return strings.HasPrefix(r, "40.0 KiB of the image are no memory") }) {
		t.Errorf("remarks %q", plan.Remarks)
	}
	b, plan = write(t, dump.Options{Window: dump.Window{Begin: 0x7800, Length: 0x1000}})
	if !bytes.Equal(b, dumptest.Want(parts, 0x7800, 0x1000)) {
		t.Errorf("%d bytes, planned %+v", len(b), plan)
	}
	if !slices.Contains(plan.Remarks, "offset 0 of the image is guest-physical address 0x7800") {
		t.Errorf("remarks %q", plan.Remarks)
	}
}

// TestPipe writes what cannot be passed over in order.
func TestPipe(t *testing.T) {
	m := dumptest.Machine(t, t.TempDir(), arch.Guests[2], parts...)
	job, err := Format{}.Plan(m, dump.Options{Partial: true})
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	done := make(chan error, 1)
	go func() {
		_, err := dump.ToOpen(t.Context(), job, w, dump.FileOptions{}, nil)
		w.Close()
		done <- err
	}()
	var b bytes.Buffer
	if _, err := b.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil || !bytes.Equal(b.Bytes(), dumptest.Want(parts, 0, 0xd000)) {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}
}

func TestTooLarge(t *testing.T) {
	m := dumptest.Machine(t, t.TempDir(), arch.Guests[2], dumptest.Part{Addr: 0, Size: 0x1000}, dumptest.Part{Addr: maxSize, Size: 0x1000})
	if _, err := (Format{}).Plan(m, dump.Options{}); err == nil || !strings.Contains(err.Error(), "16.0 TiB a file can be: use the elf format, or begin and length") {
		t.Error(err)
	}
	if _, err := (Format{}).Plan(m, dump.Options{Window: dump.Window{Begin: maxSize, Length: 0x1000}}); err != nil {
		t.Error(err)
	}
}
