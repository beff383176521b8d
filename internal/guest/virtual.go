package guest

import (
	"fmt"

	"guestcore/internal/arch"
)

// ReadVirtual reads memory at a virtual address, as a processor's page tables
// have it. It returns the bytes before the first one that is not mapped or not
// there, and an error that names its address.
func (im *Image) ReadVirtual(t arch.Paging, p []byte, va uint64) (int, error) {
	for n := 0; n < len(p); {
		at := va + uint64(n)
		page, err := t.Translate(im, at)
		if err != nil {
			return n, err
		}
		left := page.Size - (at - page.Virt)
		part := p[n:][:min(uint64(len(p)-n), left)]
		read, err := im.ReadAt(part, int64(page.At(at)))
		if n += read; err != nil {
			return n, fmt.Errorf("virtual address %#x: %w", va+uint64(n), err)
		}
	}
	return len(p), nil
}
