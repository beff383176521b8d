package qemu

import (
	"fmt"

	"guestcore/internal/arch"
	"guestcore/internal/cvalue"
)

// Numbers and bits of target/ppc/cpu.h; PPC_BIT counts from the highest.
const (
	ppcISA300 = 0x80000 // PPC2_ISA300, of insns_flags2

	sprPID    = 0x30
	sprVRSAVE = 0x100
	sprLPCR   = 0x13e
	sprPTCR   = 0x1d0
	sprHID0   = 0x3f0

	msrHV          = 1 << 60
	msrILE         = 1 << 16
	lpcrILE        = 1 << (63 - 38)
	hid0HILE       = 1 << (63 - 19) // POWER8
	hid0HILEPower9 = 1 << (63 - 4)
)

// readPPC64 reads a vCPU and what its page tables begin with.
func readPPC64(vm *VM, env *cvalue.Object) (arch.State, error) {
	s, err := ppc64Registers(env)
	if err != nil {
		return nil, err
	}
	vm.ppcTables(s, env)
	if env.Err() != nil {
		return nil, env.Err()
	}
	return s, nil
}

// ppc64Registers reads CPUPPCState (target/ppc/cpu.h).
func ppc64Registers(env *cvalue.Object) (*arch.PPC64, error) {
	s := &arch.PPC64{
		NIP: env.Uint64("nip"), MSR: env.Uint64("msr"), CTR: env.Uint64("ctr"), LR: env.Uint64("lr"),
		XER:    ppcXER(env),
		FPSCR:  env.Uint64("fpscr"),
		VSCR:   env.Uint32("vscr"),
		VRSAVE: uint32(env.Uint64(spr(sprVRSAVE))),
		SPEAcc: env.Uint64("spe_acc"), SPEFSCR: env.Uint32("spe_fscr"),
		LittleEndian: ppcLittleEndian(env),
	}
	copy(s.GPR[:], env.Uints("gpr"))
	for _, field := range env.Uints("crf") {
		s.CR = s.CR<<4 | uint32(field)&15
	}
	if env.Has("avr") {
		readOldVSR(s, env)
	} else {
		readVSR(s, env)
	}
	if env.Err() != nil {
		return nil, env.Err()
	}
	return s, nil
}

// ppcTables reads what the page tables of ISA 3.0 begin with. Where the vCPU has
// a hypervisor mode the guest has a partition table; else QEMU knows the process
// table.
func (vm *VM) ppcTables(s *arch.PPC64, env *cvalue.Object) {
	if env.Uint64("insns_flags2")&ppcISA300 == 0 {
		return
	}
	s.PID = env.Uint64(spr(sprPID))
	if env.Uint64("msr_mask")&msrHV != 0 {
		s.PartitionTable = env.Uint64(spr(sprPTCR))
		return
	}
	var err error
	if s.ProcessTable, err = vm.processTable(); err != nil {
		vm.src.Log.Debug("page tables not known", "reason", err)
	}
}

func spr(n int) string { return fmt.Sprintf("spr[%d]", n) }

// ppcXER is the XER, whose flags TCG keeps one by one (cpu_read_xer,
// target/ppc/cpu.c).
func ppcXER(env *cvalue.Object) uint64 {
	xer := env.Uint64("xer") | env.Uint64("so")<<31 | env.Uint64("ov")<<30 | env.Uint64("ca")<<29
	if env.Uint64("insns_flags2")&ppcISA300 != 0 {
		xer |= env.Uint64("ov32")<<19 | env.Uint64("ca32")<<18
	}
	return xer
}

// readVSR reads the vector-scalar registers, since 4.0. Each is one number of
// 128 bits in the host's byte order, doubleword 0 the higher half. The bit of
// VSCR for saturation has a member of its own.
func readVSR(s *arch.PPC64, env *cvalue.Object) {
	for i := range s.VSR {
		s.VSR[i][0], s.VSR[i][1] = env.Uint128(fmt.Sprintf("vsr[%d]", i))
	}
	if hi, lo := env.Uint128("vscr_sat"); hi|lo != 0 {
		s.VSCR |= 1
	}
}

// readOldVSR reads them up to 3.1, from three arrays: fpr has doublewords 0 of
// the first 32, vsr their doublewords 1, avr the rest.
func readOldVSR(s *arch.PPC64, env *cvalue.Object) {
	low := env.Uints("vsr")
	for i, v := range env.Uints("fpr") {
		if i < 32 && i < len(low) {
			s.VSR[i] = [2]uint64{v, low[i]}
		}
	}
	for i := range 32 {
		s.VSR[i+32][0], s.VSR[i+32][1] = env.Uint128(fmt.Sprintf("avr[%d]", i))
	}
}

// ppcLittleEndian reports whether the vCPU takes interrupts little-endian. Where
// it has a hypervisor mode HID0 says so; else, as on pseries, where QEMU itself
// is the hypervisor, LPCR, and MSR for old ones, whose LPCR has no such bit
// (ppc_interrupts_little_endian, target/ppc/cpu.h, as QEMU 10.0 dumps; 7.2 asks
// HID0 on pseries too and takes little-endian guests for big-endian ones).
func ppcLittleEndian(env *cvalue.Object) bool {
	if env.Uint64("msr_mask")&msrHV == 0 {
		return env.Uint64(spr(sprLPCR))&lpcrILE != 0 || env.Uint64("msr")&msrILE != 0
	}
	hile := uint64(hid0HILE)
	if env.Uint64("insns_flags2")&ppcISA300 != 0 {
		hile = hid0HILEPower9
	}
	return env.Uint64(spr(sprHID0))&hile != 0
}
