package dump_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
)

// mixed is a guest with all that the writer treats in its own way: long and
// short runs, zeros stored and not, beginnings and ends inside a page.
func mixed() []dumptest.Part {
	const mib = 1 << 20
	parts := []dumptest.Part{
		{Addr: 0, Size: 9*mib + 0x123},
		{Addr: 1 << 30, Size: 5 * mib, Kind: dumptest.Zeros},
		{Addr: 1<<30 + 5*mib, Size: 3 * mib, Kind: dumptest.Hole},
		{Addr: 1<<30 + 8*mib, Size: 6 * mib},
		{Addr: 1<<30 + 14*mib, Size: 0x3456, Kind: dumptest.Zero},
		{Addr: 1<<30 + 14*mib + 0x3456, Size: 5*mib + 0x10},
	}
	for i := range 64 { // pages that take turns
		kind := dumptest.Data
		if i%2 == 1 {
			kind = dumptest.Zeros
		}
		parts = append(parts, dumptest.Part{Addr: 2<<30 + addr.GPA(i)*0x1000, Size: 0x1000, Kind: kind})
	}
	return parts
}

// stored is the room that a file takes, in bytes.
func stored(t *testing.T, path string) int64 {
	t.Helper()
	fi, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return fi.Sys().(*syscall.Stat_t).Blocks * 512
}

// TestChoices writes the same guest in every way. The bytes are the same; what
// is a hole and what went around the page cache is as asked for.
func TestChoices(t *testing.T) {
	parts := mixed()
	m := machine(t, parts...)
	job := plan(t, m)
	loads := job.Plan().Size - job.Plan().Memory // the place of memory in the file is the format's to know
	content := want(t, job)
	for _, r := range m.Image.Ranges {
		if !bytes.Contains(content[:], dumptest.Want(parts, r.Addr, min(r.Size, 1<<16))) {
			t.Fatalf("memory at %#x is not in the file", uint64(r.Addr))
		}
	}
	var sparse dump.Sparse
	var direct dump.Direct
	for _, sparseName := range []string{"auto", "always", "never"} {
		for _, directName := range []string{"auto", "on", "off"} {
			t.Run(fmt.Sprintf("sparse=%s,direct=%s", sparseName, directName), func(t *testing.T) {
				if err := sparse.Set(sparseName); err != nil {
					t.Fatal(err)
				}
				if err := direct.Set(directName); err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(t.TempDir(), "vmcore")
				s, err := dump.ToFile(t.Context(), job, path, dump.FileOptions{Sparse: sparse, Direct: direct, Sync: true}, nil)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(read(t, path), content) {
					t.Error("wrong bytes")
				}
				if sum := s.Copied + s.Holes + s.Zeros; sum > s.Size || sum < s.Size-loads {
					t.Errorf("copied, holes and zeros are %d of %d bytes", sum, s.Size)
				}
				if (direct == dump.DirectOn) != (s.Direct > 0) {
					t.Errorf("%d bytes by direct I/O", s.Direct)
				}
				room, zeros := stored(t, path), int64(8<<20) // long runs of them
				switch sparse {
				case dump.SparseAuto:
					if s.Holes < zeros || room > s.Size-zeros {
						t.Errorf("holes %d, %d bytes stored", s.Holes, room)
					}
				case dump.SparseAlways:
					if s.Holes < zeros+32*0x1000+0x2000 || room > s.Size-zeros-32*0x1000 {
						t.Errorf("holes %d, %d bytes stored: a page is no hole", s.Holes, room)
					}
				case dump.SparseNever:
					if s.Holes != 0 || room < s.Size {
						t.Errorf("holes %d, %d of %d bytes stored", s.Holes, room, s.Size)
					}
				}
			})
		}
	}
	if err := sparse.Set("sometimes"); err == nil {
		t.Error("sometimes is taken")
	}
}

// TestSparseNeverWithoutFallocate has a file system that cannot allocate: a
// ramfs. Zeros are written there.
func TestSparseNeverWithoutFallocate(t *testing.T) {
	job := plan(t, machine(t, small...))
	content := want(t, job)
	path := filepath.Join(mount(t, "ramfs", "ramfs", 0, ""), "vmcore")
	s, err := dump.ToFile(t.Context(), job, path, dump.FileOptions{Sparse: dump.SparseNever}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Holes != 0 || s.Zeros == 0 || !bytes.Equal(read(t, path), content) {
		t.Errorf("holes %d, zeros %d, or wrong bytes", s.Holes, s.Zeros)
	}
}
