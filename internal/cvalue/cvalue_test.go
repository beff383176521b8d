package cvalue

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/ctype"
	"guestcore/internal/objfile"
	"guestcore/test/crashed"
)

const table = `{"v": {
 "Node": {"size": 64, "fields": {"next": 0, "name": 8, "flag": 16, "small": 20, "big": 24, "label": 32, "wide": 48}},
 "Sizeless": {"size": null, "fields": {"a": 0}}
}}`

// base is where the bytes of a test lie.
const base = addr.HVA(0x1000)

// memory is bytes from base on, and nothing else.
type memory []byte

var errNoMemory = errors.New("nothing there")

func (m memory) ReadAt(p []byte, off int64) (int, error) {
	off -= int64(base)
	if off < 0 || off >= int64(len(m)) {
		return 0, errNoMemory
	}
	n := copy(p, m[off:])
	if n < len(p) {
		return n, errNoMemory
	}
	return n, nil
}

func space(t *testing.T, m io.ReaderAt, order binary.ByteOrder, pointer int) *Space {
	t.Helper()
	tables, err := ctype.ParseTable(strings.NewReader(table))
	if err != nil {
		t.Fatal(err)
	}
	return &Space{Mem: m, Order: order, PointerSize: pointer, Layouts: tables["v"]}
}

// node is a Node that leads to itself, in the byte order and with pointers of
// a host.
func node(order binary.ByteOrder, pointer int) memory {
	m := make(memory, 80)
	word := func(at int, v uint64) {
		if pointer == 4 {
			order.PutUint32(m[at:], uint32(v))
		} else {
			order.PutUint64(m[at:], v)
		}
	}
	word(0, uint64(base))
	word(8, uint64(base)+32)
	m[16] = 1
	order.PutUint32(m[20:], 0x11223344)
	order.PutUint64(m[24:], 0x1122334455667788)
	copy(m[32:], "label\x00")
	return m
}

func TestReads(t *testing.T) {
	for name, h := range map[string]struct {
		order   binary.ByteOrder
		pointer int
	}{
		"64-bit little-endian": {binary.LittleEndian, 8},
		"64-bit big-endian":    {binary.BigEndian, 8},
		"32-bit little-endian": {binary.LittleEndian, 4},
		"32-bit big-endian":    {binary.BigEndian, 4},
	} {
		t.Run(name, func(t *testing.T) {
			o := space(t, node(h.order, h.pointer), h.order, h.pointer).At(base, "Node")
			if !o.Bool("flag") || o.Uint8("flag") != 1 {
				t.Error("flag is not set")
			}
			if v := o.Uint32("small"); v != 0x11223344 {
				t.Errorf("small is %#x", v)
			}
			if v := o.Uint64("big"); v != 0x1122334455667788 {
				t.Errorf("big is %#x", v)
			}
			if s := o.String("name", 16); s != "label" {
				t.Errorf("name is %q", s)
			}
			if s := o.CharArray("label", 16); s != "label" {
				t.Errorf("label is %q", s)
			}
			if next := o.Deref("next", "Node").Deref("next", "Node"); next.Err() != nil || next.Addr != base {
				t.Errorf("next of next is at %v, %v", next.Addr, next.Err())
			}
			if a := o.AddrOf("big"); a != base+24 {
				t.Errorf("big is at %v", a)
			}
			if o.Size() != 64 || !o.Has("flag") || o.Has("flags") {
				t.Errorf("size %d, has flag %v, has flags %v", o.Size(), o.Has("flag"), o.Has("flags"))
			}
			if err := o.Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

// The first error stays, and all reads behind it are zero.
func TestErrorsStick(t *testing.T) {
	for name, c := range map[string]struct {
		fail func(*Space) *Object
		want error
		text string
	}{
		"null":              {func(s *Space) *Object { return s.At(0, "Node") }, ErrNull, "Node: null pointer"},
		"no struct":         {func(s *Space) *Object { return s.At(base, "Nod") }, ctype.ErrNoStruct, "Nod"},
		"null of no struct": {func(s *Space) *Object { return s.At(0, "Nod") }, ctype.ErrNoStruct, "Nod"},
		"no member": {func(s *Space) *Object {
			o := s.At(base, "Node")
			o.Uint64("bigger")
			return o
		}, ctype.ErrNoMember, "bigger"},
		"address of no member": {func(s *Space) *Object {
			o := s.At(base, "Node")
			o.AddrOf("bigger")
			return o
		}, ctype.ErrNoMember, "bigger"},
		"no memory": {func(s *Space) *Object {
			o := s.At(base+0x1000, "Node")
			o.Uint32("small")
			return o
		}, errNoMemory, "reading Node.small at 0x2014"},
		"not a bool": {func(s *Space) *Object {
			o := s.At(base, "Node")
			o.Bool("small")
			return o
		}, nil, "Node.small at 0x1000 is 68, not a bool"},
		"null string": {func(s *Space) *Object {
			o := s.At(base+40, "Node") // its name is 0
			o.String("name", 16)
			return o
		}, ErrNull, "Node.name"},
		"string too long": {func(s *Space) *Object {
			o := s.At(base, "Node")
			o.CharArray("label", 5)
			return o
		}, nil, "no NUL in 5 bytes"},
		"null pointer followed": {func(s *Space) *Object { return s.At(base+40, "Node").Deref("next", "Node") }, ErrNull, "Node.next at 0x1028"},
		"error inherited":       {func(s *Space) *Object { return s.At(0, "Node").Deref("next", "Node").Deref("next", "Node") }, ErrNull, "Node: null pointer"},
	} {
		t.Run(name, func(t *testing.T) {
			o := c.fail(space(t, node(binary.LittleEndian, 8), binary.LittleEndian, 8))
			first := o.Err()
			if first == nil || c.want != nil && !errors.Is(first, c.want) || !strings.Contains(first.Error(), c.text) {
				t.Fatalf("error %v, want one with %q", first, c.text)
			}
			hi, lo := o.Uint128("wide")
			if o.Bool("flag") || o.Uint32("small") != 0 || o.Uint64("big") != 0 || o.Pointer("next") != 0 || hi|lo != 0 ||
				o.String("name", 16) != "" || o.CharArray("label", 16) != "" || o.AddrOf("big") != 0 || o.Uint64("bigger") != 0 {
				t.Error("something was read behind an error")
			}
			if o.Err() != first {
				t.Errorf("the error became %v", o.Err())
			}
		})
	}
}

// A string that ends in front of unreadable memory is a string.
func TestStringAtTheEndOfMemory(t *testing.T) {
	s := space(t, memory("ab\x00cd"), binary.LittleEndian, 8)
	if got, err := s.String(base, 256); got != "ab" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := s.String(base+3, 256); !errors.Is(err, errNoMemory) {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := s.String(base+2, 1); got != "" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// QEMU's Int128 is the compiler's own, or a structure where the compiler has
// none; the words of the former lie in the order of the machine.
func TestUint128(t *testing.T) {
	const hi, lo = 0x0102030405060708, 0x1112131415161718
	dwarf := int128s(t)
	for name, order := range map[string]binary.ByteOrder{"little-endian": binary.LittleEndian, "big-endian": binary.BigEndian} {
		m := make(memory, 64)
		first, second := uint64(lo), uint64(hi)
		if order == binary.BigEndian {
			first, second = hi, lo
		}
		order.PutUint64(m[0:], first) // native
		order.PutUint64(m[8:], second)
		order.PutUint64(m[16:], lo) // pair
		order.PutUint64(m[24:], hi)
		s := &Space{Mem: m, Order: order, PointerSize: 8, Layouts: dwarf}
		for _, member := range []string{"native", "pair"} {
			o := s.At(base, "both")
			if h, l := o.Uint128(member); h != hi || l != lo || o.Err() != nil {
				t.Errorf("%s, %s: %#x_%016x, %v", name, member, h, l, o.Err())
			}
		}
		o := s.At(base, "both")
		if o.Uint128("word"); o.Err() == nil || !strings.Contains(o.Err().Error(), "8 bytes, expected 16") {
			t.Errorf("%s: a word read as 128 bits: %v", name, o.Err())
		}
	}
}

// int128s is the debug information of a structure with both forms.
func int128s(t *testing.T) ctype.Layouts {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		crashed.Missing(t, "gcc is missing: apt install gcc")
	}
	dir := t.TempDir()
	source, object := filepath.Join(dir, "both.c"), filepath.Join(dir, "both.so")
	const c = `struct both { __int128 native; struct { unsigned long long lo; long long hi; } pair; long word; } b;`
	if err := os.WriteFile(source, []byte(c), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(gcc, "-g", "-shared", "-o", object, source).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	f, err := objfile.Open(object, objfile.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	d, err := ctype.FromDWARF(f)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
