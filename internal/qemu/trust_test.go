package qemu

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"guestcore/internal/ctype"
	"guestcore/internal/cvalue"
	"guestcore/internal/guest"
)

// commonOf is a CPUState of the members given, which lie in this order.
func commonOf(members map[string]byte) *cvalue.Object {
	record := ctype.Record{Size: 64, Members: map[string]ctype.Place{}}
	mem := make([]byte, 64)
	for i, name := range []string{"", "running", "halted", "stopped", "vcpu_dirty"} {
		if v, ok := members[name]; ok {
			size := uint64(1)
			if name == "halted" {
				size = 4
			}
			record.Members[name] = ctype.Place{Offset: uint64(8 * i), Size: size}
			mem[8*i] = v
		}
	}
	space := &cvalue.Space{
		Mem: bytes.NewReader(append(make([]byte, 64), mem...)), Order: binary.LittleEndian, PointerSize: 8,
		Layouts: ctype.MakeTable("test", map[string]ctype.Record{"CPUState": record}),
	}
	return space.At(64, "CPUState")
}

func TestTrust(t *testing.T) {
	type m = map[string]byte
	for _, tt := range []struct {
		name        string
		accelerator string
		members     m
		trust       guest.Trust
		activity    string
		reason      string // "": none
	}{
		{"TCG, stopped", "tcg", m{"running": 0, "halted": 0, "stopped": 1}, guest.Valid, "stopped", ""},
		{"TCG, halted", "tcg", m{"running": 0, "halted": 1, "stopped": 1}, guest.Valid, "halted", ""},
		{"TCG, waiting", "tcg", m{"running": 0, "halted": 0, "stopped": 0}, guest.Valid, "waiting", ""},
		{"TCG, executing", "tcg", m{"running": 1, "halted": 0, "stopped": 0, "vcpu_dirty": 0}, guest.Valid, "executing", "was executing the guest's code, its PC may lag"},
		{"TCG, layout without running", "tcg", m{"halted": 0, "stopped": 0}, guest.Valid, "", "may have been executing"},
		{"TCG, stopped, layout without running", "tcg", m{"halted": 0, "stopped": 1}, guest.Valid, "stopped", ""},
		{"KVM, fetched", "kvm", m{"running": 0, "vcpu_dirty": 1}, guest.Valid, "waiting", ""},
		{"KVM, not fetched", "kvm", m{"running": 1, "vcpu_dirty": 0}, guest.Stale, "executing", "kvm, which had newer ones"},
		{"KVM, stopped and not fetched", "kvm", m{"stopped": 1, "vcpu_dirty": 0}, guest.Stale, "stopped", "newer ones"},
		{"KVM, layout without vcpu_dirty", "kvm", m{"halted": 0}, guest.Stale, "", "newer ones"},
		{"qtest", "qtest", m{"stopped": 0}, guest.Valid, "", ""},
		{"unknown", "", m{"vcpu_dirty": 0}, guest.Stale, "", "not known"},
		{"unknown, fetched", "", m{"vcpu_dirty": 1}, guest.Valid, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			common := commonOf(tt.members)
			doing := activityOf(common)
			trusted, reason := trust(common, doing, tt.accelerator, "PC")
			if err := common.Err(); err != nil {
				t.Fatal(err)
			}
			if trusted != tt.trust || doing.String() != tt.activity || !strings.Contains(reason, tt.reason) || (tt.reason == "") != (reason == "") {
				t.Errorf("%v, %q, %q; want %v, %q, %q", trusted, doing, reason, tt.trust, tt.activity, tt.reason)
			}
		})
	}
}

// A bool that is none tells of a wrong layout.
func TestTrustWrongLayout(t *testing.T) {
	for name := range map[string]bool{"running": true, "stopped": true, "vcpu_dirty": true} {
		common := commonOf(map[string]byte{name: 0x55})
		trust(common, activityOf(common), "kvm", "PC")
		if common.Err() == nil {
			t.Errorf("%s is 0x55, and that is no error", name)
		}
	}
}
