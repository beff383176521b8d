package wire

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// pump feeds a stream in one go.
func pump(d *Decoder, stream string) []Event {
	var events []Event
	for _, c := range []byte(stream) {
		if e, ok := d.Byte(c); ok {
			events = append(events, e)
		}
	}
	return events
}

// show writes events as "packet:body ack …".
func show(events []Event) string {
	var words []string
	for _, e := range events {
		w := e.Kind.String()
		if e.Kind == Packet || e.Kind == Notification {
			w += ":" + string(e.Body)
		}
		words = append(words, w)
	}
	return strings.Join(words, " ")
}

func TestRequestDecoder(t *testing.T) {
	for _, tt := range []struct{ name, stream, want string }{
		{"packet", "$?#3f", "packet:?"},
		{"empty packet", "$#00", "packet:"},
		{"capital checksum", "$OK#9A", "packet:OK"},
		{"wrong checksum", "$?#40", "damaged"},
		{"checksum that is no hex", "$?#zz", "damaged"},
		{"two in a row", "$?#3f$g#67", "packet:? packet:g"},
		{"acks around", "+$?#3f-+", "ack packet:? nack ack"},
		{"garbage before", "abc#12\r\n$?#3f", "packet:?"},
		{"interrupt", "\x03$?#3f\x03", "interrupt packet:? interrupt"},
		{"interrupt byte in a body", "$\x03#03", "packet:\x03"},
		{"a packet cut off by the next", "$qSupp$?#3f", "packet:?"},
		{"requests have no runs", "$0* #7a", "packet:0* "},
		{"requests have no notifications", "%a#61", ""},
		{"escapes stay", "$}\x03#80", "packet:}\x03"},
		{"too long", "$" + strings.Repeat("\x00", 33) + "#00", "too long"},
		{"as long as may be", "$" + strings.Repeat("\x00", 32) + "#00", "packet:" + strings.Repeat("\x00", 32)},
		{"unfinished", "$?#3", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := show(pump(NewRequestDecoder(32), tt.stream)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestReplyDecoder(t *testing.T) {
	for _, tt := range []struct{ name, stream, want string }{
		{"run", "$0* #7a", "packet:0000"},
		{"run with nothing before", "$*!#4b", "packet:"},
		{"count too small", "$a*\x10#9b", "packet:a"},
		{"notification", "%Stop:x#58", "notification:Stop:x"},
		{"no interrupts", "\x03", ""},
		{"run over the limit", "$0*~*~#80", "too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := show(pump(NewReplyDecoder(100), tt.stream)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAppendPacketRuns(t *testing.T) {
	for _, tt := range []struct {
		name, body, want string
	}{
		{"three are sent as they are", "aaa", "$aaa#23"},
		{"four", "0000", "$0* #7a"},
		{"seven may not become #", "0000000", "$0*\"0#ac"},
		{"nothing", "", "$#00"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(AppendPacket(nil, []byte(tt.body))); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	// Every length of run comes back, and no count is a sign of the framing.
	for n := range 400 {
		body := bytes.Repeat([]byte("0"), n)
		packet := AppendPacket(nil, body)
		if i := bytes.IndexAny(packet[1:], "$#+-"); packet[1+i] != '#' || 1+i != len(packet)-3 {
			t.Fatalf("run of %d: %q has a sign of the framing inside", n, packet)
		}
		events := pump(NewReplyDecoder(400), string(packet))
		if len(events) != 1 || !bytes.Equal(events[0].Body, body) {
			t.Fatalf("run of %d came back as %s", n, show(events))
		}
	}
	if page := AppendPacket(nil, make([]byte, 4096)); len(page) > 140 {
		t.Errorf("a zero page takes %d bytes", len(page))
	}
}

func TestAppendEscapedLimit(t *testing.T) {
	data := []byte("ab}cd")
	for limit, want := range []int{0, 1, 2, 2, 3, 4, 5, 5} {
		got, n := AppendEscaped(nil, data, limit)
		if n != want || len(got) > limit {
			t.Errorf("limit %d: took %d bytes as %q, want %d", limit, n, got, want)
		}
	}
	if _, err := Unescape([]byte("ab}")); err == nil {
		t.Error("an escape sign at the end is no error")
	}
}

// FuzzDecoder: whatever the stream, a packet found in it is within the limit
// and one that can be sent.
func FuzzDecoder(f *testing.F) {
	f.Add([]byte("+$qSupported:multiprocess+#c6$?#3f\x03-"), true)
	f.Add([]byte("$0* #7a%Stop:x#58$m0,4#fd"), false)
	f.Fuzz(func(t *testing.T, stream []byte, replies bool) {
		const limit = 1 << 10
		d := NewRequestDecoder(limit)
		if replies {
			d = NewReplyDecoder(limit)
		}
		for _, e := range pump(d, string(stream)) {
			if len(e.Body) > limit {
				t.Fatalf("body of %d bytes, limit %d", len(e.Body), limit)
			}
			if e.Kind != Packet && e.Kind != Notification {
				if e.Body != nil {
					t.Fatalf("%s with a body", e.Kind)
				}
				continue
			}
			if !replies {
				again := pump(NewRequestDecoder(limit), string(AppendRequest(nil, e.Body)))
				if len(again) != 1 || again[0].Kind != Packet || !bytes.Equal(again[0].Body, e.Body) {
					t.Fatalf("%q came back as %s", e.Body, show(again))
				}
			}
		}
	})
}

// FuzzRoundTrip: data sent as a binary reply comes back, whatever stands
// before and behind it on the line.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("}#$*+-\x03"), []byte("#99"))
	f.Add(bytes.Repeat([]byte{0}, 300), []byte("+"))
	f.Fuzz(func(t *testing.T, data, noise []byte) {
		noise = slices.DeleteFunc(noise, func(c byte) bool { return c == '$' || c == '%' })
		body, n := AppendEscaped(nil, data, 2*len(data))
		if n != len(data) {
			t.Fatalf("%d of %d bytes escaped", n, len(data))
		}
		if i := bytes.IndexAny(body, "#$*"); i >= 0 {
			t.Fatalf("%q left in the body", body[i])
		}
		stream := slices.Concat(noise, AppendPacket(nil, body), AppendNotification(nil, body), noise)
		var bodies [][]byte
		for _, e := range pump(NewReplyDecoder(2*len(data)), string(stream)) {
			switch e.Kind {
			case Packet, Notification:
				bodies = append(bodies, e.Body)
			case Damaged, TooLong:
				t.Fatalf("a packet came back as %s", e.Kind)
			}
		}
		if len(bodies) != 2 {
			t.Fatalf("%d packets came back, 2 were sent", len(bodies))
		}
		for _, b := range bodies {
			got, err := Unescape(b)
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("%q came back as %q, %v", data, got, err)
			}
		}
	})
}
