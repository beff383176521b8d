package rsp_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"guestcore/internal/rsp"
	"guestcore/internal/rsp/rsptest"
	"guestcore/internal/rsp/wire"
)

func TestTranscripts(t *testing.T) {
	for _, tt := range []struct {
		file   string
		target rsp.Target
		opts   rsp.Options
	}{
		{"framing", newBare(), rsp.Options{}},
		{"bare", newBare(), rsp.Options{}},
		{"rich", newRich(), rsp.Options{}},
		{"monitor", newRich(), rsp.Options{}},
		{"disabled", newRich(), rsp.Options{DisablePackets: []string{"vCont", "x", "qXfer:threads", "vFile:open"}}},
		{"empty", &bare{}, rsp.Options{}},
	} {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			rsptest.Transcript(t, connect(t, tt.target, tt.opts), "testdata/"+tt.file+".txt")
		})
	}
}

func TestSymbolFound(t *testing.T) {
	target := newRich()
	c := connect(t, target, rsp.Options{})
	for _, p := range []string{"qSymbol::", "qSymbol:401000:6d61696e"} {
		if _, err := c.Ask(p); err != nil {
			t.Fatal(err)
		}
	}
	if got := target.symbols["main"]; got != 0x401000 {
		t.Errorf("main is at %#x", got)
	}
}

// Much output comes whole, in far fewer packets than lines.
func TestMonitorChunks(t *testing.T) {
	c := connect(t, newRich(), rsp.Options{})
	if err := c.Send("qRcmd," + hex.EncodeToString([]byte("many 5000"))); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	packets := 0
	for {
		body, err := c.Receive()
		if err != nil {
			t.Fatal(err)
		}
		if body == "OK" {
			break
		}
		packets++
		part, err := hex.DecodeString(strings.TrimPrefix(body, "O"))
		if err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		text.Write(part)
	}
	if lines := strings.Count(text.String(), "\n"); lines != 5000 || !strings.HasSuffix(text.String(), "line 4999 of many\n") {
		t.Errorf("%d lines came, 5000 were written", lines)
	}
	if packets > 500 {
		t.Errorf("%d packets for 5000 lines", packets)
	}
}

// A client that leaves takes its command with it.
func TestHangUpDuringMonitor(t *testing.T) {
	for _, command := range []string{"wait", "flood"} {
		t.Run(command, func(t *testing.T) {
			checkLeaks(t)
			target := newRich()
			c := connect(t, target, rsp.Options{})
			if err := c.Send("qRcmd," + hex.EncodeToString([]byte(command))); err != nil {
				t.Fatal(err)
			}
			<-target.waiting
			c.Close()
			waitFor(t, time.Second, func() bool { return strings.HasPrefix(target.lastEnded(), "interrupted: gdb") })
		})
	}
}

// slowTarget takes its time to read memory.
type slowTarget struct {
	*bare
	takes time.Duration
}

func (s slowTarget) ReadMemory(t rsp.TID, p []byte, addr uint64) (int, error) {
	time.Sleep(s.takes)
	return s.bare.ReadMemory(t, p, addr)
}

// A slow answer is announced, and a client that loses its patience and asks
// again, and again, gets one answer to each question.
func TestSlowAnswer(t *testing.T) {
	t.Parallel()
	c := connect(t, slowTarget{newBare(), 2500 * time.Millisecond}, rsp.Options{})
	if err := c.Send("m10000,1"); err != nil {
		t.Fatal(err)
	}
	again := wire.AppendRequest(nil, []byte("qC"))
	for _, p := range [][]byte{[]byte("-"), again, again, again} {
		if err := c.Raw(p); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for {
		e, err := c.Next(3 * time.Second)
		if errors.Is(err, rsptest.ErrSilence) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %s", e.Kind, e.Body))
	}
	want := []string{"notification wait:", "notification wait:", "packet 00", "ack ", "packet QC64"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("want (-), got (+):\n%s", diff)
	}
}

// panicTarget has a defect.
type panicTarget struct{ *bare }

func (panicTarget) Registers(rsp.TID) ([]rsp.Register, error) { panic("a defect") }

func TestPanicIsAnError(t *testing.T) {
	c := connect(t, panicTarget{newBare()}, rsp.Options{})
	for _, step := range [][2]string{{"g", "E01"}, {"qC", "QC64"}} {
		if got, err := c.Ask(step[0]); err != nil || got != step[1] {
			t.Errorf("%s: %q, %v", step[0], got, err)
		}
	}
}

func TestServeEndsWithContext(t *testing.T) {
	checkLeaks(t)
	ours, theirs := net.Pipe()
	defer ours.Close()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- rsp.Serve(ctx, theirs, newBare(), rsp.Options{}) }()
	cancel()
	if err := <-served; !errors.Is(err, context.Canceled) {
		t.Errorf("Serve: %v", err)
	}
}

func TestTooLongRequest(t *testing.T) {
	c := connect(t, newBare(), rsp.Options{})
	if got, err := c.Ask("X" + strings.Repeat("0", 0x20001)); err != nil || got != "E01" {
		t.Errorf("%q, %v", got, err)
	}
}

// waitFor polls until done is true.
func waitFor(t *testing.T, limit time.Duration, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v", limit)
		}
	}
}

// BenchmarkRead is gdb's way to read memory, but for gdb.
func BenchmarkRead(b *testing.B) {
	for _, bm := range []struct{ name, request string }{
		{"m data", "m0,10000"},
		{"m zeros", "m100000,10000"},
		{"x data", "x0,10000"},
		{"x zeros", "x100000,10000"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			ours, theirs := net.Pipe()
			served := make(chan error, 1)
			go func() { served <- rsp.Serve(context.Background(), theirs, newFlat(), rsp.Options{}) }()
			c := rsptest.NewClient(ours)
			defer func() {
				c.Close()
				<-served
			}()
			b.SetBytes(0x10000)
			for b.Loop() {
				if _, err := c.Ask(bm.request); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// flat is a target with 1 MiB of noise and 1 MiB of zeros.
type flat struct {
	*bare
	mem []byte
}

func newFlat() flat {
	mem := make([]byte, 2<<20)
	rand.NewChaCha8([32]byte{}).Read(mem[:1<<20])
	return flat{newBare(), mem}
}

func (f flat) ReadMemory(_ rsp.TID, p []byte, addr uint64) (int, error) {
	return copy(p, f.mem[min(addr, uint64(len(f.mem))):]), nil
}
