package qemu

import (
	"guestcore/internal/arch"
	"guestcore/internal/cvalue"
)

// readRISCV reads a RISC-V hart. Its members have the size of the target's
// long, and some another one since (mstatus 6.0, priv 8.1).
func readRISCV(_ *VM, env *cvalue.Object) (arch.State, error) {
	s := &arch.RISCV{
		PC:      env.Uint("pc"),
		Narrow:  size(env, "pc") == 4,
		SATP:    env.Uint("satp"),
		MStatus: env.Uint("mstatus"),
		Priv:    int(env.Uint("priv") & 3),
	}
	copy(s.X[:], env.Uints("gpr"))
	return s, env.Err()
}
