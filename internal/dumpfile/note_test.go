package dumpfile

import (
	"encoding/binary"
	"testing"
)

func TestParseNotes(t *testing.T) {
	raw := []byte("\x05\x00\x00\x00\x03\x00\x00\x00\x07\x00\x00\x00NONE\x00\x00\x00\x00abc\x00" +
		"\x06\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00VBCORE\x00\x00z")
	notes, err := parseNotes(binary.LittleEndian, raw) // the padding behind the last may be missing
	if err != nil || len(notes) != 2 || notes[0].name != "NONE" || notes[0].typ != 7 || string(notes[0].desc) != "abc" ||
		notes[1].name != "VBCORE" || string(notes[1].desc) != "z" {
		t.Errorf("%+v, %v", notes, err)
	}
	for n := 1; n < len(raw); n++ {
		if n == 23 || n == 24 { // the first note is whole
			continue
		}
		if notes, err := parseNotes(binary.LittleEndian, raw[:n]); err == nil || len(notes) > 1 {
			t.Errorf("cut to %d bytes: %d notes, %v", n, len(notes), err)
		}
	}
	if _, err := parseNotes(binary.BigEndian, raw); err == nil {
		t.Error("the other byte order is not noticed")
	}
}

// FuzzNotes wants notes that fit what they were read from.
func FuzzNotes(f *testing.F) {
	f.Add([]byte("\x05\x00\x00\x00\x03\x00\x00\x00\x07\x00\x00\x00NONE\x00\x00\x00\x00abc\x00"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
			notes, err := parseNotes(order, raw)
			n := 0
			for _, x := range notes {
				n += 12 + len(x.name) + len(x.desc)
			}
			if n > len(raw) || err == nil && len(raw) > 0 && len(notes) == 0 {
				t.Errorf("%d notes of %d bytes in %d, %v", len(notes), n, len(raw), err)
			}
		}
	})
}
