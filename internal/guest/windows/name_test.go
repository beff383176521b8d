package windows

import (
	"testing"

	"guestcore/internal/guest"
	"guestcore/test/winguest"
)

// A header that was handed over names the kernel, whether it will do for a dump
// or not; who has none is not called Windows.
func TestName(t *testing.T) {
	for name, kind := range kinds {
		m := machine(t, winguest.New(kind))
		m.Kernel = &guest.Kernel{}
		Name(m)
		if k := m.Kernel; k.System != "Windows" || k.Release != "build 7601" || k.Note != "the header of a Windows crash dump, in the vmcoreinfo device" || len(k.Remarks) != 1 {
			t.Errorf("%s: %+v", name, *k)
		}
		if err := Identify(t.Context(), m, Options{}); err != nil {
			t.Fatal(err)
		}
		of := guest.Machine{Arch: m.Arch, Windows: m.Windows, Kernel: &guest.Kernel{}}
		Name(&of)
		if k := of.Kernel; k.System != "Windows" || k.Release != "build 7601" || k.Note != "" || len(k.Remarks) != 0 {
			t.Errorf("%s, out of a dump: %+v", name, *k)
		}
	}
	linux := guest.Machine{VMCoreInfo: []byte("no such note"), Kernel: &guest.Kernel{System: "Linux"}}
	if Name(&linux); linux.Kernel.System != "Linux" {
		t.Errorf("%+v", *linux.Kernel)
	}
}
