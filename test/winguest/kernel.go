package winguest

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"slices"
)

// PDB is the kernel's debug information, as its debug directory names it.
func (k Kind) PDB() string {
	if !k.Wide && k.PAE {
		return "ntkrpamp.pdb"
	}
	return "ntkrnlmp.pdb"
}

// image fills the kernel's image, and that of another module.
func (g *Guest) image() {
	noise := make([]byte, imageSize)
	rand.NewChaCha8([32]byte{'w', 'i', 'n'}).Read(noise)
	clear(noise[:rvaExecutable])
	clear(noise[rvaData:])
	g.Put(g.Kernel, noise)
	g.Put(g.hal(g.Kind), noise[rvaExecutable:rvaExecutable+2*pageSize])

	exports := []export{{"KdDebuggerEnabled", 0x8b80}, {"PsInitialSystemProcess", uint32(g.PsInitialSystemProcess - g.Kernel)}}
	g.portable(g.Kernel, imageSize, "ntoskrnl.exe", g.PDB(), rvaRead, exports)
	g.portable(g.hal(g.Kind), 2*pageSize, "HAL.dll", "halmacpi.pdb", pageSize, nil)
	g.Put(g.Kernel+rvaFalseImage, []byte("MZ\x90\x00 is where a page may begin"))
	g.Put(g.Kernel+rvaFalseTag, []byte{0xc7, 0x45, 0x10, 'K', 'D', 'B', 'G', 0x81, 0x3b, 0x78, 0x03, 0, 0}) // mov $tag,…; cmp $size,…

	idle := func(done byte) []byte {
		code := []byte{
			0xfd,                         // std
			0xb0, 0x91, 0x04, 0x90, 0x51, // mov $0x91,%al; add $0x90,%al: carry, overflow; push %rcx
			0xb9, 0x00, 0x80, 0x00, 0x00, // mov $done,%ecx
			0xc7, 0x41, done, // movl $…,done(%rcx)
		}
		code = binary.LittleEndian.AppendUint32(code, DoneValue)
		return append(code, 0x59, 0xf4, 0xeb, 0xfd) // pop %rcx; hlt; jmp to it
	}
	for i := range CPUs {
		g.Put(g.Idle[i], idle(byte(4*i)))
	}
	if g.Encoded {
		g.copyDataBlock()
	}
}

// Done is where each processor writes DoneValue before it halts: physical, four bytes each.
const (
	Done      = 0x8000
	DoneValue = 0x0a11d09e
)

// export is a name that an image has for others, and where what it names is.
type export struct {
	name string
	rva  uint32
}

// portable gives an image its headers, and from at on, relative to the image, its exports and the name of its debug information
// (the PE format: sections 3.3, 3.4, 5.1.1 and 5.3 of its description).
func (g *Guest) portable(base, size uint64, name, pdb string, at uint32, exports []export) {
	const lfanew = 0xe8
	dos := append([]byte("MZ\x90\x00"), make([]byte, 0x3c)...)
	binary.LittleEndian.PutUint32(dos[0x3c:], lfanew)
	g.Put(base, dos)

	le := binary.LittleEndian
	head := []byte("PE\x00\x00")
	head = le.AppendUint16(head, pick[uint16](g.Kind, 0x8664, 0x14c))
	sections := []struct {
		name      string
		rva, size uint32
		flags     uint32
	}{{".text", rvaExecutable, rvaDiscarded - rvaExecutable, 0x68000020}, {"INIT", rvaDiscarded, rvaData - rvaDiscarded, 0x62000020},
		{".data", rvaData, rvaRead - rvaData, 0xc8000040}, {".edata", rvaRead, pageSize, 0x40000040}}
	if base != g.Kernel {
		sections = sections[:1]
		sections[0].size = uint32(size) - pageSize
	}
	head = le.AppendUint16(head, uint16(len(sections)))
	head = le.AppendUint32(head, 0x4ce7951a) // when it was linked
	head = append(head, make([]byte, 8)...)
	optional := make([]byte, pick(g.Kind, 0xf0, 0xe0))
	head = le.AppendUint16(head, uint16(len(optional)))
	head = le.AppendUint16(head, pick[uint16](g.Kind, 0x22, 0x102))
	le.PutUint16(optional, pick[uint16](g.Kind, 0x20b, 0x10b))
	if g.Wide {
		le.PutUint64(optional[0x18:], base)
	} else {
		le.PutUint32(optional[0x1c:], uint32(base))
	}
	le.PutUint32(optional[0x20:], pageSize) // of sections
	le.PutUint32(optional[0x38:], uint32(size))
	directories := optional[len(optional)-16*8:]
	le.PutUint32(optional[len(optional)-16*8-4:], 16)

	slices.SortFunc(exports, func(a, b export) int { return slices.Compare([]byte(a.name), []byte(b.name)) })
	table, start := exportTable(at, name, exports), at
	g.Put(base+uint64(at), table)
	le.PutUint32(directories[0:], start)
	le.PutUint32(directories[4:], uint32(len(table)))

	at += (uint32(len(table)) + 15) &^ 15
	rsds := append([]byte("RSDS"), 0x35, 0xfb, 0x3e, 0xbd, 0x0c, 0x5e, 0x4a, 0x4a, 0x84, 0x73, 0xa1, 0xd4, 0x8c, 0x31, 0x09, 0x61)
	rsds = append(le.AppendUint32(rsds, 2), pdb+"\x00"...)
	debug := make([]byte, 28)
	le.PutUint32(debug[12:], 2) // CodeView
	le.PutUint32(debug[16:], uint32(len(rsds)))
	le.PutUint32(debug[20:], at+28)
	g.Put(base+uint64(at), append(debug, rsds...))
	le.PutUint32(directories[6*8:], at)
	le.PutUint32(directories[6*8+4:], 28)

	head = append(head, optional...)
	for _, s := range sections {
		b := make([]byte, 40)
		copy(b, s.name)
		le.PutUint32(b[8:], s.size)
		le.PutUint32(b[12:], s.rva)
		le.PutUint32(b[36:], s.flags)
		head = append(head, b...)
	}
	g.Put(base+lfanew, head)
}

// exportTable is an image's list of exports, at an address relative to it.
func exportTable(at uint32, name string, exports []export) []byte {
	le, n := binary.LittleEndian, uint32(len(exports))
	const header = 40
	functions, names, ordinals := at+header, at+header+4*n, at+header+8*n
	strings := ordinals + 2*n
	b := make([]byte, header)
	for i, v := range []uint32{strings, 1, n, n, functions, names, ordinals} { // from Name on
		le.PutUint32(b[12+4*i:], v)
	}
	for _, e := range exports {
		b = le.AppendUint32(b, e.rva)
	}
	text := name + "\x00"
	for _, e := range exports {
		b = le.AppendUint32(b, strings+uint32(len(text)))
		text += e.name + "\x00"
	}
	for i := range exports {
		b = le.AppendUint16(b, uint16(i))
	}
	return append(b, text...)
}

// The keys of an encoded KDBG; the third is an address.
const (
	waitNever  = 0x9d3f_0571_c2e8_46ab
	waitAlways = 0x31c7_fe02_88d1_5a6c
)

// encode hides a KDBG the way the kernel does, 8 bytes at a time.
func (g *Guest) encode(p []byte) []byte {
	var out []byte
	for ; len(p) > 0; p = p[8:] {
		x := bits.ReverseBytes64(binary.LittleEndian.Uint64(p)^waitAlways) ^ g.KdpDataBlockEncoded
		out = binary.LittleEndian.AppendUint64(out, bits.RotateLeft64(x, -(waitNever&63))^waitNever)
	}
	return out
}

// copyDataBlock writes a function that copies KDBG decoded, as the kernel has one. It is written for the tests and never runs.
func (g *Guest) copyDataBlock() {
	at := g.Kernel + rvaCopy
	var code []byte
	add := func(b ...byte) { code = append(code, b...) }
	// relative adds an instruction whose operand is relative to the address behind it, with after more bytes in between.
	relative := func(target uint64, b []byte, after ...byte) {
		add(b...)
		next := at + uint64(len(code)+4+len(after))
		code = binary.LittleEndian.AppendUint32(code, uint32(target-next))
		add(after...)
	}
	// Kernels have more such places: here a timer's pointer is decoded.
	relative(g.KiWaitNever, []byte{0x48, 0x8b, 0x0d})                           // mov KiWaitNever(%rip),%rcx
	relative(g.KiProcessorBlock, []byte{0x4c, 0x8d, 0x15})                      // lea KiProcessorBlock(%rip),%r10
	add(0x48, 0x33, 0xc1, 0x48, 0xd3, 0xc0, 0x49, 0x33, 0xc2, 0x48, 0x0f, 0xc8) // xor %rcx,%rax; rol %cl,%rax; xor %r10,%rax; bswap %rax
	relative(g.KiWaitAlways, []byte{0x48, 0x33, 0x05})                          // xor KiWaitAlways(%rip),%rax
	add(bytes.Repeat([]byte{0x90}, 0x100)...)

	relative(g.KDBG, []byte{0x48, 0x8d, 0x15})                                  // lea KDBG(%rip),%rdx
	relative(g.KdpDataBlockEncoded, []byte{0x80, 0x3d}, 0)                      // cmpb $0,KdpDataBlockEncoded(%rip)
	add(bytes.Repeat([]byte{0x0f, 0x10, 0x02, 0x0f, 0x11, 0x01}, 20)...)        // movups (%rdx),%xmm0; movups %xmm0,(%rcx); …
	add(0x41, 0xb9, byte(len(g.kdbg())/8), 0, 0, 0)                             // mov $n,%r9d
	relative(g.KdpDataBlockEncoded, []byte{0x4c, 0x8d, 0x15})                   // lea KdpDataBlockEncoded(%rip),%r10
	add(0x4c, 0x8b, 0xd9, 0x48, 0x8b, 0x02)                                     // mov %rcx,%r11; mov (%rdx),%rax
	relative(g.KiWaitNever, []byte{0x48, 0x8b, 0x0d})                           // mov KiWaitNever(%rip),%rcx
	add(0x48, 0x33, 0xc1, 0x48, 0xd3, 0xc0, 0x49, 0x33, 0xc2, 0x48, 0x0f, 0xc8) // as above
	relative(g.KiWaitAlways, []byte{0x48, 0x33, 0x05})                          // xor KiWaitAlways(%rip),%rax
	add(0x49, 0x89, 0x03, 0x48, 0x83, 0xc2, 0x08, 0x49, 0x83, 0xc3, 0x08)       // mov %rax,(%r11); add $8,%rdx; add $8,%r11
	add(0x49, 0xff, 0xc9, 0x75, 0xd5, 0xc3)                                     // dec %r9; jne; ret
	g.Put(at, code)
	g.Put64(g.KiWaitNever, waitNever)
	g.Put64(g.KiWaitAlways, waitAlways)
	g.Put(g.KdpDataBlockEncoded, []byte{1})
}
