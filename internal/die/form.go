package die

// form is how an attribute's value is written, DW_FORM_*.
type form uint32

// DWARF 5 §7.5.6 and the GNU forms of dwz and split DWARF.
const (
	formAddr          form = 0x01
	formBlock2        form = 0x03
	formBlock4        form = 0x04
	formData2         form = 0x05
	formData4         form = 0x06
	formData8         form = 0x07
	formString        form = 0x08
	formBlock         form = 0x09
	formBlock1        form = 0x0a
	formData1         form = 0x0b
	formFlag          form = 0x0c
	formSdata         form = 0x0d
	formStrp          form = 0x0e
	formUdata         form = 0x0f
	formRefAddr       form = 0x10
	formRef1          form = 0x11
	formRef2          form = 0x12
	formRef4          form = 0x13
	formRef8          form = 0x14
	formRefUdata      form = 0x15
	formIndirect      form = 0x16
	formSecOffset     form = 0x17
	formExprloc       form = 0x18
	formFlagPresent   form = 0x19
	formStrx          form = 0x1a
	formAddrx         form = 0x1b
	formRefSup4       form = 0x1c
	formStrpSup       form = 0x1d
	formData16        form = 0x1e
	formLineStrp      form = 0x1f
	formRefSig8       form = 0x20
	formImplicitConst form = 0x21
	formLoclistx      form = 0x22
	formRnglistx      form = 0x23
	formRefSup8       form = 0x24
	formStrx1         form = 0x25
	formStrx2         form = 0x26
	formStrx3         form = 0x27
	formStrx4         form = 0x28
	formAddrx1        form = 0x29
	formAddrx2        form = 0x2a
	formAddrx3        form = 0x2b
	formAddrx4        form = 0x2c
	formGNUAddrIndex  form = 0x1f01
	formGNUStrIndex   form = 0x1f02
	formGNURefAlt     form = 0x1f20
	formGNUStrpAlt    form = 0x1f21
)

// size is the number of bytes of a value, -1 if it depends on the value.
func (f form) size(u *Unit) int {
	switch f {
	case formFlagPresent, formImplicitConst:
		return 0
	case formData1, formRef1, formFlag, formStrx1, formAddrx1:
		return 1
	case formData2, formRef2, formStrx2, formAddrx2:
		return 2
	case formStrx3, formAddrx3:
		return 3
	case formData4, formRef4, formRefSup4, formStrx4, formAddrx4:
		return 4
	case formData8, formRef8, formRefSup8, formRefSig8:
		return 8
	case formData16:
		return 16
	case formAddr:
		return u.addrSize
	case formRefAddr:
		if u.Version == 2 { // as wide as an address there
			return u.addrSize
		}
		return u.offsetSize()
	case formSecOffset, formStrp, formLineStrp, formStrpSup, formGNURefAlt, formGNUStrpAlt:
		return u.offsetSize()
	}
	return -1
}

// read reads one value. Of blocks and inline strings it keeps the bytes. An unknown form makes r bad: nothing after it can be found.
func (f form) read(r *buf, u *Unit, implicit int64) Value {
	v := Value{unit: u, form: f}
	if n := f.size(u); n >= 0 {
		switch {
		case f == formFlagPresent:
			v.num = 1
		case f == formImplicitConst:
			v.num = uint64(implicit)
		case n > 8:
			v.bytes = r.bytes(uint64(n))
		default:
			v.num = r.uint(n)
		}
		return v
	}
	switch f {
	case formString:
		v.bytes = r.cstring()
	case formBlock1:
		v.bytes = r.bytes(r.uint(1))
	case formBlock2:
		v.bytes = r.bytes(r.uint(2))
	case formBlock4:
		v.bytes = r.bytes(r.uint(4))
	case formBlock, formExprloc:
		v.bytes = r.bytes(r.uleb())
	case formSdata:
		v.num = uint64(r.sleb())
	case formUdata, formRefUdata, formStrx, formAddrx, formLoclistx, formRnglistx, formGNUAddrIndex, formGNUStrIndex:
		v.num = r.uleb()
	case formIndirect:
		inner := form(r.uleb())
		if inner == formIndirect || inner == formImplicitConst {
			r.bad = true
			return v
		}
		return inner.read(r, u, 0)
	default:
		r.bad = true
	}
	return v
}
