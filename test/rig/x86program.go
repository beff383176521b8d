package rig

import "encoding/binary"

// x86Boot brings an x86-64 processor from reset into long mode, with a page of 2 MiB at 0 mapped to itself, and jumps to what
// follows it. It is the beginning of a ROM of 64 KiB, which is at 0xf0000 too.
var x86Boot = []byte{
	0xfa,       // cli
	0x31, 0xc0, // xor %ax,%ax
	0x8e, 0xd8, // mov %ax,%ds
	0x66, 0xc7, 0x06, 0x00, 0x10, 0x03, 0x20, 0x00, 0x00, // movl $0x2003,0x1000: PML4
	0x66, 0xc7, 0x06, 0x00, 0x20, 0x03, 0x30, 0x00, 0x00, // movl $0x3003,0x2000: PDPT
	0x66, 0xc7, 0x06, 0x00, 0x30, 0x83, 0x00, 0x00, 0x00, // movl $0x83,0x3000: page directory
	0x66, 0xb8, 0x00, 0x10, 0x00, 0x00, // mov $0x1000,%eax
	0x0f, 0x22, 0xd8, // mov %eax,%cr3
	0x66, 0xb8, 0x20, 0x06, 0x00, 0x00, // mov $0x620,%eax: PAE, SSE
	0x0f, 0x22, 0xe0, // mov %eax,%cr4
	0x66, 0xb9, 0x80, 0x00, 0x00, 0xc0, // mov $0xc0000080,%ecx: EFER
	0x0f, 0x32, // rdmsr
	0x0d, 0x00, 0x01, // or $0x100,%ax: LME
	0x0f, 0x30, // wrmsr
	0x2e, 0x66, 0x0f, 0x01, 0x16, 0x80, 0x00, // lgdtl %cs:0x80
	0x0f, 0x20, 0xc0, // mov %cr0,%eax
	0x66, 0x0d, 0x01, 0x00, 0x00, 0x80, // or $0x80000001,%eax: PG, PE
	0x0f, 0x22, 0xc0, // mov %eax,%cr0
	0x66, 0xea, 0x5a, 0x00, 0x0f, 0x00, 0x08, 0x00, // ljmpl $8,$0xf005a: the next instruction
	0xb8, 0x10, 0x00, 0x00, 0x00, // mov $0x10,%eax
	0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, // mov %eax,%ds; %es; %ss
	0xeb, 0x29, // jmp 0x90
	0x90,
	0, 0, 0, 0, 0, 0, 0, 0, // 0x68: GDT: none, code of 64 bits, data
	0xff, 0xff, 0, 0, 0, 0x9b, 0xaf, 0,
	0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0,
	0x17, 0, 0x68, 0, 0x0f, 0, // 0x80: its limit and address
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
}

const (
	x86ROM  = 0x10000 // bytes
	x86Done = 0x8000
)

// x86Boot32 brings an x86 processor from reset into protected mode, and jumps to what follows it.
var x86Boot32 = []byte{
	0xfa,                                     // cli
	0x2e, 0x66, 0x0f, 0x01, 0x16, 0x40, 0x00, // lgdtl %cs:0x40
	0x0f, 0x20, 0xc0, // mov %cr0,%eax
	0x0c, 0x01, // or $1,%al: PE
	0x0f, 0x22, 0xc0, // mov %eax,%cr0
	0x66, 0xea, 0x18, 0x00, 0x0f, 0x00, 0x08, 0x00, // ljmpl $8,$0xf0018: the next instruction
	0xb8, 0x10, 0x00, 0x00, 0x00, // mov $0x10,%eax
	0x8e, 0xd8, 0x8e, 0xc0, 0x8e, 0xd0, 0x8e, 0xe0, // mov %eax,%ds; %es; %ss; %fs
	0xeb, 0x29, // jmp 0x50
	0x90,
	0, 0, 0, 0, 0, 0, 0, 0, // 0x28: GDT: none, code of 32 bits, data
	0xff, 0xff, 0, 0, 0, 0x9b, 0xcf, 0,
	0xff, 0xff, 0, 0, 0, 0x93, 0xcf, 0,
	0x17, 0, 0x28, 0, 0x0f, 0, // 0x40: its limit and address
	0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
}

// x86Program is a program in the place of the firmware, without interrupts, on a machine of 32 MiB. It ends when it writes Done.
func x86Program(boot, code []byte) Program {
	rom := make([]byte, x86ROM)
	if copy(rom[len(boot):x86ROM-16], code) < len(code) {
		panic("rig: the code does not fit into the ROM")
	}
	copy(rom, boot)
	copy(rom[x86ROM-16:], []byte{0xea, 0x00, 0x00, 0x00, 0xf0}) // the reset vector: ljmp $0xf000,$0
	return Program{
		Args: []string{"-machine", "pc", "-m", "32M", "-bios", x86File}, File: x86File, Image: rom,
		Done: x86Done, DoneValue: x86DoneValue,
	}
}

// X86Code is a program that runs code in long mode and then halts for good.
func X86Code(instructions []byte) Program {
	c := x86Code(instructions)
	c.done()
	c.add(0xf4) // hlt
	return x86Program(x86Boot, c)
}

// x86Code is instructions.
type x86Code []byte

func (c *x86Code) add(b ...byte) { *c = append(*c, b...) }

// load sets a general register, by its number.
func (c *x86Code) load(n int, v uint64) {
	c.add(0x48|byte(n>>3), 0xb8|byte(n&7)) // movabs $v,%r
	*c = binary.LittleEndian.AppendUint64(*c, v)
}

// done says in memory that all is done; in long mode.
func (c *x86Code) done() {
	c.add(0xc7, 0x04, 0x25) // movl $done,x86Done
	c.doneWords()
}

func (c *x86Code) doneWords() {
	*c = binary.LittleEndian.AppendUint32(*c, x86Done)
	*c = binary.LittleEndian.AppendUint32(*c, x86DoneValue)
}

// msr sets a model-specific register.
func (c *x86Code) msr(n uint32, v uint64) {
	c.add(0xb9) // mov $n,%ecx
	*c = binary.LittleEndian.AppendUint32(*c, n)
	c.load(0, v&0xffffffff)
	c.load(2, v>>32)
	c.add(0x0f, 0x30) // wrmsr
}

// Model-specific registers (Intel SDM vol. 4).
const x86FMask = 0xc0000084

var x86MSRs = []uint32{
	0x174, 0x175, 0x176, // SYSENTER_CS, _ESP, _EIP
	0xc0000081, 0xc0000082, 0xc0000083, x86FMask, // STAR, LSTAR, CSTAR
	0xc0000100, 0xc0000101, 0xc0000102, // FS.base, GS.base, KERNEL_GS_BASE
}

// X86Program sets what the dump of an x86-64 guest has notes for, and what else its registers are. Its last flags come of an
// addition and of STD, so that TCG keeps them where it keeps what it has not computed. It runs in the place of the firmware.
func X86Program() Program {
	var c x86Code
	value := func(n int) uint64 { return Value(0, n) &^ (0xffff << 48) } // an address of 48 bits
	for i, msr := range x86MSRs {
		v := value(valueMode + i)
		if msr == x86FMask {
			v &= 0xffffffff // a processor takes no more
		}
		c.msr(msr, v)
	}
	for i := range 16 {
		c.load(0, Value(0, valueVector+i))
		c.add(0x66, 0x48|byte(i>>3<<2), 0x0f, 0x6e, 0xc0|byte(i&7)<<3) // movq %rax,%xmm
	}
	for _, n := range []byte{0, 1, 2, 3} {
		c.load(0, value(valueTable0+int(n)))
		c.add(0x0f, 0x23, 0xc0|n<<3) // mov %rax,%dr
	}
	c.load(0, value(valueTable1))
	c.add(0x0f, 0x22, 0xd0)                   // mov %rax,%cr2
	c.add(0xdb, 0xe3, 0xd9, 0xe8, 0xd9, 0xeb) // fninit; fld1; fldpi
	for i := range 16 {
		c.load(i, Value(0, i))
	}
	c.add(0xfd)                   // std
	c.add(0xb0, 0x91, 0x04, 0x90) // mov $0x91,%al; add $0x90,%al: carry, overflow
	c.done()
	c.add(0xeb, 0xfe) // jmp .
	return x86Program(x86Boot, c)
}

// X86Program32 is the same for a processor of 32 bits.
func X86Program32() Program {
	var c x86Code
	for i := range 8 {
		c.add(0xb8 | byte(i)) // mov $v,%r
		c = binary.LittleEndian.AppendUint32(c, uint32(Value(0, i)))
	}
	c.add(0xfd)       // std
	c.add(0x3c, 0x91) // cmp $0x91,%al
	c.add(0xc7, 0x05) // movl $done,x86Done
	c.doneWords()
	c.add(0xeb, 0xfe) // jmp .
	return x86Program(x86Boot32, c)
}

const (
	x86File      = "rom"
	x86DoneValue = 0x0a11d09e
)
