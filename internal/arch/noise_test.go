package arch

import (
	"errors"
	"math/rand/v2"
	"testing"
)

// noise is physical memory that has anything anywhere, and often nothing.
type noise struct{ *rand.Rand }

func (n noise) ReadAt(p []byte, _ int64) (int, error) {
	if n.IntN(20) == 0 {
		return 0, errors.New("no memory there")
	}
	for i := range p {
		p[i] = byte(n.Uint32())
	}
	return len(p), nil
}

// TestPagingNoise translates with registers and tables of a damaged core: what
// comes of it is a page around the address, or an error.
func TestPagingNoise(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	number := func() uint64 { return r.Uint64() << r.IntN(64) >> r.IntN(64) }
	for range 100000 {
		x86 := &X86{CR: [5]uint64{number(), 0, 0, number(), number()}, EFER: number()}
		for _, p := range []Paging{
			ARM64Paging{SCTLR: number(), TCR: number(), TTBR0: number(), TTBR1: number()},
			RISCVPaging{number(), r.IntN(2) == 0},
			S390XPaging{number()},
			x86.X86Paging(),
		} {
			va := number()
			page, err := p.Translate(noise{r}, va)
			if err == nil && (page.Size == 0 || va-page.Virt >= page.Size) {
				t.Fatalf("%#v: %#x is said to be in %#v", p, va, page)
			}
		}
	}
}
