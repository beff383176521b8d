package windows

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"guestcore/internal/arch"
	"guestcore/internal/guest"
)

// findKernel finds the kernel's image: pages down from where a processor
// enters the kernel is where the image begins. If all entries lead elsewhere,
// as to a hypervisor or to the module beside the kernel, it is looked for in all
// that is mapped where x64 loads its kernel.
func findKernel(ctx context.Context, m *guest.Machine) (*image, view, error) {
	all := views(m)
	if len(all) == 0 {
		return nil, view{}, errors.New("no vCPU has registers that tell of its page tables, nor is there a block that processors are started by")
	}
	var others []string
	for _, v := range all {
		im, found := v.entered()
		if im != nil {
			return im, v, nil
		}
		said := "no image"
		if len(found) > 0 {
			said = strings.Join(found, ", ")
		}
		others = append(others, v.who+": "+said)
	}
	seen := map[uint64]bool{} // page tables
	for _, v := range all {
		if seen[v.paging.CR3] || v.word != 8 {
			continue
		}
		seen[v.paging.CR3] = true
		im, err := v.search(ctx)
		if im != nil || err != nil {
			return im, v, err
		}
	}
	return nil, view{}, fmt.Errorf("the kernel of Windows was not found below where it is entered (%s)", strings.Join(others, "; "))
}

// entered is the kernel below where it is entered, nil if it is not there, and
// then other images that are.
func (v view) entered() (kernel *image, others []string) {
	w := walk{v: v, seen: map[uint64]bool{}}
	for _, entry := range v.entries {
		if im := w.down(entry); im != nil {
			return im, nil
		}
	}
	return nil, w.others
}

// Where x64 loads its kernel.
const kernelsFrom, kernelsTo = 0xfffff800_00000000, 0xfffff808_00000000

// search looks for the kernel in all that the page tables map there. It is nil
// if there is none; the error is that of ctx.
func (v view) search(ctx context.Context) (*image, error) {
	done := errors.New("found")
	var kernel *image
	var magic [2]byte
	_ = v.paging.Walk(ctx, &budget{v.image, maxTables}, func(p arch.Page, _ uint64) error {
		if p.Virt < kernelsFrom || p.Virt >= kernelsTo || p.Size > 1<<21 {
			return nil
		}
		for at := uint64(0); at < p.Size; at += PageSize {
			if n, _ := v.image.ReadAt(magic[:], int64(p.Phys+at)); n < len(magic) || string(magic[:]) != "MZ" {
				continue
			}
			if im, err := readImage(v.space, p.Virt+at); err == nil && im.isKernel() {
				kernel = im
				return done
			}
		}
		return nil
	}) // tables that cannot be read end the search as tables without a kernel do
	return kernel, context.Cause(ctx)
}

// walk is a search for images.
type walk struct {
	v      view
	seen   map[uint64]bool // pages
	others []string        // images that are not the kernel's
}

// Bounds of a search.
const (
	maxOthers = 8
	maxPages  = 4 * maxImage / PageSize
)

// down goes down in memory from an address that may be in the kernel.
func (w *walk) down(entry uint64) *image {
	for page := entry &^ (PageSize - 1); entry-page < maxImage && page != 0; page -= PageSize {
		if w.seen[page] || len(w.seen) > maxPages || len(w.others) > maxOthers {
			return nil
		}
		w.seen[page] = true
		if found, _ := w.v.mayBeImage(page); !found {
			continue
		}
		im, err := readImage(w.v.space, page)
		switch {
		case err != nil:
			continue
		case im.isKernel():
			return im
		case !im.has(entry):
			continue
		}
		name := "an image without a name"
		if im.name() != "" {
			name = strconv.Quote(im.name())
		}
		w.others = append(w.others, fmt.Sprintf("%s at %#x", name, page))
		return nil
	}
	return nil
}
