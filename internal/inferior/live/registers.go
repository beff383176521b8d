package live

import (
	"debug/elf"
	"unsafe"

	"golang.org/x/sys/unix"

	"guestcore/internal/inferior"
)

// prstatus says how struct elf_prstatus of a 64-bit host is laid out
// (include/linux/elfcore.h): the registers lie at 112, the id of the thread at
// 32, and what follows the registers is one int, padded to 8 bytes.
const (
	ntPRStatus  = 1
	prstatusPID = 32
	prstatusReg = 112
)

// registerSets are the notes that the kernel writes into a core file of a host,
// but NT_PRSTATUS (include/uapi/linux/elf.h). Those the processor has not are
// left out.
var registerSets = map[elf.Machine][]uint32{
	elf.EM_X86_64:  {2, 0x202},
	elf.EM_AARCH64: {2, 0x401, 0x405, 0x406},
	elf.EM_S390:    {2, 0x301, 0x302, 0x303, 0x304, 0x305, 0x306, 0x307, 0x309, 0x30a},
	elf.EM_PPC64:   {2, 0x100, 0x102},
	elf.EM_RISCV:   {2},
}

// registers reads the registers of a stopped thread, as the notes that a core
// file would have.
func registers(tid int, host inferior.Host) []inferior.Note {
	general := registerSet(tid, ntPRStatus)
	if general == nil {
		return nil
	}
	status := make([]byte, prstatusReg+len(general)+8)
	host.Order.PutUint32(status[prstatusPID:], uint32(tid))
	copy(status[prstatusReg:], general)
	notes := []inferior.Note{{Name: "CORE", Type: ntPRStatus, Desc: status}}
	for _, typ := range registerSets[host.Machine] {
		if set := registerSet(tid, typ); set != nil {
			name := "LINUX"
			if typ < 0x100 {
				name = "CORE"
			}
			notes = append(notes, inferior.Note{Name: name, Type: typ, Desc: set})
		}
	}
	return notes
}

// maxRegisterSet is more than the largest one has: SVE with vectors of 2048
// bits is below 20 KiB, an XSAVE area with AMX below 12 KiB.
const maxRegisterSet = 64 << 10

// registerSet reads a register set, nil if the thread has none of that type.
func registerSet(tid int, typ uint32) []byte {
	b := make([]byte, maxRegisterSet)
	iov := unix.Iovec{Base: &b[0]}
	iov.SetLen(len(b))
	_, _, err := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GETREGSET, uintptr(tid), uintptr(typ), uintptr(unsafe.Pointer(&iov)), 0, 0)
	if err != 0 || iov.Len == 0 {
		return nil
	}
	return append([]byte(nil), b[:iov.Len]...)
}
