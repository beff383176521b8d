package monitor

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestChooseCPU(t *testing.T) {
	all := []CPU{{Index: 0}, {Index: 2}}
	for _, tt := range []struct {
		args []string
		want int
		err  string
	}{
		{nil, 0, ""},
		{[]string{"2"}, 2, ""},
		{[]string{"1"}, 0, `there is no CPU 1: "info cpus" lists them`},
		{[]string{"-1"}, 0, "there is no CPU -1"},
		{[]string{"rip"}, 0, `"rip" is no number of a CPU`},
	} {
		c, err := choose(all, tt.args)
		if tt.err == "" && (err != nil || c.Index != tt.want) || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%q: CPU %d, %v; want %d, %q", tt.args, c.Index, err, tt.want, tt.err)
		}
	}
}

func TestRegisterJSON(t *testing.T) {
	got, err := json.Marshal(Register{Name: "rip", Value: []byte{0xf0, 0xff, 0, 0}})
	if want := `{"name":"rip","value":"0x0000fff0"}`; err != nil || string(got) != want {
		t.Errorf("%s, %v; want %s", got, err, want)
	}
}

func TestPrintCPUs(t *testing.T) {
	var out strings.Builder
	printCPUs(&out, Info{CPUs: []CPU{
		{Index: 0, Thread: 41, Activity: "halted", Trust: "valid"},
		{Index: 10, Trust: "unknown", Reason: "not in the core"},
	}})
	want := `CPU  thread   activity   registers
  0  41       halted     valid
 10  unknown  unknown    unknown: not in the core
`
	if out.String() != want {
		t.Errorf("%s, want\n%s", &out, want)
	}
}
