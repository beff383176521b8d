package dump_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
	"guestcore/internal/dump/kdump"
	"guestcore/internal/dump/kdumpfile"
)

// sharing are the file systems that can share blocks and that Linux has in its
// tree; both do without being told.
var sharing = []string{"xfs", "btrfs"}

// mountSharing makes such a file system, of 320 MiB: XFS refuses to be less
// than 300.
func mountSharing(t *testing.T, fstype string) string {
	t.Helper()
	return mountImage(t, t.TempDir(), fstype, 320<<20)
}

// used is how much of a file system is taken, in bytes.
func used(t *testing.T, dir string) int64 {
	t.Helper()
	unix.Sync()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Blocks-st.Bfree) * st.Bsize
}

func TestReflink(t *testing.T) {
	for _, fstype := range sharing {
		t.Run(fstype, func(t *testing.T) { reflinks(t, mountSharing(t, fstype)) })
	}
}

func reflinks(t *testing.T, dir string) {
	t.Helper()
	g, err := arch.GuestByName("X86_64")
	if err != nil {
		t.Fatal(err)
	}
	// More than fits twice, with an end inside a block.
	parts := []dumptest.Part{
		{Addr: 0, Size: 150<<20 + 0x234},
		{Addr: 1 << 30, Size: 1 << 20, Kind: dumptest.Hole},
		{Addr: 2 << 30, Size: 1 << 20},
	}
	m := dumptest.Machine(t, dir, g, parts...)
	before := used(t, dir)
	s, err := dump.ToFile(t.Context(), plan(t, m), filepath.Join(dir, "vmcore"), dump.FileOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if grown := used(t, dir) - before; grown > 1<<20 {
		t.Errorf("the file system grew by %d bytes", grown)
	}
	if s.Reflinked != 151<<20 || s.Holes != 1<<20 || s.Copied < 0x234 || s.Copied > 0x2000 {
		t.Errorf("reflinked %d, copied %d, holes %d", s.Reflinked, s.Copied, s.Holes)
	}
	got := read(t, s.Path)
	tail := got[len(got)-1<<20:] // the last range
	if !bytes.Equal(tail, dumptest.Want(parts, 2<<30, 1<<20)) || !bytes.Equal(got[4096:][:parts[0].Size], dumptest.Want(parts, 0, parts[0].Size)) {
		t.Error("wrong bytes")
	}
}

// TestReflinkTrouble has sources that share with the dump's file system, but
// not where it asks for it.
func TestReflinkTrouble(t *testing.T) {
	dir := mountSharing(t, "xfs")
	g, err := arch.GuestByName("X86_64")
	if err != nil {
		t.Fatal(err)
	}
	for name, parts := range map[string][]dumptest.Part{
		"smaller than a block":  {{Addr: 0, Size: 0x800}, {Addr: 0x10000, Size: 0x200}},
		"blocks do not line up": {{Addr: 0, Size: 0x800, Kind: dumptest.Zero}, {Addr: 0x800, Size: 0x9000}},
	} {
		t.Run(name, func(t *testing.T) {
			sub := filepath.Join(dir, name)
			if err := os.Mkdir(sub, 0o755); err != nil {
				t.Fatal(err)
			}
			m := dumptest.Machine(t, sub, g, parts...)
			s, err := dump.ToFile(t.Context(), plan(t, m), filepath.Join(sub, "vmcore"), dump.FileOptions{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if s.Reflinked != 0 {
				t.Errorf("reflinked %d", s.Reflinked)
			}
			r := m.Image.Ranges[0]
			if got := read(t, s.Path)[4096:][:r.Size]; !bytes.Equal(got, dumptest.Want(parts, r.Addr, r.Size)) {
				t.Error("wrong bytes")
			}
		})
	}
}

// TestReflinkPerExtent has a guest in files on two file systems: the part on
// that of the dump is shared, the rest copied.
func TestReflinkPerExtent(t *testing.T) {
	dir := mountSharing(t, "xfs")
	g, err := arch.GuestByName("X86_64")
	if err != nil {
		t.Fatal(err)
	}
	parts := []dumptest.Part{
		{Addr: 0, Size: 4 << 20}, // in the first file
		{Addr: 4 << 20, Size: 3 << 20},
		{Addr: 7 << 20, Size: 2 << 20},
		{Addr: 9 << 20, Size: 1 << 20, Kind: dumptest.Hole},
	}
	m := dumptest.Machine(t, dir, g, parts...)
	elsewhere, err := os.Create(filepath.Join(t.TempDir(), "ram"))
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	if _, err := elsewhere.Write(read(t, m.Image.Files[1].Name())); err != nil {
		t.Fatal(err)
	}
	m.Image.Files[1] = elsewhere
	s, err := dump.ToFile(t.Context(), plan(t, m), filepath.Join(dir, "vmcore"), dump.FileOptions{Sparse: dump.SparseAlways}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Reflinked != 6<<20 || s.Copied < 3<<20 || s.Copied > 3<<20+0x2000 || s.Holes != 1<<20 {
		t.Errorf("reflinked %d, copied %d, holes %d", s.Reflinked, s.Copied, s.Holes)
	}
	if got := read(t, s.Path); !bytes.Equal(got[len(got)-10<<20:], dumptest.Want(parts, 0, 10<<20)) {
		t.Error("wrong bytes")
	}
}

// TestReflinkPacked has pages that no format makes shorter, and others between
// them, so that the former do not lie at blocks of themselves.
func TestReflinkPacked(t *testing.T) {
	for _, fstype := range sharing {
		t.Run(fstype, func(t *testing.T) { reflinksPacked(t, mountSharing(t, fstype)) })
	}
}

func reflinksPacked(t *testing.T, dir string) {
	t.Helper()
	g, err := arch.GuestByName("X86_64")
	if err != nil {
		t.Fatal(err)
	}
	const noise = 8 << 20
	m := dumptest.Machine(t, dir, g, dumptest.Part{Addr: 0, Size: 3 * noise})
	memory := make([]byte, 3*noise)
	rand.NewChaCha8([32]byte{}).Read(memory)
	text := bytes.Repeat([]byte("a page that gets shorter"), noise/24+1)
	copy(memory[noise:2*noise], text)
	copy(memory[2*noise+0x5000:], text[:0x1000]) // one such page
	if _, err := m.Image.Files[0].(*os.File).WriteAt(memory, 0); err != nil {
		t.Fatal(err)
	}
	format, err := dump.Table(kdump.Formats()).Find("kdump-lzo")
	if err != nil {
		t.Fatal(err)
	}
	job, err := format.Plan(m, dump.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := dump.ToFile(t.Context(), job, filepath.Join(dir, "vmcore"), dump.FileOptions{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Reflinked != 2*noise-256<<10 || s.Size > job.Plan().Size || !strings.Contains(s.String(), "reflinked 15.8 MiB") {
		t.Errorf("reflinked %d bytes, %d long, planned %d: %v", s.Reflinked, s.Size, job.Plan().Size, s)
	}
	f, err := kdumpfile.Open(s.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got := make([]byte, len(memory))
	if n, err := f.ReadAt(got, 0); err != nil || !bytes.Equal(got, memory) {
		t.Errorf("not the same memory: %d bytes, %v", n, err)
	}
}
