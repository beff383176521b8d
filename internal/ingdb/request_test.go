package ingdb

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

func TestReadRequest(t *testing.T) {
	const whole = "\x01inferiors\x00dump-guest-memory a b\x004711\x00"
	want := request{"inferiors", "dump-guest-memory a b", 4711}
	for _, test := range []struct {
		name, text string
		want       request
	}{
		{"whole", whole, want},
		{"broken off in the first field", "\x01infer" + whole, want},
		{"broken off in the second", "\x01inferiors\x00dump" + whole, want},
		{"broken off in the third", "\x01inferiors\x00dump\x0012" + whole, want},
		{"rest of another", "rest\x0012\x00" + whole, want},
		{"no number", "\x01a\x00b\x00c\x00", request{"a", "b", 0}},
		{"empty", "\x01\x00\x00\x00", request{}},
		{"long", "\x01" + strings.Repeat("x", maxField+7) + "\x00b\x001\x00", request{strings.Repeat("x", maxField), "b", 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := bufio.NewReader(strings.NewReader(test.text + whole))
			for _, want := range []request{test.want, want} {
				if got, err := readRequest(r); err != nil || got != want {
					t.Fatalf("%+.80v, %v, want %+.80v", got, err, want)
				}
			}
			if _, err := readRequest(r); err != io.EOF {
				t.Errorf("at the end: %v", err)
			}
		})
	}
}

// What was sent before, whole or not, is not in a request that begins.
func FuzzReadRequest(f *testing.F) {
	f.Add([]byte("\x01a\x00b"), []byte("dump-guest-memory x"))
	f.Add([]byte("\x01a\x00b\x00\x00"), []byte(""))
	f.Fuzz(func(t *testing.T, before, line []byte) {
		clean := strings.Map(func(r rune) rune {
			if r <= 1 {
				return -1
			}
			return r
		}, string(line))
		r := bufio.NewReader(strings.NewReader(string(before) + "\x01shown\x00" + clean + "\x007\x00"))
		var last request
		for {
			q, err := readRequest(r)
			if err != nil {
				break
			}
			last = q
		}
		if len(clean) <= maxField && last != (request{"shown", clean, 7}) {
			t.Errorf("%+v", last)
		}
	})
}
