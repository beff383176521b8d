package gdbtarget

import "guestcore/internal/addr"

// ZerosAt is how many bytes of memory from a on are known to be zeros.
func (t *Target) ZerosAt(a uint64) uint64 {
	if known, ok := t.p.(interface{ ZerosAt(addr.HVA) uint64 }); ok {
		return known.ZerosAt(addr.HVA(a))
	}
	return 0
}
