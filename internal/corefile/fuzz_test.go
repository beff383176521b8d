package corefile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

func FuzzDetect(f *testing.F) {
	for _, format := range formats {
		f.Add([]byte(format.magic))
		f.Add(append([]byte("\x5f\x2a\x4d\x18\x02\x00\x00\x00ab"), format.magic...))
	}
	f.Add([]byte("\x7fELF\x02\x01\x01"))
	f.Add(bytes.Repeat([]byte("\x50\x2a\x4d\x18\x00\x00\x00\x00"), 100))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := detect(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case got != nil && !bytes.Contains(data, []byte(got.magic)):
			t.Errorf("%s without its first bytes", got.name)
		case got == nil:
			for _, format := range formats {
				if strings.HasPrefix(string(data), format.magic) {
					t.Errorf("%s is not told", format.name)
				}
			}
		case !bytes.HasPrefix(data, []byte(got.magic)) && binary.LittleEndian.Uint32(data)>>4 != skippable>>4:
			t.Errorf("%s, though other bytes come first", got.name)
		}
	})
}

// The container of xz, held against the module's own reader.
func FuzzXZ(f *testing.F) {
	for i, p := range packings {
		if p.format == "xz" {
			f.Add(pack(f, i, sample(160, 500)))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const most = 16 << 20
		got, err := io.ReadAll(io.LimitReader(&xzReader{r: bufio.NewReader(bytes.NewReader(data))}, most))
		if err != nil || len(got) == most {
			return
		}
		r, err := xz.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("taken, though the module says %v", err)
		}
		want, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("taken as %d bytes, the module has %d, %v", len(got), len(want), err)
		}
	})
}
