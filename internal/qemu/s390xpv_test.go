package qemu

import (
	"strings"
	"testing"

	"guestcore/internal/addr"
)

// s390x makes the fake's machine one of s390x, whose third byte behind
// MachineState is pv.
func (f *fake) s390x(pv byte) {
	size := f.size("MachineState")
	f.qomType(typeS390Machine, "machine", size+16)
	f.qomType("s390-ccw-virtio-fake-machine", typeS390Machine, size+16)
	f.machine = f.object("s390-ccw-virtio-fake-machine", size+16)
	f.put(fakeData+1024, uint64(f.machine))
	f.bytes(f.machine + addr.HVA(size))[2] = pv
}

func TestS390Protected(t *testing.T) {
	for _, tt := range []struct {
		name   string
		pv     byte
		object bool // that allows protected mode
		want   string
	}{
		{"ordinary", 0, false, ""},
		{"allowed, not asked for", 0, true, ""},
		{"protected", 1, true, typeS390Guest},
		{"protected without the object", 1, false, typeS390Guest},
		{"loadparm before 5.0", 'A', false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, "9.0.0")
			f.s390x(tt.pv)
			if tt.object {
				f.confide(typeS390Guest, "kvm")
			} else {
				f.confide("object", "kvm")
			}
			vm, m := openGuest(t, f)
			if got := vm.Machine().Confidential; got != tt.want {
				t.Errorf("confidential %q, want %q", got, tt.want)
			}
			if sealed := strings.Contains(m.Sealed, "protected virtualization"); sealed != (tt.want != "") {
				t.Errorf("sealed %q", m.Sealed)
			}
		})
	}
}
