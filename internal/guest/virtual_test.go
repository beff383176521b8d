package guest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"guestcore/internal/arch"
)

func TestReadVirtual(t *testing.T) {
	data := make([]byte, 0x6000)
	put := func(at int, entry uint32) { binary.LittleEndian.PutUint32(data[at:], entry) }
	put(0, 0x1001)        // page directory: a table at 0x1000
	put(0x1000, 0x4001)   // virtual 0 is 0x4000
	put(0x1004, 0x2001)   // the page behind it lies before it
	put(0x1008, 0x9000_1) // and then one where no memory is
	copy(data[0x4ffc:], "left")
	copy(data[0x2000:], "right")
	im := image(t, data, memory{Addr: 0, Size: uint64(len(data))})
	paging := arch.X86Paging{CR0: 1 << 31}
	p := make([]byte, 9)
	if n, err := im.ReadVirtual(paging, p, 0xffc); n != 9 || err != nil || !bytes.Equal(p, []byte("leftright")) {
		t.Errorf("over the end of a page: %d, %v, %q", n, err, p)
	}
	if n, err := im.ReadVirtual(paging, make([]byte, 8), 0x1ffc); n != 4 || err == nil || !strings.HasPrefix(err.Error(), "virtual address 0x2000: guest has no memory at 0x90000") {
		t.Errorf("to where no memory is: %d, %v", n, err)
	}
	var unmapped *arch.UnmappedError
	if n, err := im.ReadVirtual(paging, make([]byte, 8), 0x3000); n != 0 || !errors.As(err, &unmapped) {
		t.Errorf("what is not mapped: %d, %v", n, err)
	}
}
