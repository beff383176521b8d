package corefile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"guestcore/test/testkit"
)

// packings are ways to compress, each a program that reads its standard input.
// several means that the input is compressed in two halves, one behind the
// other.
var packings = []struct {
	name, format string
	command      []string
	several      bool
}{
	{"zstd", "zstd", []string{"zstd", "-1"}, false},
	{"zstd unchecked", "zstd", []string{"zstd", "-1", "--no-check"}, false},
	{"zstd long", "zstd", []string{"zstd", "-19", "--long=27"}, false},
	{"zstd frames", "zstd", []string{"zstd", "-3"}, true},
	{"lz4", "lz4", []string{"lz4"}, false},
	{"lz4 linked", "lz4", []string{"lz4", "-BD", "-BX"}, false},
	{"lz4 small", "lz4", []string{"lz4", "-B4", "-9"}, false},
	{"lz4 unchecked", "lz4", []string{"lz4", "--no-frame-crc"}, false},
	{"lz4 frames", "lz4", []string{"lz4"}, true},
	{"xz", "xz", []string{"xz", "-1"}, false},
	{"xz crc32", "xz", []string{"xz", "-1", "-C", "crc32"}, false},
	{"xz sha256", "xz", []string{"xz", "-1", "-C", "sha256"}, false},
	{"xz unchecked", "xz", []string{"xz", "-1", "-C", "none"}, false},
	{"xz blocks", "xz", []string{"xz", "-1", "-T2", "--block-size=1000"}, false},
	{"xz streams", "xz", []string{"xz", "-1"}, true},
	{"gzip", "gzip", []string{"gzip", "-1"}, false},
	{"gzip members", "gzip", []string{"gzip", "-1"}, true},
	{"bzip2", "bzip2", []string{"bzip2", "-1"}, false},
}

// pack compresses data with the i-th packing.
func pack(t testing.TB, i int, data []byte) []byte {
	t.Helper()
	p := packings[i]
	if !p.several {
		return runTool(t, p.command, data)
	}
	half := len(data) / 2
	return append(runTool(t, p.command, data[:half]), runTool(t, p.command, data[half:])...)
}

func runTool(t testing.TB, command []string, data []byte) []byte {
	t.Helper()
	cmd := exec.Command(testkit.Compressor(t, command[0]), append(command[1:], "-c")...)
	cmd.Stdin = bytes.NewReader(data)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v\n%s", command, err, stderr.String())
	}
	return out
}

// sample is something like a core: a header, data, holes and an odd end.
func sample(data, hole int) []byte {
	rng := rand.NewChaCha8([32]byte{})
	b := []byte("\x7fELF")
	b = append(b, make([]byte, data)...)
	rng.Read(b[len(b)/2:])
	b = append(b, make([]byte, hole)...)
	b = append(b, bytes.Repeat([]byte("some text, "), data/16)...)
	return append(b, make([]byte, hole/2+17)...)
}

func write(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "core.dump") // a name that says nothing
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// contents opens path and reads what there is.
func contents(t testing.TB, path string, opt Options) ([]byte, *Spool, error) {
	t.Helper()
	f, err := Open(t.Context(), path, opt)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if f.Name() != path {
		t.Errorf("named %s, not %s", f.Name(), path)
	}
	st, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(io.NewSectionReader(f, 0, st.Size()+1))
	if err != nil {
		t.Fatal(err)
	}
	return got, f.Spool, nil
}

func empty(t testing.TB, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("left in %s: %v, %v", dir, left, err)
	}
}

func TestOpen(t *testing.T) {
	want := sample(300<<10, 3<<20)
	for i, p := range packings {
		t.Run(p.name, func(t *testing.T) {
			if p.name == "xz blocks" {
				want := sample(3000, 5000)
				got, _, err := contents(t, write(t, pack(t, i, want)), Options{})
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("differs: %v", err)
				}
				return
			}
			dir := t.TempDir()
			f, err := Open(t.Context(), write(t, pack(t, i, want)), Options{Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			got, err := io.ReadAll(f)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("differs: %v", err)
			}
			st, err := f.Stat()
			if err != nil {
				t.Fatal(err)
			}
			if onDisk := st.Sys().(*syscall.Stat_t).Blocks * 512; onDisk > 1<<20 {
				t.Errorf("takes %d bytes on disk", onDisk)
			}
			s := f.Spool
			if s.Format != p.format || s.Dir != dir || s.Size != int64(len(want)) || s.OnDisk < 300<<10 || s.OnDisk > 700<<10 || s.Cut != nil {
				t.Errorf("%+v", s)
			}
			empty(t, dir)
		})
	}
	t.Run("plain", func(t *testing.T) {
		got, spool, err := contents(t, write(t, want), Options{Dir: "/nonexistent"})
		if err != nil || spool != nil || !bytes.Equal(got, want) {
			t.Errorf("%+v, %v", spool, err)
		}
	})
	t.Run("skippable frame first", func(t *testing.T) {
		for _, i := range []int{0, 4} {
			packed := append([]byte("\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"), pack(t, i, want)...)
			got, _, err := contents(t, write(t, packed), Options{})
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: differs: %v", packings[i].name, err)
			}
		}
	})
	t.Run("padding of xz", func(t *testing.T) {
		packed := append(pack(t, 9, want), 0, 0, 0, 0)
		packed = append(packed, pack(t, 9, want)...)
		got, _, err := contents(t, write(t, packed), Options{})
		if err != nil || !bytes.Equal(got, append(bytes.Clone(want), want...)) {
			t.Errorf("differs: %v", err)
		}
	})
}

// A file cut anywhere is refused with where it ends, or taken as far as it
// goes: never more than that, never other bytes.
func TestCut(t *testing.T) {
	want := sample(160, 5000)
	for i, p := range packings {
		t.Run(p.name, func(t *testing.T) {
			packed := pack(t, i, want)
			path, dir := write(t, packed), t.TempDir()
			first := len(want)
			if p.several {
				first = len(runTool(t, p.command, want[:len(want)/2]))
			}
			for cut := len(packed) - 1; cut >= 6; cut-- {
				if err := os.Truncate(path, int64(cut)); err != nil {
					t.Fatal(err)
				}
				if p.several && cut == first {
					continue // whole, as far as can be known
				}
				_, _, err := contents(t, path, Options{Dir: dir})
				var e *CutError
				if !errors.As(err, &e) || e.Off != int64(cut) || e.Format != p.format || !errors.Is(err, io.ErrUnexpectedEOF) ||
					!strings.HasPrefix(err.Error(), path+": cut short") {
					t.Fatalf("cut at %d of %d: %v", cut, len(packed), err)
				}
				got, spool, err := contents(t, path, Options{Dir: dir, Partial: true})
				if err != nil || !bytes.HasPrefix(want, got) || spool.Cut == nil || spool.Size != int64(len(got)) {
					t.Fatalf("cut at %d of %d, partial: %v, %+v", cut, len(packed), err, spool)
				}
			}
			empty(t, dir)
		})
	}
}

// A file with a wrong bit in any byte is refused, unless the bit means nothing.
func TestDamaged(t *testing.T) {
	want := sample(160, 5000)
	for i, p := range packings {
		if strings.HasSuffix(p.name, "unchecked") || p.format == "gzip" && p.several {
			continue // nothing there tells
		}
		t.Run(p.name, func(t *testing.T) {
			packed := pack(t, i, want)
			path, dir := write(t, packed), t.TempDir()
			refused := 0
			for at := range packed {
				flip := byte(1) << (at % 8)
				packed[at] ^= flip
				if err := os.WriteFile(path, packed, 0o600); err != nil {
					t.Fatal(err)
				}
				packed[at] ^= flip
				got, spool, err := contents(t, path, Options{Dir: dir})
				if err != nil {
					refused++
				} else if spool != nil && !bytes.Equal(got, want) {
					t.Fatalf("byte %d ^ %#x: taken though it differs", at, flip)
				}
			}
			if refused < len(packed)*2/3 {
				t.Errorf("refused %d of %d", refused, len(packed))
			}
			empty(t, dir)
		})
	}
}

func TestTrailingGarbage(t *testing.T) {
	for i, p := range packings {
		t.Run(p.name, func(t *testing.T) {
			_, _, err := contents(t, write(t, append(pack(t, i, sample(160, 500)), "this is no part of it"...)), Options{})
			var e *FormatError
			if !errors.As(err, &e) || e.Format != p.format || !strings.Contains(err.Error(), "copy the file again") {
				t.Errorf("%v", err)
			}
		})
	}
}

// What takes much memory is refused before it is taken.
func TestMemoryLimit(t *testing.T) {
	zstd := []byte("\x28\xb5\x2f\xfd\x00\xb0 a window of 4 GiB") // RFC 8878 3.1.1.1.2: 2^(10+22)
	xz := pack(t, 9, sample(160, 500))
	const head = 12 // the block's header: size, flags, filter, its size, dictionary, padding, CRC-32
	xz[head+4] = 40 // 4 GiB - 1
	end := head + (int(xz[head])+1)*4 - 4
	binary.LittleEndian.PutUint32(xz[end:], crc32.ChecksumIEEE(xz[head:end]))
	for most, packed := range map[string][]byte{"128.0 MiB": zstd, "64.0 MiB": xz} {
		_, _, err := contents(t, write(t, packed), Options{})
		if err == nil || !strings.Contains(err.Error(), "of memory to decompress, "+most+" are allowed") {
			t.Errorf("at most %s: %v", most, err)
		}
	}
}

// What is no core is refused before it takes the disk.
func TestCheck(t *testing.T) {
	dir := t.TempDir()
	bomb := runTool(t, []string{"zstd", "-1"}, make([]byte, 64<<20))
	refusal := errors.New("no core")
	calls := 0
	_, _, err := contents(t, write(t, bomb), Options{Dir: dir, Check: func(r io.ReaderAt) error {
		calls++
		var b [4]byte
		if _, err := r.ReadAt(b[:], 0); err != nil || b != [4]byte{} {
			t.Errorf("%q, %v", b, err)
		}
		return refusal
	}})
	if !errors.Is(err, refusal) || calls != 1 {
		t.Errorf("%v, %d calls", err, calls)
	}
	empty(t, dir)
}

func TestCancel(t *testing.T) {
	dir := t.TempDir()
	cause := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	_, err := Open(ctx, write(t, pack(t, 0, sample(300<<10, 3<<20))), Options{Dir: dir, Check: func(io.ReaderAt) error {
		cancel(cause)
		return nil
	}})
	if !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
	empty(t, dir)
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]string{
		dir:                     "is a directory: name the core file in it",
		"/dev/null":             "is not a regular file",
		filepath.Join(dir, "x"): "no such file or directory",
	} {
		if _, err := Open(t.Context(), path, Options{}); err == nil || !strings.Contains(err.Error(), path+": "+want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	packed := write(t, pack(t, 0, sample(160, 500)))
	_, err := Open(t.Context(), packed, Options{Dir: filepath.Join(dir, "none")})
	if err == nil || !strings.Contains(err.Error(), "--spool-dir") || !strings.Contains(err.Error(), "no such file") {
		t.Errorf("no folder: %v", err)
	}
}

// A temporary with a name of a moment is as good.
func TestNamedTemporary(t *testing.T) {
	dir := t.TempDir()
	fd, err := namedTemporary(dir)
	if err != nil {
		t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), "temporary")
	defer f.Close()
	if _, err := f.WriteAt([]byte("x"), 5); err != nil {
		t.Error(err)
	}
	empty(t, dir)
}
