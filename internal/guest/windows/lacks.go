package windows

import (
	"fmt"
	"strings"

	"guestcore/internal/arch"
	"guestcore/internal/guest"
)

// lacks gathers what is to be said of the processors' registers. Processors of
// which the same is to be said share a remark.
type lacks struct {
	o     Options
	order []string
	who   map[string][]string
}

func (l *lacks) say(cpu int, what string) {
	if l.who == nil {
		l.who = map[string][]string{}
	}
	if l.who[what] == nil {
		l.order = append(l.order, what)
	}
	l.who[what] = append(l.who[what], fmt.Sprint(cpu))
}

// unusable says why a processor's context is not written.
func (l *lacks) unusable(cpu guest.CPU) {
	what := fmt.Sprintf("are %s: the file has the context that the guest had", cpu.Label())
	if cpu.Trust == guest.Stale {
		what += ", --stale-registers writes them all the same"
	}
	l.say(cpu.Index, what)
}

// written says in what a context that is written is limited.
func (l *lacks) written(cpu guest.CPU, s *arch.X86, wide bool) {
	if cpu.Trust != guest.Valid || cpu.Reason != "" {
		l.say(cpu.Index, "are "+cpu.Label())
	}
	if s.DR == nil {
		l.say(cpu.Index, "lack the debug registers, and the context does not claim them")
	}
	switch {
	case s.FPU == nil:
		l.say(cpu.Index, "lack those of x87 and SSE, and the context does not claim them")
	case !l.o.Float && wide:
		l.say(cpu.Index, "have zeros for x87 and SSE in the file, as in QEMU's own: --float-context writes those too")
	case !l.o.Float:
		l.say(cpu.Index, "are without those of x87 and SSE in the file, as in QEMU's own: --float-context writes those too")
	}
	if !wide && s.LongMode() {
		l.say(cpu.Index, "are of long mode, and the file of a 32-bit guest has half of each")
	}
}

func (l *lacks) remarks() []string {
	var all []string
	for _, what := range l.order {
		all = append(all, fmt.Sprintf("the registers of CPU %s %s", strings.Join(l.who[what], ", "), what))
	}
	return all
}
