package qemu

import (
	"encoding/binary"
	"strings"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
)

// confide has the machine of a fake point to an object of a type, under an
// accelerator.
func (f *fake) confide(typ, accel string) {
	f.qomType("confidential-guest-support", "object", 48)
	f.qomType(typ, "confidential-guest-support", 256)
	f.qomType(accel+"-accel", "accel", 64)
	f.put(f.machine+0xb8, uint64(f.object(accel+"-accel", 64)))
	f.put(f.machine+0x68, uint64(f.object(typ, 256)))
}

// A guest whose memory is ciphertext is told from others; without KVM nothing
// encrypts it.
func TestConfidential(t *testing.T) {
	for name, c := range map[string]struct {
		version    string
		change     func(*fake)
		typ, words string // of Sealed
	}{
		"ordinary":       {"7.2.22", func(*fake) {}, "", ""},
		"SEV":            {"7.2.22", func(f *fake) { f.confide("sev-guest", "kvm") }, "sev-guest", "AMD SEV encrypts"},
		"s390":           {"9.0.0", func(f *fake) { f.confide("s390-pv-guest", "kvm") }, "s390-pv-guest", "protected virtualization"},
		"new":            {"10.1.0", func(f *fake) { f.confide("rme-guest", "kvm") }, "rme-guest", "rme-guest"},
		"TCG":            {"7.2.22", func(f *fake) { f.confide("sev-guest", "tcg") }, "sev-guest", ""},
		"SNP, no memfd":  {"10.1.0", func(f *fake) { f.confide("sev-snp-guest", "kvm") }, "sev-snp-guest", ""},
		"SEV, not found": {"7.2.22", func(f *fake) { f.put(fakeData+1024, 0) }, "", ""},
		"SEV before 6.0": {"4.2.0", func(f *fake) {
			f.confide("object", "kvm")
			f.put(f.at(f.machine, "MachineState", "memory_encryption"), uint64(f.str("sev0")))
		}, "sev-guest", "AMD SEV encrypts"},
		"private memory not known": {"9.1.0", func(f *fake) {
			f.confide("tdx-guest", "kvm")
			binary.LittleEndian.PutUint32(f.bytes(f.at(f.blocks[0], "RAMBlock", "flags")), ramGuestMemfd)
		}, "tdx-guest", "Intel TDX"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, c.version)
			c.change(f)
			vm, m := openGuest(t, f)
			if typ := vm.Machine().Confidential; typ != c.typ {
				t.Errorf("confidential %q, want %q", typ, c.typ)
			}
			if (m.Sealed == "") != (c.words == "") || !strings.Contains(m.Sealed, c.words) {
				t.Errorf("sealed %q, want %q", m.Sealed, c.words)
			}
			if len(m.Missing) > 0 {
				t.Errorf("missing %+v", m.Missing)
			}
		})
	}
}

// Of a block with a guest_memfd, the pages that are private are absent,
// whatever QEMU has mapped there; those that are shared are memory.
func TestPrivateMemory(t *testing.T) {
	for _, listed := range []bool{false, true} {
		f := newFake(t, "11.1.3")
		f.confide("tdx-guest", "kvm")
		region, block := f.hot()
		a := f.attributes(block, 0b1111_1111_1111_0011)
		rdm := a // as in 10.1
		if listed {
			rdm = f.manage(region, a, true)
		}
		f.put(f.at(region, "MemoryRegion", "rdm"), uint64(rdm))
		_, m := openGuest(t, f)
		if m.Sealed != "" {
			t.Errorf("sealed: %s", m.Sealed)
		}
		if len(m.Missing) != 1 || m.Missing[0].Addr != hotStart+0x2000 || m.Missing[0].Size != 0x2000 || !strings.Contains(m.Missing[0].Reason, "Intel TDX") {
			t.Errorf("missing %+v", m.Missing)
		}
		for at, present := range map[addr.GPA]bool{0: true, 0x1fff: true, 0x2000: false, 0x3fff: false, 0x4000: true} {
			if e, ok := m.Image.Map.Find(hotStart + at); !ok || e.Kind.Present() != present {
				t.Errorf("memory at %#x: %v %+v", uint64(at), ok, e)
			}
		}
	}
}

// Attributes that cannot be read leave open which memory is private.
func TestPrivateMemoryUnreadable(t *testing.T) {
	f := newFake(t, "10.1.0")
	f.confide("tdx-guest", "kvm")
	region, block := f.hot()
	a := f.attributes(block, 0)
	f.put(a+40, uint64(f.blocks[0])) // another one
	f.put(f.at(region, "MemoryRegion", "rdm"), uint64(a))
	_, m := openGuest(t, f)
	if !strings.Contains(m.Sealed, `"/objects/mem1" has private memory`) || len(m.Warnings) != 1 {
		t.Errorf("sealed %q, warnings %q", m.Sealed, m.Warnings)
	}
}

// The memory of enclaves is not asked for in a file.
func TestEnclaves(t *testing.T) {
	f := newFake(t, "7.2.22")
	_, block := f.hot()
	binary.LittleEndian.PutUint32(f.bytes(f.at(block, "RAMBlock", "flags")), ramProtected)
	f.grow()
	f.insert(hotHost, hotSize, 0, extent.Omitted)
	_, m := openGuest(t, f)
	if len(m.Missing) != 1 || !strings.Contains(m.Missing[0].Reason, "SGX") {
		t.Errorf("missing %+v", m.Missing)
	}
}
