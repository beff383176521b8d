package dump_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
)

// sparse1G is a gigabyte of which a fifth is stored, in pieces of 1 MiB.
func sparse1G() []dumptest.Part {
	const piece = 1 << 20
	parts := make([]dumptest.Part, 1024)
	for i := range parts {
		parts[i] = dumptest.Part{Addr: addr.GPA(i * piece), Size: piece, Kind: dumptest.Hole}
		if i%5 == 0 {
			parts[i].Kind = dumptest.Data
		}
	}
	return parts
}

// BenchmarkToFile is the whole way, from the plan to the final name.
// BenchmarkCp copies the files it is made from with cp, as what to compare with.
func BenchmarkToFile(b *testing.B) {
	m := machine(b, sparse1G()...)
	path := filepath.Join(b.TempDir(), "vmcore")
	b.SetBytes(1 << 30)
	for b.Loop() {
		os.Remove(path) // ext4 writes a file out at once when it replaces another
		if _, err := dump.ToFile(b.Context(), plan(b, m), path, dump.FileOptions{}, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCp(b *testing.B) {
	m := machine(b, sparse1G()...)
	dir := b.TempDir()
	b.SetBytes(1 << 30)
	for b.Loop() {
		for _, f := range m.Image.Files {
			to := filepath.Join(dir, filepath.Base(f.Name()))
			os.Remove(to)
			if out, err := exec.Command("cp", "--sparse=auto", "--reflink=never", f.Name(), to).CombinedOutput(); err != nil {
				b.Fatalf("%v\n%s", err, out)
			}
		}
	}
}
