package dump_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"guestcore/internal/addr"
	"guestcore/internal/dump"
	"guestcore/internal/dump/dumptest"
)

// large is a guest of 1 TiB that is a file of holes, with 768 MiB of data all
// over it: enough for every way of writing.
func large() []dumptest.Part {
	const pieces = 12
	var parts []dumptest.Part
	at := addr.GPA(0)
	add := func(kind dumptest.Kind, size uint64) {
		parts = append(parts, dumptest.Part{Addr: at, Size: size, Kind: kind})
		at += addr.GPA(size)
	}
	for range pieces {
		add(dumptest.Data, 64<<20)
		add(dumptest.Hole, 1<<40/pieces&^0xfff-64<<20)
	}
	return parts
}

// TestLarge plans and writes a guest of 1 TiB, in a process of its own of which
// the largest memory is asked for.
func TestLarge(t *testing.T) {
	const (
		asked = "GUESTCORE_TEST_LARGE"
		most  = 256 << 10 // KiB
		limit = 30 * time.Second
	)
	if dir := os.Getenv(asked); dir != "" {
		m := machine(t, large()...)
		began := time.Now()
		s, err := dump.ToFile(t.Context(), plan(t, m), filepath.Join(dir, "vmcore"), dump.FileOptions{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		status := string(read(t, "/proc/self/status"))
		_, peak, _ := strings.Cut(status, "VmHWM:")
		var kib int64
		fmt.Sscan(peak, &kib)
		t.Logf("%v; peak memory %d KiB", s, kib)
		if s.Copied < 768<<20 || s.Copied > 769<<20 || s.Holes < 1<<40-800<<20 {
			t.Errorf("copied %d, holes %d", s.Copied, s.Holes)
		}
		if kib == 0 || kib > most {
			t.Errorf("peak memory %d KiB, at most %d are right", kib, most)
		}
		if took := time.Since(began); took > limit {
			t.Errorf("took %v", took)
		}
		return
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestLarge$", "-test.v")
	cmd.Env = append(os.Environ(), asked+"="+dir, "TMPDIR="+t.TempDir())
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
	if room := stored(t, filepath.Join(dir, "vmcore")); room > 800<<20 {
		t.Errorf("%d bytes are stored", room)
	}
}
