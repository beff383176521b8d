package die_test

import (
	"bytes"
	"debug/dwarf"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"
	"testing"

	"guestcore/internal/die"
	"guestcore/internal/objfile/objtest"
)

// section is a DWARF section in memory.
type section []byte

func (s section) Size() uint64 { return uint64(len(s)) }

func (s section) Slice(off, n uint64, _ []byte) ([]byte, error) {
	if off > s.Size() || n > s.Size()-off {
		return nil, io.ErrUnexpectedEOF
	}
	return s[off : off+n], nil
}

// source gives sections by name.
func source(sections map[string][]byte) die.Source {
	return func(name string) (die.Section, error) {
		if b, ok := sections[name]; ok {
			return section(b), nil
		}
		return nil, nil
	}
}

// assemble links assembler source and reads its DWARF sections with debug/elf.
func assemble(t *testing.T, text string) map[string][]byte {
	t.Helper()
	f, err := elf.Open(objtest.Assemble(t, t.TempDir(), "prog", text))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sections := map[string][]byte{}
	for _, s := range f.Sections {
		if len(s.Name) > 7 && s.Name[:7] == ".debug_" {
			if sections[s.Name], err = s.Data(); err != nil {
				t.Fatal(err)
			}
		}
	}
	return sections
}

// A unit as clang writes it: names by index into .debug_str_offsets, addresses by index into .debug_addr, and one entry with a value of
// every other form, so that a wrong size of any shifts all that follows.
const indexedUnit = `
	.data
target:	.quad 1
	.section .debug_abbrev,"",@progbits
	.uleb128 1; .uleb128 0x11; .byte 1          # compile unit, with children
	.uleb128 0x72; .uleb128 0x17                # str_offsets_base, sec_offset
	.uleb128 0x73; .uleb128 0x17                # addr_base, sec_offset
	.uleb128 0x03; .uleb128 0x25                # name, strx1
	.byte 0,0
	.uleb128 2; .uleb128 0x34; .byte 0          # variable
	.uleb128 0x03; .uleb128 0x1a                # name, strx
	.uleb128 0x02; .uleb128 0x18                # location, exprloc
	.byte 0,0
	.uleb128 200; .uleb128 0x34; .byte 1        # variable, a code out of order
	.uleb128 0x2001; .uleb128 0x01              # addr
	.uleb128 0x2002; .uleb128 0x03              # block2
	.uleb128 0x2003; .uleb128 0x04              # block4
	.uleb128 0x2004; .uleb128 0x05              # data2
	.uleb128 0x2005; .uleb128 0x06              # data4
	.uleb128 0x2006; .uleb128 0x07              # data8
	.uleb128 0x2007; .uleb128 0x08              # string
	.uleb128 0x2008; .uleb128 0x09              # block
	.uleb128 0x2009; .uleb128 0x0a              # block1
	.uleb128 0x200a; .uleb128 0x0b              # data1
	.uleb128 0x200b; .uleb128 0x0c              # flag
	.uleb128 0x200c; .uleb128 0x0d              # sdata
	.uleb128 0x200d; .uleb128 0x0e              # strp
	.uleb128 0x200e; .uleb128 0x0f              # udata
	.uleb128 0x200f; .uleb128 0x16              # indirect: data2
	.uleb128 0x2010; .uleb128 0x19              # flag_present
	.uleb128 0x2011; .uleb128 0x1b              # addrx
	.uleb128 0x2012; .uleb128 0x1e              # data16
	.uleb128 0x2013; .uleb128 0x21; .sleb128 -3 # implicit_const
	.uleb128 0x2014; .uleb128 0x26              # strx2
	.uleb128 0x2015; .uleb128 0x27              # strx3
	.uleb128 0x2016; .uleb128 0x28              # strx4
	.uleb128 0x2017; .uleb128 0x29              # addrx1
	.uleb128 0x2018; .uleb128 0x2b              # addrx3
	.uleb128 0x2019; .uleb128 0x13              # ref4
	.uleb128 0x201a; .uleb128 0x10              # ref_addr
	.uleb128 0x201b; .uleb128 0x15              # ref_udata
	.uleb128 0x03; .uleb128 0x08                # name, string
	.byte 0,0
	.byte 0
	.section .debug_info,"",@progbits
head:	.long end-first
first:	.short 5; .byte 1; .byte 8; .long 0
root:	.uleb128 1; .long strbase; .long addrbase; .byte 0
var:	.uleb128 2; .uleb128 1; .uleb128 2; .byte 0xa1; .uleb128 1
all:	.uleb128 200
	.quad target
	.short 1; .byte 0xb2
	.long 2; .byte 0xb4, 0xb4
	.short 0x1234; .long 0x12345678; .quad 0x123456789abcdef0
	.asciz "inline"
	.uleb128 1; .byte 0xbb
	.byte 1; .byte 0xb1
	.byte 0xff; .byte 1; .sleb128 -100; .long strp; .uleb128 300
	.uleb128 0x05; .short 7
	.uleb128 1
	.quad 1, 2
	.short 2; .byte 2, 0, 0; .long 2
	.byte 0; .byte 1, 0, 0
	.long var-head; .long var; .uleb128 var-head
	.asciz "all"
	.uleb128 2; .uleb128 2; .uleb128 2; .byte 0xa1; .uleb128 0
	.byte 0
	.byte 0
end:
	.section .debug_str_offsets,"",@progbits
	.long 4+12; .short 5, 0
strbase: .long unitname, varname, innername
	.section .debug_addr,"",@progbits
	.long 4+16; .short 5; .byte 8, 0
addrbase: .quad 0x1111, target
	.section .debug_str,"MS",@progbits,1
unitname: .asciz "unit.c"
varname: .asciz "variable"
innername: .asciz "inner"
strp:	.asciz "strp"
`

func TestForms(t *testing.T) {
	d, err := die.New(source(assemble(t, indexedUnit)), binary.LittleEndian, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Units()) != 1 {
		t.Fatalf("%d units, want 1", len(d.Units()))
	}
	root, err := d.Units()[0].Root()
	if err != nil {
		t.Fatal(err)
	}
	if root.Tag != dwarf.TagCompileUnit || root.Name() != "unit.c" {
		t.Errorf("root: %v %q", root.Tag, root.Name())
	}
	var names []string
	var all, variable die.Entry
	for c, err := range root.Walk() {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, fmt.Sprintf("%d %s", c.Depth, c.Name()))
		switch c.Name() {
		case "all":
			all = c.Entry
		case "variable":
			variable = c.Entry
		}
	}
	if got := fmt.Sprint(names); got != "[1 variable 1 all 2 inner]" {
		t.Fatalf("walk: %s", got)
	}
	loc, _ := variable.Attr(dwarf.AttrLocation)
	target, ok := loc.FixedAddr()
	if !ok || target == 0 || target == 0x1111 {
		t.Errorf("address of variable: %#x, %v", target, ok)
	}
	for attr, want := range map[dwarf.Attr]string{
		0x2001: fmt.Sprint("uint ", target), 0x2002: "block [178]", 0x2003: "block [180 180]",
		0x2004: "uint 4660", 0x2005: "uint 305419896", 0x2006: "uint 1311768467463790320", 0x2007: "text inline",
		0x2008: "block [187]", 0x2009: "block [177]", 0x200a: "int -1", 0x200b: "uint 1", 0x200c: "int -100", 0x200d: "text strp",
		0x200e: "uint 300", 0x200f: "uint 7", 0x2010: "uint 1", 0x2011: fmt.Sprint("addr ", target),
		0x2012: "block [1 0 0 0 0 0 0 0 2 0 0 0 0 0 0 0]", 0x2013: "int -3", 0x2014: "text inner", 0x2015: "text inner",
		0x2016: "text inner", 0x2017: "addr 4369", 0x2018: fmt.Sprint("addr ", target),
		0x2019: "ref variable", 0x201a: "ref variable", 0x201b: "ref variable",
	} {
		v, ok := all.Attr(attr)
		if !ok {
			t.Errorf("attribute %#x is missing", uint32(attr))
			continue
		}
		var got any
		switch want[:3] {
		case "uin":
			got, _ = v.Uint()
			got = fmt.Sprint("uint ", got)
		case "int":
			got, _ = v.Int()
			got = fmt.Sprint("int ", got)
		case "blo":
			got = fmt.Sprint("block ", v.Block())
		case "tex":
			got, err = v.Text()
			got = fmt.Sprint("text ", got)
		case "add":
			got, err = v.Addr()
			got = fmt.Sprint("addr ", got)
		case "ref":
			var to die.Entry
			to, _, err = all.Ref(attr)
			got = "ref " + to.Name()
		}
		if got != want || err != nil {
			t.Errorf("attribute %#x: %v, %v; want %s", uint32(attr), got, err, want)
		}
	}
	begin, end, ok := d.Units()[0].StringIndex()
	if !ok || begin != 8 || end != 20 {
		t.Errorf("string index %d to %d, %v; want 8 to 20", begin, end, ok)
	}
}

// Whatever the bytes are, a walk ends, goes forward only, and stays inside its unit; children are some of all entries.
func FuzzWalk(f *testing.F) {
	f.Add([]byte{1, 0x11, 1, 0, 0, 2, 0x34, 0, 3, 8, 0, 0, 0}, []byte{13, 0, 0, 0, 4, 0, 0, 0, 0, 0, 8, 1, 2, 'x', 0, 0, 0}, []byte("x\x00"))
	f.Add([]byte{1, 0x11, 1, 1, 0x13, 0, 0, 0}, []byte{20, 0, 0, 0, 5, 0, 1, 8, 0, 0, 0, 0, 1, 12, 0, 0, 0, 1, 99, 0, 0, 0, 0, 0}, []byte{})
	f.Fuzz(func(t *testing.T, abbrev, info, str []byte) {
		d, err := die.New(source(map[string][]byte{".debug_abbrev": abbrev, ".debug_info": info, ".debug_types": info,
			".debug_str": str, ".debug_str_offsets": str, ".debug_addr": str}), binary.LittleEndian, nil)
		if err != nil {
			return
		}
		for _, u := range d.Units() {
			root, err := u.Root()
			if err != nil {
				continue
			}
			last := root.Off()
			for c, err := range root.Walk() {
				if err != nil {
					break
				}
				if c.Off() <= last || c.Off() >= u.Off()+u.Size() || c.Depth < 1 {
					t.Fatalf("entry at %#x, depth %d, after %#x in the unit %#x+%#x", c.Off(), c.Depth, last, u.Off(), u.Size())
				}
				last = c.Off()
				if s := c.Name(); s != "" && !c.Named(s) || len(s) > max(len(str), len(info)) {
					t.Fatalf("entry at %#x: name %q", c.Off(), s)
				}
				for _, a := range []dwarf.Attr{dwarf.AttrType, dwarf.AttrSignature, dwarf.AttrAbstractOrigin} {
					if to, ok, err := c.Ref(a); ok && err == nil && to.Tag != 0 && to.Off() >= uint64(len(info)) {
						t.Fatalf("reference to %#x of %#x", to.Off(), len(info))
					}
				}
				if v, ok := c.Attr(dwarf.AttrLocation); ok {
					v.FixedAddr()
					if !bytes.Contains(info, v.Block()) {
						t.Fatalf("block % x is not in the section", v.Block())
					}
				}
			}
			last = root.Off()
			for c, err := range root.Children() {
				if err != nil {
					break
				}
				if c.Off() <= last || c.Depth != 1 {
					t.Fatalf("child at %#x, depth %d, after %#x", c.Off(), c.Depth, last)
				}
				last = c.Off()
			}
		}
	})
}
