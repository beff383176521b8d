package rsp_test

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"
	"testing"

	"guestcore/internal/rsp"
	"guestcore/internal/rsp/wire"
)

// tape is a client that says all it has to say at once and then leaves.
type tape struct {
	in  io.Reader
	mu  sync.Mutex
	out bytes.Buffer
}

func (t *tape) Read(p []byte) (int, error) { return t.in.Read(p) }

func (t *tape) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.out.Write(p)
}

func (*tape) Close() error { return nil }

// FuzzServe: whatever a client sends, all packets it gets are whole and within
// the size it was told, there is no more than one answer to a request (and no
// end of output), and the next proper request is answered.
func FuzzServe(f *testing.F) {
	for _, body := range []string{
		"qSupported:multiprocess+;error-message+", "?", "Hgp64.64", "g", "p1f", "m10000,80", "x18000,ffffff", "vCont;c",
		"qXfer:threads:read::0,fff", "qXfer:features:read:core.xml:10,fffffff", "qfThreadInfo",
		"vFile:open:2f70726f632f3130302f636d646c696e65,0,0", "vFile:pread:3,fffffff,1", "vFile:fstat:3", "qSymbol::", "qGetTLSAddr:p64.64,1,1",
		"qRcmd,77616974", "qRcmd,6661696c", "qSearch:memory:10000;9000;a", "qCRC:10000,9000", "Z0,1,1", "k", "D;64",
	} {
		f.Add([]byte(body), []byte("+"))
	}
	f.Add([]byte("qRcmd,666c6f6f64"), []byte("-\x03$$#00"))
	f.Fuzz(func(t *testing.T, body, noise []byte) {
		const last = "qC"
		stream := bytes.Join([][]byte{
			wire.AppendRequest(nil, body), noise, wire.AppendRequest(nil, body), wire.AppendRequest(nil, []byte(last)),
		}, nil)
		c := &tape{in: bytes.NewReader(stream)}
		target := newRich()
		go func() {
			for range target.waiting {
			}
		}()
		err := rsp.Serve(context.Background(), c, target, rsp.Options{})
		close(target.waiting)
		if err != nil {
			t.Fatalf("Serve: %v", err)
		}
		dec := wire.NewReplyDecoder(0x20000)
		var answers []string
		acks := 0
		for _, b := range c.out.Bytes() {
			e, ok := dec.Byte(b)
			switch {
			case !ok:
			case e.Kind == wire.Ack:
				acks++
			case e.Kind == wire.Packet:
				if s := string(e.Body); s == "OK" || !strings.HasPrefix(s, "O") {
					answers = append(answers, s)
				}
			case e.Kind == wire.Damaged, e.Kind == wire.TooLong:
				t.Fatalf("the server sent a packet that is %s", e.Kind)
			}
		}
		// A "-" in the noise may have an answer sent again.
		if len(answers) > acks+bytes.Count(stream, []byte("-")) {
			t.Errorf("%d answers to %d requests: %q", len(answers), acks, answers)
		}
		if len(answers) == 0 || !strings.HasPrefix(answers[len(answers)-1], "QC") {
			t.Errorf("the last request was not answered: %q", answers)
		}
	})
}
