package lzo

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"testing"

	peer "github.com/anchore/go-lzo"

	"guestcore/test/crashed"
)

// liblzo2 is a running testdata/liblzo2.c.
type liblzo2 struct {
	t   testing.TB
	in  io.Writer
	out *bufio.Reader
}

func startLiblzo2(t testing.TB) *liblzo2 {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		crashed.Missing(t, "gcc is missing: run scripts/setup test")
	}
	if err := exec.Command(gcc, "-E", "-include", "lzo/lzo1x.h", "-x", "c", "/dev/null").Run(); err != nil {
		crashed.Missing(t, "liblzo2-dev is missing: run scripts/setup test")
	}
	exe := filepath.Join(t.TempDir(), "liblzo2")
	if out, err := exec.Command(gcc, "-O2", "-Wall", "-o", exe, "testdata/liblzo2.c", "-llzo2").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(exe)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return &liblzo2{t: t, in: in, out: bufio.NewReader(out)}
}

// ask returns liblzo2's result and status, 0 if all went well.
func (l *liblzo2) ask(op byte, room int, data []byte) ([]byte, int32) {
	l.t.Helper()
	request := binary.NativeEndian.AppendUint32([]byte{op}, uint32(room))
	request = binary.NativeEndian.AppendUint32(request, uint32(len(data)))
	if _, err := l.in.Write(append(request, data...)); err != nil {
		l.t.Fatal(err)
	}
	var answer struct {
		Status int32
		Size   uint32
	}
	if err := binary.Read(l.out, binary.NativeEndian, &answer); err != nil {
		l.t.Fatal(err)
	}
	result := make([]byte, answer.Size)
	if _, err := io.ReadFull(l.out, result); err != nil {
		l.t.Fatal(err)
	}
	return result, answer.Status
}

// TestPeers: liblzo2 and go-lzo unpack our streams, and we those of liblzo2;
// over all, ours are no more than 3 % longer.
func TestPeers(t *testing.T) {
	lib := startLiblzo2(t)
	var e Encoder
	var ours, theirs int
	check := func(data []byte) {
		t.Helper()
		stream := e.Compress(nil, data)
		if got, status := lib.ask('d', len(data), stream); status != 0 || !bytes.Equal(got, data) {
			t.Fatalf("liblzo2 unpacks %d of %d bytes, status %d", len(got), len(data), status)
		}
		got := make([]byte, len(data))
		if n, err := peer.Decompress(stream, got); err != nil || n != len(data) || !bytes.Equal(got, data) {
			t.Fatalf("go-lzo unpacks %d of %d bytes: %v", n, len(data), err)
		}
		packed, status := lib.ask('c', MaxCompressedSize(len(data)), data)
		if status != 0 {
			t.Fatalf("liblzo2 packs with status %d", status)
		}
		clear(got)
		if n, err := Decompress(got, packed); err != nil || n != len(data) || !bytes.Equal(got, data) {
			t.Fatalf("%d of %d bytes come back from liblzo2's stream: %v", n, len(data), err)
		}
		ours += len(stream)
		theirs += len(packed)
	}
	for _, s := range samples {
		data := s.make(1 << 20)
		for n := range 600 {
			check(data[n : 2*n])
		}
		for _, n := range []int{4095, 4096, 4097, 49151, 49152, 49153, 64 << 10, 1 << 20} {
			check(data[:n])
		}
	}
	for _, size := range []int{4 << 10, 64 << 10} {
		ours, theirs = 0, 0
		for _, page := range pages(size) {
			check(page)
		}
		t.Logf("pages of %d KiB: %d bytes, liblzo2 %d: %.3f of it", size>>10, ours, theirs, float64(ours)/float64(theirs))
		if ours*100 > theirs*103 {
			t.Errorf("pages of %d KiB: %d bytes, liblzo2 %d", size>>10, ours, theirs)
		}
	}
}

// TestVerdicts: of streams with errors in them, we and liblzo2 take the same
// ones and unpack the same bytes.
func TestVerdicts(t *testing.T) {
	lib := startLiblzo2(t)
	r := rand.New(rand.NewPCG(11, 0))
	taken := 0
	for i := range 60000 {
		stream, room := damaged(r, i)
		got := make([]byte, room)
		n, err := Decompress(got, stream)
		want, status := lib.ask('d', room, stream)
		if (err == nil) != (status == 0) {
			t.Fatalf("%x into %d bytes: %v; liblzo2's status %d", stream, room, err, status)
		}
		if err == nil {
			taken++
			if !bytes.Equal(got[:n], want) {
				t.Fatalf("%x into %d bytes: we and liblzo2 differ in what they unpack", stream, room)
			}
		}
	}
	t.Logf("%d streams are taken", taken)
	if taken < 1000 {
		t.Errorf("only %d streams are taken: there is little to compare", taken)
	}
}

// damaged is a stream with a few bytes changed, or of random instructions, and
// room for what is in it or somewhat less.
func damaged(r *rand.Rand, i int) (stream []byte, room int) {
	if i%2 == 0 {
		data := samples[i/2%len(samples)].make(1 + r.IntN(200))
		stream = Compress(nil, data)
		for range r.IntN(3) {
			stream[r.IntN(len(stream))] = byte(r.Uint32())
		}
		return stream, len(data) + r.IntN(3) - 1
	}
	for range 1 + r.IntN(6) {
		stream = append(stream, noise(1+r.IntN(5), r.Uint64())...)
		stream[r.IntN(len(stream))] &= 0x1f // small lengths and distances
	}
	return append(stream, byte(0x10+r.IntN(8)), byte(r.IntN(4)), 0), 1000
}
