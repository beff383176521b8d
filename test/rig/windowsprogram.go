package rig

import (
	"encoding/binary"
	"math/bits"

	"guestcore/test/winguest"
)

// WindowsProgram is a guest that looks like Windows, on a machine of two processors and 32 MiB: the memory is loaded as it is,
// and the program in the place of the firmware makes the processors' registers fit it. The first hands the driver's note to
// QEMU, through fw_cfg, starts the other and waits for it; each ends in the kernel's image, halted.
func WindowsProgram(g *winguest.Guest) Program {
	w := windowsCode{g: g, boot: g.Boot()}
	w.program()
	boot := x86Boot32
	if g.Wide {
		boot = x86Boot
	}
	p := x86Program(boot, w.x86Code)
	p.Done, p.DoneValue = winguest.Done, winguest.DoneValue
	return p
}

// WindowsGuest is the guest of a program like that. QEMU dumps it in its format for Windows, or refuses to.
func WindowsGuest(name string, g *winguest.Guest, refused bool) Config {
	p := WindowsProgram(g)
	config := Config{
		Name: name, Bare: true,
		Args:  append(p.Args, "-device", "loader,file="+windowsFile+",force-raw=on,addr=0x100000"),
		Files: map[string][]byte{p.File: p.Image, windowsFile: g.Image()},
		Ready: []Word{{Addr: p.Done, Value: p.DoneValue}},
	}
	if refused {
		config.Refused = []string{WindowsDump}
	} else {
		config.Dumps = []string{WindowsDump}
	}
	return config
}

const (
	// WindowsDump is QEMU's name of the format.
	WindowsDump = "win-dmp"

	windowsFile = "windows"
)

// windowsCode is instructions that do the same in protected and in long mode, where nothing else is said.
type windowsCode struct {
	x86Code
	g    *winguest.Guest
	boot winguest.Boot
}

// program is what both processors run from reset on.
func (w *windowsCode) program() {
	w.paging()
	w.set(eax, 1)
	w.add(0x0f, 0xa2)       // cpuid
	w.add(0xc1, 0xeb, 0x18) // shr $24,%ebx: the processor's number
	second := windowsCode{g: w.g, boot: w.boot}
	second.rest(1)
	w.add(0x85, 0xdb, 0x0f, 0x84) // test %ebx,%ebx; je past what the second does
	w.x86Code = binary.LittleEndian.AppendUint32(w.x86Code, uint32(len(second.x86Code)))
	w.x86Code = append(w.x86Code, second.x86Code...)
	if !w.g.Silent {
		w.handOver()
	}
	w.start()
	w.rest(0)
}

// Numbers of general registers.
const (
	eax = iota
	ecx
	edx
	ebx
	esp
	ebp
	esi
	edi
)

// set gives a register of 32 bits a value.
func (w *windowsCode) set(register byte, v uint32) {
	w.add(0xb8 | register)
	w.x86Code = binary.LittleEndian.AppendUint32(w.x86Code, v)
}

// pointer gives a register an address.
func (w *windowsCode) pointer(register byte, v uint64) {
	if w.g.Wide {
		w.load(int(register), v)
	} else {
		w.set(register, uint32(v))
	}
}

// paging puts the guest's page tables in force.
func (w *windowsCode) paging() {
	const pse, pae, sse, pg = 1 << 4, 1 << 5, 0x600, 1 << 31
	if w.g.Wide {
		w.set(eax, uint32(w.g.CR3()))
		w.add(0x0f, 0x22, 0xd8) // mov %rax,%cr3
		return
	}
	cr4 := uint32(pse | sse)
	if w.g.PAE {
		cr4 |= pae
	}
	w.set(eax, cr4)
	w.add(0x0f, 0x22, 0xe0) // mov %eax,%cr4
	w.set(eax, uint32(w.g.CR3()))
	w.add(0x0f, 0x22, 0xd8) // mov %eax,%cr3
	w.add(0x0f, 0x20, 0xc0) // mov %cr0,%eax
	w.add(0x0d)             // or $pg,%eax
	w.x86Code = binary.LittleEndian.AppendUint32(w.x86Code, pg)
	w.add(0x0f, 0x22, 0xc0) // mov %eax,%cr0
}

// handOver writes the message to the file of fw_cfg, which it looks for in the list of files (docs/specs/fw_cfg, QEMU 7.2).
func (w *windowsCode) handOver() {
	const (
		selector, data, dma = 0x510, 0x511, 0x518
		directory           = 0x19
		at, size            = 0x9000, 4 + 64*64
	)
	w.set(edx, selector)
	w.set(eax, directory)
	w.add(0x66, 0xef) // out %ax,%dx
	w.set(edx, data)
	w.set(edi, at)
	w.set(ecx, size)
	w.add(0xfc, 0xf3, 0x6c) // cld; rep insb
	w.set(ebx, at+4)
	begin := len(w.x86Code)
	w.add(0x8d, 0x73, 0x08) // lea 8(%rbx),%esi: the name
	w.set(edi, uint32(w.boot.Name))
	w.set(ecx, uint32(len(winguest.FileName)))
	w.add(0xf3, 0xa6)                         // repe cmpsb
	w.add(0x74, 5)                            // je
	w.add(0x83, 0xc3, 64)                     // add $64,%ebx
	w.add(0xeb, byte(begin-len(w.x86Code)-2)) // jmp
	w.add(0x66, 0x8b, 0x43, 0x04)             // mov 4(%rbx),%ax: its number
	w.set(ebx, uint32(w.boot.Request))
	w.add(0x66, 0x89, 0x03) // mov %ax,(%rbx)
	w.set(eax, bits.ReverseBytes32(uint32(w.boot.Request)))
	w.set(edx, dma)
	w.add(0xef)                         // out %eax,%dx
	w.add(0x83, 0x3b, 0x00, 0x75, 0xfe) // cmpl $0,(%rbx): done; jne to itself
}

// start starts the second processor, at the beginning of the ROM, and waits until it is done (Intel SDM vol. 3, 10.6.1).
func (w *windowsCode) start() {
	const command = 0xfee00300
	w.pointer(eax, command)
	for _, v := range []uint32{0xc4500, 0xc46f0} { // to all others: INIT; start at page 0xf0
		w.add(0xc7, 0x00) // movl $v,(%rax)
		w.x86Code = binary.LittleEndian.AppendUint32(w.x86Code, v)
	}
	w.set(ebx, winguest.Done+4)
	w.add(0xf3, 0x90) // pause
	w.add(0x81, 0x3b) // cmpl $done,(%rbx)
	w.x86Code = binary.LittleEndian.AppendUint32(w.x86Code, winguest.DoneValue)
	w.add(0x75, 0xf6) // jne to pause
}

// rest gives a processor the registers that it has in the end.
func (w *windowsCode) rest(cpu int) {
	w.tables(cpu)
	value := func(n int) uint64 { return Value(cpu, n) &^ (0xffff << 48) } // an address of 48 bits
	if w.g.Wide {
		w.bases(cpu, value)
	}
	w.pointer(eax, w.boot.MXCSR[cpu])
	w.add(0x0f, 0xae, 0x10)                   // ldmxcsr (%rax)
	w.add(0xdb, 0xe3, 0xd9, 0xe8, 0xd9, 0xeb) // fninit; fld1; fldpi
	for i := range 16 {
		switch v := Value(cpu, valueVector+i); {
		case w.g.Wide:
			w.load(eax, v)
			w.add(0x66, 0x48|byte(i>>3<<2), 0x0f, 0x6e, 0xc0|byte(i&7)<<3) // movq %rax,%xmm
		case i < 8:
			w.set(eax, uint32(v))
			w.add(0x66, 0x0f, 0x6e, 0xc0|byte(i)<<3) // movd %eax,%xmm
		}
	}
	for _, n := range []byte{0, 1, 2, 3, 6, 7} {
		v := value(valueTable0 + int(n))
		if n >= 6 { // nothing is to stop the guest
			v = 0x11110400 | uint64(cpu)<<18
		}
		w.pointer(eax, v)
		w.add(0x0f, 0x23, 0xc0|n<<3) // mov %rax,%dr
	}
	// The stack has the address to end at.
	stack := w.g.Stack[cpu] - 0x40
	w.g.PutPointer(stack, w.g.Idle[cpu])
	w.pointer(esp, stack)
	for i := range 16 {
		switch {
		case i == esp || i > edi && !w.g.Wide:
		case w.g.Wide:
			w.load(i, Value(cpu, i))
		default:
			w.set(byte(i), uint32(Value(cpu, i)))
		}
	}
	w.add(0xc3) // ret
}

// tables loads the processor's tables and segments.
func (w *windowsCode) tables(cpu int) {
	w.pointer(eax, w.boot.GDTR[cpu])
	w.add(0x0f, 0x01, 0x10) // lgdt (%rax)
	w.pointer(eax, w.boot.IDTR)
	w.add(0x0f, 0x01, 0x18) // lidt (%rax)
	code, stack, data, fs := w.g.Selectors()
	if w.g.Wide {
		w.pointer(esp, w.g.Stack[cpu])
		w.add(0x6a, byte(code))                   // push $code
		w.add(0x48, 0x8d, 0x05, 3, 0, 0, 0, 0x50) // lea 3(%rip),%rax; push %rax
		w.add(0x48, 0xcb)                         // lretq
	}
	for _, s := range []struct {
		selector  uint16
		registers []byte
	}{{data, []byte{0xd8, 0xc0, 0xe8}}, {fs, []byte{0xe0}}, {stack, []byte{0xd0}}} { // %ds, %es, %gs; %fs; %ss
		w.set(eax, uint32(s.selector))
		for _, r := range s.registers {
			w.add(0x8e, r) // mov %eax,%sreg
		}
	}
}

// bases sets the model-specific registers of a kernel of 64 bits: GS is the processor's own memory.
func (w *windowsCode) bases(cpu int, value func(int) uint64) {
	for i, msr := range x86MSRs {
		v := value(valueMode + i)
		switch msr {
		case x86FMask:
			v = 0x4700
		case 0xc0000082:
			v = w.g.Syscall
		case 0xc0000101:
			v = w.g.PCR[cpu]
		}
		w.msr(msr, v)
	}
}
