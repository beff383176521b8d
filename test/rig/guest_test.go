package rig

import "testing"

// TestPrinted finds what a guest prints though its kernel's log goes between.
func TestPrinted(t *testing.T) {
	const mixed = "[    1.858901] virtio_mem virtio0: requested size: 0x50000000\r\n" +
		"guestcore: the g[    1.893844] Fallback order for Node 0: 0 \r\n[    1.894065] Built 1 zonelists\r\nuest is up[    1.894451] Policy zone: Normal\r\n\r\n"
	for text, want := range map[string]bool{marker: true, "Policy zone: Normal": true, "guestcore: the guest is down": false} {
		if got := printed([]byte(mixed), text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
