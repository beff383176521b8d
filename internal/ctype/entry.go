package ctype

import (
	"bytes"
	"debug/dwarf"
	"encoding/binary"
	"fmt"
	"iter"
	"math"
)

// entry is a debugging information entry, and where it lies. debug/dwarf decodes it; references and strings into the supplementary file
// and references to type units it hands out as numbers, and those are followed here. The zero entry is none.
type entry struct {
	*dwarf.Entry
	in *section
}

// is says whether two entries are the same.
func (e entry) is(o entry) bool { return e.in == o.in && e.Offset == o.Offset }

// unit is where the entry lies.
func (e entry) unit() *unit { return e.in.unit(e.Offset) }

// name is DW_AT_name, "" if there is none or if it lies in a supplementary file that was not found.
func (e entry) name() string {
	var off uint64
	switch v := e.Val(dwarf.AttrName).(type) {
	case string:
		return v
	case int64: // DW_FORM_GNU_strp_alt
		off = uint64(v)
	case uint32: // DW_FORM_strp_sup
		off = uint64(v)
	case uint64: // DW_FORM_strp_sup in the 64-bit format
		off = v
	default:
		return ""
	}
	if e.in.sup == nil || off >= uint64(len(e.in.sup.raw[".debug_str"])) {
		return ""
	}
	s, _, _ := bytes.Cut(e.in.sup.raw[".debug_str"][off:], []byte{0})
	return string(s)
}

// flag says whether a flag is set.
func (e entry) flag(a dwarf.Attr) bool {
	set, _ := e.Val(a).(bool)
	return set
}

// number is an attribute that is a constant; ok is false without it and for an expression.
func (e entry) number(a dwarf.Attr) (n uint64, ok bool) {
	v, ok := e.Val(a).(int64)
	return uint64(v), ok
}

// ref follows a reference to another entry, in this file or the supplementary one. Without the attribute ok is false.
func (e entry) ref(a dwarf.Attr) (to entry, ok bool, err error) {
	switch v := e.Val(a).(type) {
	case nil:
		return entry{}, false, nil
	case dwarf.Offset:
		to, err = e.in.at(v)
	case int64: // DW_FORM_GNU_ref_alt
		to, err = e.in.inSup(uint64(v))
	case uint32: // DW_FORM_ref_sup4
		to, err = e.in.inSup(uint64(v))
	case uint64:
		if e.AttrField(a).Class == dwarf.ClassReferenceSig {
			to, err = e.in.signature(v)
		} else { // DW_FORM_ref_sup8
			to, err = e.in.inSup(v)
		}
	default:
		err = fmt.Errorf("%T is no reference", v)
	}
	if err != nil {
		err = fmt.Errorf("%v of the entry at %#x: %w", a, e.Offset, err)
	}
	return to, true, err
}

// inSup reads an entry of the supplementary file.
func (f *file) inSup(off uint64) (entry, error) {
	if f.sup == nil {
		return entry{}, errNoSup
	}
	if len(f.sup.sections) == 0 || off > math.MaxUint32 {
		return entry{}, fmt.Errorf("no entry at %#x of the supplementary debug file", off)
	}
	return f.sup.sections[0].at(dwarf.Offset(off))
}

// Operations of expressions, DWARF 5 §7.7.1.
const (
	opAddr       = 0x03 // an address
	opPlusUconst = 0x23 // by which DWARF 2 placed members
	opAddrx      = 0xa1 // an index into .debug_addr
)

// operand gives the number of an expression that is one given operation with one unsigned LEB128.
func operand(expr []byte, op byte) (n uint64, ok bool) {
	if len(expr) < 2 || expr[0] != op {
		return 0, false
	}
	n, size := binary.Uvarint(expr[1:])
	return n, size == len(expr)-1
}

// address is the fixed address of a variable; ok is false for any other place: a register, thread storage.
func (e entry) address() (addr uint64, ok bool) {
	expr, _ := e.Val(dwarf.AttrLocation).([]byte)
	size := e.addrSize()
	if len(expr) == 1+size && expr[0] == opAddr {
		return e.in.number(expr[1:], size), true
	}
	index, ok := operand(expr, opAddrx)
	if !ok {
		return 0, false
	}
	root, err := e.unit().root()
	if err != nil {
		return 0, false
	}
	base, _ := root.number(dwarf.AttrAddrBase)
	table := e.in.raw[".debug_addr"]
	if n := uint64(len(table)); base > n || index >= (n-base)/uint64(size) {
		return 0, false
	}
	return e.in.number(table[base+index*uint64(size):], size), true
}

// addrSize is the size of an address in bytes, 4 or 8.
func (e entry) addrSize() int {
	e.in.reader.Seek(e.Offset)
	if e.in.reader.AddressSize() == 4 {
		return 4
	}
	return 8
}

// descendant is one entry on a walk.
type descendant struct {
	entry
	depth int // 1 for a child of where the walk began
}

// children yields the entries right inside e, in file order. The last pair has the error that ended the walk, if one did.
func (e entry) children() iter.Seq2[entry, error] {
	return func(yield func(entry, error) bool) {
		e.visit(false, func(c descendant, err error) bool { return yield(c.entry, err) })
	}
}

// walk yields every entry inside e, to any depth and in file order. The last pair has the error that ended the walk, if one did.
func (e entry) walk() iter.Seq2[descendant, error] {
	return func(yield func(descendant, error) bool) { e.visit(true, yield) }
}

// visit walks without Reader.SkipChildren, which recurses as deep as a damaged file says.
func (e entry) visit(deep bool, yield func(descendant, error) bool) {
	end := e.unit().end
	r := e.in.data.Reader() // its own: yield may read entries elsewhere
	r.Seek(e.Offset)
	r.Next()
	for depth := 1; e.Children && depth > 0; {
		c, err := r.Next()
		if err != nil {
			yield(descendant{}, err)
			return
		}
		if c == nil || c.Offset >= end {
			return // the unit's last lists have no end
		}
		if c.Tag == 0 {
			depth--
			continue
		}
		if (deep || depth == 1) && !yield(descendant{entry{c, e.in}, depth}, nil) {
			return
		}
		if !c.Children {
			continue
		}
		if next, ok := c.Val(dwarf.AttrSibling).(dwarf.Offset); ok && !deep && next > c.Offset && next < end {
			r.Seek(next)
			continue
		}
		depth++
	}
}
