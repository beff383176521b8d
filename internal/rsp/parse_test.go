package rsp

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// parsed shows a request, or that it is refused.
func parsed[R any](r R, err error) string {
	if err != nil {
		return "refused"
	}
	return fmt.Sprintf("%v", r)
}

func TestParse(t *testing.T) {
	for _, tt := range []struct{ packet, args, want string }{
		{"m", "1000,10", "{4096 16}"},
		{"m", "ffffffffffffffff,ffffffffffffffff", "{18446744073709551615 9223372036854775807}"},
		{"m", "10000000000000000,1", "refused"},
		{"m", "1000", "refused"},
		{"m", ",", "refused"},
		{"m", "-1,1", "refused"},
		{"T", "1f", "{0 31}"},
		{"T", "-1", "{0 -1}"},
		{"T", "p2.3", "{2 3}"},
		{"T", "p2", "{2 -1}"},
		{"T", "p-1.-1", "{-1 -1}"},
		{"T", "p", "refused"},
		{"T", "p1.", "refused"},
		{"T", "-2", "refused"},
		{"T", "fffffffff", "refused"},
		{"H", "g0", "{103 {0 0}}"},
		{"H", "cp1.-1", "{99 {1 -1}}"},
		{"H", "g", "refused"},
		{"p", "1a", "26"},
		{"p", "", "refused"},
		{"qSupported", "a+;b-;c=1;;d+", "map[a:true d:true]"},
		{"qRcmd", "68656c70", "help"},
		{"qRcmd", "686", "refused"},
		{"qXfer", "auxv:read::0,1000", "{auxv  false 0 4096}"},
		{"qXfer", "features:read:a:b.xml:10,20", "{features a:b.xml false 16 32}"},
		{"qXfer", "spu:write:regs:0:ab", "{spu  true 0 0}"},
		{"qXfer", "auxv:read:0,1000", "refused"},
		{"qXfer", "auxv:read::0", "refused"},
		{"qXfer", "auxv", "refused"},
		{"qSearch", "memory:1000;20;a;b", "{{4096 32} [97 59 98]}"},
		{"qSearch", "memory:1000;20;}\x03", "{{4096 32} [35]}"},
		{"qSearch", "memory:1000;20;}", "refused"},
		{"qSearch", "memory:1000;20;", "refused"},
		{"qSearch", "memory:1000;20", "refused"},
		{"qSearch", "files:1000;20;a", "refused"},
		{"qSymbol", ":", "{ 0 false}"},
		{"qSymbol", "10:6d61696e", "{main 16 true}"},
		{"qSymbol", ":6d61696e", "{main 0 false}"},
		{"qSymbol", "10", "refused"},
		{"qGetTLSAddr", "p1.2,10,20", "{{1 2} 16 32}"},
		{"qGetTLSAddr", "p1.2,10", "refused"},
		{"vFile", "pread:3,10,20", "{pread [3 10 20]}"},
		{"vFile", "setfs", "refused"},
	} {
		t.Run(tt.packet+tt.args, func(t *testing.T) {
			got := map[string]func(string) string{
				"m":           func(a string) string { return parsed(parseRange(a)) },
				"T":           func(a string) string { return parsed(parseThreadID(a)) },
				"H":           func(a string) string { return parsed(parseSelect(a)) },
				"p":           func(a string) string { return parsed(parseHex(a)) },
				"qSupported":  func(a string) string { return parsed(parseSupported(a)) },
				"qRcmd":       func(a string) string { return parsed(parseHexText(a)) },
				"qXfer":       func(a string) string { return parsed(parseXfer(a)) },
				"qSearch":     func(a string) string { return parsed(parseSearch(a)) },
				"qSymbol":     func(a string) string { return parsed(parseSymbol(a)) },
				"qGetTLSAddr": func(a string) string { return parsed(parseTLS(a)) },
				"vFile":       func(a string) string { return parsed(parseFileCall(a)) },
			}[tt.packet](tt.args)
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestSplitName(t *testing.T) {
	for _, tt := range []struct{ body, name, args string }{
		{"", "", ""},
		{"?", "?", ""},
		{"g", "g", ""},
		{"m1000,4", "m", "1000,4"},
		{"qC", "qC", ""},
		{"qCRC:1,2", "qCRC", "1,2"},
		{"qXfer:auxv:read::0,1", "qXfer", "auxv:read::0,1"},
		{"qSymbol::", "qSymbol", ":"},
		{"vCont?", "vCont?", ""},
		{"vCont;c", "vCont", "c"},
		{"qRcmd,6869", "qRcmd", "6869"},
		{"vMustReplyEmpty", "vMustReplyEmpty", ""},
		{"D;64", "D", ";64"},
	} {
		name, args := splitName(tt.body)
		if diff := cmp.Diff([]string{tt.name, tt.args}, []string{name, args}); diff != "" {
			t.Errorf("%q: want (-), got (+):\n%s", tt.body, diff)
		}
	}
}
