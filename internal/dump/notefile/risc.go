package notefile

import "guestcore/internal/arch"

// riscv reads NT_PRSTATUS, which has the program counter where x0 would be,
// and no registers of privileged modes: those are 0.
func (p *processor) riscv(narrow bool) *arch.RISCV {
	s := &arch.RISCV{Narrow: narrow}
	if narrow {
		var x [32]uint32
		p.take(core, prstatus, statusRV32, 72, &x)
		for i, v := range x {
			s.X[i] = uint64(v)
		}
	} else {
		p.take(core, prstatus, statusRV64, 112, &s.X)
	}
	s.PC, s.X[0] = s.X[0], 0
	return s
}

// loongArch reads NT_PRSTATUS and NT_PRFPREG. The program counter is in
// neither, and so 0.
func (p *processor) loongArch() *arch.LoongArch {
	s := &arch.LoongArch{}
	var regs struct {
		R               [32]uint64
		A0, ERA, BadVAd uint64
	}
	p.take(core, prstatus, statusLA64, 112, &regs)
	s.R, s.ERA, s.BADV = regs.R, regs.ERA, regs.BadVAd
	var float struct {
		F    [32]uint64
		FCC  [8]uint8
		FCSR uint32
	}
	p.take(core, prfpreg, 268, 0, &float)
	s.F, s.FCC, s.FCSR = float.F, float.FCC, float.FCSR
	return s
}
