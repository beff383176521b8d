package gdbtarget_test

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"guestcore/test/testkit"
)

// Types of notes of other hosts' registers (include/uapi/linux/elf.h).
const (
	ntPRStatus, ntFPRegSet, ntAuxv = 1, 2, 6

	ntPPCVMX, ntPPCVSX                                                  = 0x100, 0x102
	ntS390LastBreak, ntS390SystemCall, ntS390VXLow, ntS390VXHigh        = 0x306, 0x307, 0x309, 0x30a
	ntARMTLS, ntARMSVE, ntARMPACMask                                    = 0x401, 0x405, 0x406
	atHWCAP                                                             = 16
	hwcapPACA, hwcapSVE, hwcapDFP                                       = 1 << 30, 1 << 22, 1 << 10
	foreignCode                                                  uint64 = 0x400000
)

// foreignHost is how the registers of a thread are in the core of another host.
type foreignHost struct {
	machine elf.Machine
	order   binary.AppendByteOrder
	status  int // sizeof struct elf_prstatus
	pc      int // offset of the program counter in it
	fp      int // size of NT_FPREGSET
	hwcap   uint64
	more    []foreignNote // named LINUX
}

type foreignNote struct {
	typ  uint32
	size int
	fill func(b []byte) // what may not be random; nil: all may
}

// sve makes a note of SVE registers of vectors of length bytes (struct user_sve_header).
func sve(length int, whole bool) foreignNote {
	fpsr := (16 + 32*length + 17*length/8 + 15) &^ 15
	size := fpsr + 16
	flags := uint16(1)
	if !whole { // struct user_fpsimd_state behind the header
		size, flags = 16+528, 0
	}
	return foreignNote{ntARMSVE, size, func(b []byte) {
		le := binary.LittleEndian
		le.PutUint32(b, uint32(size))
		le.PutUint32(b[4:], uint32(size))
		le.PutUint16(b[8:], uint16(length))
		le.PutUint16(b[10:], uint16(length))
		le.PutUint16(b[12:], flags)
		le.PutUint16(b[14:], 0)
		if end := 16 + 32*length + 17*length/8; whole && end+8 <= fpsr { // gdb 13 does not see that fpsr is aligned
			copy(b[end:], b[fpsr:fpsr+8])
		}
	}}
}

// core writes the core of a process with two threads, random in all registers.
func (h foreignHost) core(t *testing.T) string {
	t.Helper()
	rng := rand.NewChaCha8([32]byte{byte(h.machine)})
	order := h.order.(binary.ByteOrder)
	var notes []byte
	note := func(name string, typ uint32, desc []byte) {
		notes = h.order.AppendUint32(notes, uint32(len(name)+1))
		notes = h.order.AppendUint32(notes, uint32(len(desc)))
		notes = h.order.AppendUint32(notes, typ)
		notes = append(append(notes, name...), 0)
		notes = append(notes, make([]byte, -len(notes)&3)...)
		notes = append(notes, desc...)
		notes = append(notes, make([]byte, -len(notes)&3)...)
	}
	for tid := range 2 {
		status := make([]byte, h.status)
		rng.Read(status[112:])
		order.PutUint16(status[12:], 11)
		order.PutUint32(status[32:], uint32(4711+tid))
		order.PutUint64(status[h.pc:], foreignCode+uint64(8*tid))
		note("CORE", ntPRStatus, status)
		fp := make([]byte, h.fp)
		rng.Read(fp)
		note("CORE", ntFPRegSet, fp)
		for _, n := range h.more {
			b := make([]byte, n.size)
			rng.Read(b)
			if n.fill != nil {
				n.fill(b)
			}
			note("LINUX", n.typ, b)
		}
		if tid == 0 {
			var auxv []byte
			for _, v := range []uint64{atHWCAP, h.hwcap, 6, 4096, 0, 0} {
				auxv = h.order.AppendUint64(auxv, v)
			}
			note("CORE", ntAuxv, auxv)
		}
	}
	memory := make([]byte, 4096)
	rng.Read(memory)
	const phdrs = 64
	header := elf.Header64{
		Type: uint16(elf.ET_CORE), Machine: uint16(h.machine), Version: 1, Phoff: phdrs, Ehsize: 64, Phentsize: 56, Phnum: 2,
	}
	copy(header.Ident[:], elf.ELFMAG)
	header.Ident[elf.EI_CLASS], header.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), 1
	header.Ident[elf.EI_DATA] = byte(elf.ELFDATA2LSB)
	if h.order == binary.AppendByteOrder(binary.BigEndian) {
		header.Ident[elf.EI_DATA] = byte(elf.ELFDATA2MSB)
	}
	header.Flags = map[elf.Machine]uint32{elf.EM_PPC64: 2, elf.EM_RISCV: 5}[h.machine] // ELFv2; compressed, doubles in registers
	at := uint64(phdrs + 2*56)
	var b bytes.Buffer
	for _, part := range []any{header,
		elf.Prog64{Type: uint32(elf.PT_NOTE), Off: at, Filesz: uint64(len(notes))},
		elf.Prog64{Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X), Off: at + uint64(len(notes)), Vaddr: foreignCode, Filesz: 4096, Memsz: 4096},
		notes, memory,
	} {
		if err := binary.Write(&b, order, part); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "core")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var doubles = regexp.MustCompile(`v2_double = \{[^}]*\}, `)

// TestForeignHosts compares what gdb shows of the registers of other hosts' processes: natively, and over our descriptions.
// The cores are made here, since emulated kernels write none with vectors; that their notes lie as Linux has them is what gdb
// itself says.
func TestForeignHosts(t *testing.T) {
	gdb := testkit.MultiarchGDB(t)
	arm64 := foreignHost{elf.EM_AARCH64, binary.LittleEndian, 392, 112 + 32*8, 528, 0, nil}
	with := func(h foreignHost, hwcap uint64, more ...foreignNote) foreignHost {
		h.hwcap, h.more = hwcap, more
		return h
	}
	s390 := foreignHost{elf.EM_S390, binary.BigEndian, 336, 112 + 8, 136, 0, nil}
	ppc64 := foreignHost{elf.EM_PPC64, binary.LittleEndian, 504, 112 + 32*8, 264, 0, nil}
	for name, host := range map[string]foreignHost{
		"aarch64":                arm64,
		"aarch64, PAC and TLS":   with(arm64, hwcapPACA, foreignNote{typ: ntARMPACMask, size: 16}, foreignNote{typ: ntARMTLS, size: 8}),
		"aarch64, SVE 256":       with(arm64, hwcapSVE, sve(32, true)),
		"aarch64, SVE 2048, PAC": with(arm64, hwcapSVE|hwcapPACA, sve(256, true), foreignNote{typ: ntARMPACMask, size: 16}),
		"aarch64, SVE not used":  with(arm64, hwcapSVE, sve(64, false)),
		"s390x":                  s390,
		"s390x, vectors": with(s390, 1<<11, foreignNote{typ: ntS390LastBreak, size: 8}, foreignNote{typ: ntS390SystemCall, size: 4},
			foreignNote{typ: ntS390VXLow, size: 128}, foreignNote{typ: ntS390VXHigh, size: 256}),
		"ppc64le":          with(ppc64, hwcapDFP),
		"ppc64le, vectors": with(ppc64, hwcapDFP|1<<28, foreignNote{typ: ntPPCVMX, size: 544}, foreignNote{typ: ntPPCVSX, size: 256}),
		"riscv64":          {elf.EM_RISCV, binary.LittleEndian, 376, 112, 264, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			core := host.core(t)
			commands := []string{"info threads", "info registers", "info all-registers", "info vector", "info float", "x/4gx $pc", "p $_siginfo",
				"thread 2", "info all-registers", "info auxv"}
			_, native := ask(t, gdb, []string{"set osabi GNU/Linux", "core-file " + core}, commands)
			open := []string{"set sysroot /"}
			if host.order == binary.AppendByteOrder(binary.BigEndian) { // which an executable would tell
				open = append(open, "set endian big")
			}
			_, remote := ask(t, gdb, append(open, "target remote "+serve(t, core)), commands)
			if host.machine == elf.EM_RISCV { // listed in another order
				native, remote = sortedLines(native), sortedLines(remote)
			}
			if host.machine == elf.EM_PPC64 { // a way to see vectors that newer gdbs have
				native, remote = doubles.ReplaceAllString(native, ""), doubles.ReplaceAllString(remote, "")
			}
			same(t, native, remote)
		})
	}
}
