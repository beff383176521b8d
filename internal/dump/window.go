package dump

import (
	"fmt"

	"guestcore/internal/addr"
	"guestcore/internal/guest"
)

// Window limits a dump to a range of guest-physical addresses, as begin and
// length of QEMU's dump-guest-memory do: ranges of memory are clipped at its
// ends. The zero Window limits nothing.
type Window struct {
	Begin  addr.GPA
	Length uint64 // bytes
}

// IsZero reports whether w limits nothing.
func (w Window) IsZero() bool { return w == Window{} }

// String is the range, its end behind the last byte.
func (w Window) String() string {
	return fmt.Sprintf("%#x-%#x", uint64(w.Begin), uint64(w.Begin)+w.Length)
}

// clip is the part of r inside the window; ok is false if there is none.
func (w Window) clip(r guest.Range) (in guest.Range, ok bool) {
	if w.IsZero() {
		return r, true
	}
	if r.Addr < w.Begin {
		before := uint64(w.Begin - r.Addr)
		if before >= r.Size {
			return guest.Range{}, false
		}
		r.Addr, r.Host, r.Size = w.Begin, r.Host+addr.HVA(before), r.Size-before
	}
	into := uint64(r.Addr - w.Begin) // the window, where the range begins
	if into >= w.Length {
		return guest.Range{}, false
	}
	r.Size = min(r.Size, w.Length-into)
	return r, true
}
