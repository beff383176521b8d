package procmaps

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestFilledByOthers(t *testing.T) {
	const head = "7f0c40000000-7f0c80000000 rw-p 00000000 00:00 0 \nRss: 0 kB\n"
	for _, c := range []struct {
		name  string
		smaps io.Reader
		want  bool
	}{
		{"ordinary", strings.NewReader(head + "VmFlags: rd wr mr mw me ac \n"), false},
		{"missing pages", strings.NewReader(head + "VmFlags: rd wr mr mw me um ac \n"), true},
		{"minor faults", strings.NewReader(head + "VmFlags: rd wr ui\n" + head + "VmFlags: rd\n"), true},
		{"watched writes", strings.NewReader(head + "VmFlags: rd wr uw\n"), false},
		{"a name with the letters", strings.NewReader(head + "7f-80 r--p 0 0:0 1 /um um\nVmFlags: rd\n"), false},
		{"not to be read", io.MultiReader(strings.NewReader(head), iotest.ErrReader(io.ErrClosedPipe)), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := FilledByOthers(c.smaps); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
