package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"

	"guestcore/internal/addr"
	"guestcore/internal/guest"
)

// memory is memory in memory, with pages that cannot be read.
type memory struct {
	bytes []byte // at base
	base  addr.GPA
	bad   map[addr.GPA]bool // pages
	zero  bool              // it tells what is zero
	reads atomic.Int64
}

func (m *memory) ReadAt(p []byte, off int64) (int, error) {
	m.reads.Add(1)
	for n := 0; n < len(p); {
		a := addr.GPA(off) + addr.GPA(n)
		if m.bad[a/Page*Page] {
			return n, fmt.Errorf("page %#x is bad", uint64(a/Page*Page))
		}
		end := min((a/Page+1)*Page, addr.GPA(off)+addr.GPA(len(p)))
		n += copy(p[n:], m.bytes[a-m.base:end-m.base])
	}
	return len(p), nil
}

func (m *memory) Zero(a addr.GPA, n uint64) bool {
	return m.zero && len(bytes.Trim(m.bytes[a-m.base:a-m.base+addr.GPA(n)], "\x00")) == 0
}

func (m *memory) Where(a addr.GPA) string { return fmt.Sprint(a) }

func source(m *memory) *Source { return &Source{Memory: m} }

type noProgress struct{ total, done atomic.Int64 }

func (p *noProgress) Start(n int64) { p.total.Store(n) }
func (p *noProgress) Add(n int64)   { p.done.Add(n) }

// sum is the digest by its definition, one step after the other.
func sum(m *memory, spans ...Span) Sum {
	var all []byte
	for _, s := range spans {
		b := binary.BigEndian.AppendUint64(nil, uint64(s.Start))
		b = binary.BigEndian.AppendUint64(b, uint64(s.End-s.Start))
		for a := s.Start; a < s.End; {
			end := min(s.End, (a>>21+1)<<21)
			x := sha256.Sum256(m.bytes[a-m.base : end-m.base])
			b = append(b, x[:]...)
			a = end
		}
		x := sha256.Sum256(b)
		all = append(all, x[:]...)
	}
	return Sum{sha256.Sum256(all), true}
}

// example is memory of several pieces, with zeros in the middle.
func example(zero bool) (*memory, []Span) {
	m := &memory{base: 0x1ff000, bytes: make([]byte, 5*Piece), zero: zero}
	r := rand.New(rand.NewPCG(1, 2))
	for i := range m.bytes {
		if i < 2*Piece || i > 4*Piece {
			m.bytes[i] = byte(r.Uint32())
		}
	}
	return m, []Span{{0x1ff000, 0x1ff800}, {0x200000, 0x200000 + 3*Piece}, {0xa00001, 0xa00007}}
}

func TestDigest(t *testing.T) {
	m, spans := example(false)
	var p noProgress
	for _, zero := range []bool{false, true} {
		m.zero = zero
		m.reads.Store(0)
		res, err := Run(t.Context(), spans, &p, source(m))
		if err != nil || !res.OK() {
			t.Fatal(err, res.Faults)
		}
		d := res.Digests[0]
		if want := sum(m, spans...); d.All != want {
			t.Errorf("the digest is %v, want %v", d.All, want)
		}
		if len(d.Spans) != 3 {
			t.Fatalf("%d digests of spans", len(d.Spans))
		}
		if res.Bytes != 0x800+3*Piece+6 || p.total.Load() != int64(res.Bytes) {
			t.Errorf("%d bytes, total %d", res.Bytes, p.total.Load())
		}
		if want := map[bool]int64{false: 5, true: 4}[zero]; m.reads.Load() != want {
			t.Errorf("%d reads, want %d", m.reads.Load(), want)
		}
	}
	if p.done.Load() != 2*p.total.Load() {
		t.Errorf("%d bytes done of twice %d", p.done.Load(), p.total.Load())
	}
	one, err := Run(t.Context(), spans[1:2], &p, source(m))
	if err != nil || one.Digests[0].All != sum(m, spans[1]) {
		t.Errorf("one span: %v", err)
	}
}

// A digest is written down once, so that a later version has the same.
func TestDigestIsKept(t *testing.T) {
	m := &memory{bytes: []byte("guest memory")}
	res, err := Run(t.Context(), []Span{{0, 12}}, &noProgress{}, source(m))
	if err != nil {
		t.Fatal(err)
	}
	// printf: span = sha256(u64be 0, u64be 12, sha256("guest memory")), all = sha256(span)
	const want = "sha256:c1a0e78baae41b03b5cffa922cd9e9d0ee03b9c06e7ec64c6b83a30ab0f45dd0"
	if got := res.Digests[0].All.String(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestDifference(t *testing.T) {
	a, spans := example(true)
	b, _ := example(true)
	var p noProgress
	if res, err := Run(t.Context(), spans, &p, source(a), source(b)); err != nil || !res.OK() || res.Digests[0].All != res.Digests[1].All {
		t.Fatalf("equal memory: %+v, %v", res, err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		s := spans[r.IntN(len(spans))]
		at := s.Start + addr.GPA(r.Uint64N(s.Size()))
		b.bytes[at-b.base] ^= 1 << r.IntN(8)
		res, err := Run(t.Context(), spans, &p, source(a), source(b))
		if err != nil {
			t.Fatal(err)
		}
		d := res.Difference
		if res.OK() || d.Pages != 1 || d.Addr != at || d.Bytes != [2]byte{a.bytes[at-a.base], b.bytes[at-b.base]} || len(d.Spans) != 1 || d.Spans[0].Start > at || at >= d.Spans[0].End {
			t.Errorf("a byte at %v: %+v", at, d)
		}
		if res.Digests[0].All == res.Digests[1].All || res.Digests[1].All != sum(b, spans...) {
			t.Errorf("a byte at %v: the digests are %v", at, res.Digests)
		}
		b.bytes[at-b.base] = a.bytes[at-a.base]
	}
	for at := addr.GPA(0x3ff000); at < 0x402000; at += Page { // pages on both sides of a piece's end
		b.bytes[at-b.base]++
	}
	res, err := Run(t.Context(), spans, &p, source(a), source(b))
	if err != nil || res.Difference.Pages != 3 || len(res.Difference.Spans) != 1 || res.Difference.Spans[0] != (Span{0x3ff000, 0x402000}) {
		t.Errorf("%+v, %v", res.Difference, err)
	}
}

// What differs where a source has bytes of its own is told apart, unless more
// of the page differs.
func TestOwn(t *testing.T) {
	a, spans := example(false)
	b, _ := example(false)
	own := source(b)
	own.Own = []guest.Range{{Addr: 0x201100, Size: 0x100}, {Addr: 0x202ff0, Size: 0x20}}
	for _, at := range []addr.GPA{0x201100, 0x2011ff, 0x202fff, 0x203000} {
		b.bytes[at-b.base]++
	}
	for _, sources := range [][]*Source{{source(a), own}, {own, source(a)}} {
		res, err := Run(t.Context(), spans, &noProgress{}, sources...)
		if err != nil || !res.OK() || res.Digests[0].All == res.Digests[1].All {
			t.Fatalf("%+v, %v", res, err)
		}
		if d := res.Own; d.Pages != 3 || d.Addr != 0x201100 || len(d.Spans) != 1 || d.Spans[0] != (Span{0x201000, 0x204000}) {
			t.Errorf("%+v", d)
		}
	}
	for _, at := range []addr.GPA{0x2010ff, 0x201200, 0x203010} {
		b.bytes[at-b.base]++
		res, err := Run(t.Context(), spans, &noProgress{}, source(a), own)
		if err != nil || res.OK() || res.Difference.Pages != 1 || res.Difference.Addr != at || res.Own.Pages != 2 {
			t.Errorf("a byte at %v: %+v, %v", at, res, err)
		}
		b.bytes[at-b.base]--
	}
	if res, err := Run(t.Context(), spans, &noProgress{}, source(a), source(b)); err != nil || res.Difference.Pages != 3 || res.Own.Pages != 0 {
		t.Errorf("without: %+v, %v", res, err)
	}
}

func TestFault(t *testing.T) {
	a, spans := example(false)
	b, _ := example(false)
	b.bad = map[addr.GPA]bool{0x3ff000: true, 0x401000: true}
	b.bytes[0x400123-b.base]++ // in the page between
	b.bytes[0x401123-b.base]++ // in a bad page
	res, err := Run(t.Context(), spans, &noProgress{}, source(a), source(b))
	if err != nil || res.OK() {
		t.Fatal(res, err)
	}
	if f := res.Faults[1]; res.Faults[0].Pages != 0 || f.Pages != 2 || f.Addr != 0x3ff000 || f.Err.Error() != "page 0x3ff000 is bad" {
		t.Errorf("%+v", res.Faults)
	}
	if d := res.Difference; d.Pages != 1 || d.Addr != 0x400123 {
		t.Errorf("%+v", d)
	}
	if res.Digests[0].All != sum(a, spans...) || res.Digests[1].All.String() != "" || res.Digests[1].Spans[1].String() != "" {
		t.Errorf("%+v", res.Digests)
	}
	if s := res.Digests[1].Spans[0].String(); s == "" || s != res.Digests[0].Spans[0].String() {
		t.Errorf("a span without faults has %q", s)
	}
}

func TestCancel(t *testing.T) {
	m, spans := example(false)
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if _, err := Run(ctx, spans, &noProgress{}, source(m)); !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
}

// The lists of spans are held against sets of bytes.
func TestSpans(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	set := func(spans []Span) (b [64]bool) {
		for _, s := range spans {
			for a := s.Start; a < s.End; a++ {
				b[a] = true
			}
		}
		return b
	}
	for range 5000 {
		var lists [2][]Span
		for i := range lists {
			for range r.IntN(6) {
				start := r.IntN(60)
				lists[i] = append(lists[i], Span{addr.GPA(start), addr.GPA(start + r.IntN(64-start))})
			}
		}
		a, b := Join(lists[0]), Join(lists[1])
		if set(a) != set(lists[0]) {
			t.Fatalf("%v joined is %v", lists[0], a)
		}
		inA, inB := set(a), set(b)
		var both, only [64]bool
		for i := range inA {
			both[i], only[i] = inA[i] && inB[i], inA[i] && !inB[i]
		}
		if got := Common(a, b); set(got) != both {
			t.Fatalf("%v and %v have %v in common", a, b, got)
		}
		got := Without(a, b)
		if set(got) != only {
			t.Fatalf("%v without %v is %v", a, b, got)
		}
		for i := 1; i < len(got); i++ {
			if got[i-1].End >= got[i].Start {
				t.Fatalf("%v without %v is %v, which is not joined", a, b, got)
			}
		}
	}
}

func TestOnly(t *testing.T) {
	ranges := func(spans ...Span) (out []guest.Range) {
		for _, s := range spans {
			out = append(out, guest.Range{Addr: s.Start, Size: s.Size()})
		}
		return out
	}
	core := &Source{Ranges: ranges(Span{0, 0x9000}, Span{0xa000, 0x20000}, Span{0xf0000, 0x100000})}
	core.Ranges[2].ROM = true
	elf := &Source{Ranges: ranges(Span{0, 0x9000}, Span{0xa000, 0x20000})}
	kdump := &Source{Ranges: ranges(Span{0, 0x30000}), Block: 0x10000}
	for _, c := range []struct {
		name      string
		a, b      *Source
		only, rom string
	}{
		{"nothing more", elf, core, "[]", "[]"},
		{"ROM that an ELF dump lacks", core, elf, "[0xf0000-0x100000]", "[]"},
		{"ROM that a kdump lacks", core, kdump, "[]", "[0xf0000-0x100000]"},
		{"what fills a block", kdump, core, "[0x20000-0x30000]", "[]"},
	} {
		only, rom := c.a.Only(c.b)
		if fmt.Sprint(only) != c.only || fmt.Sprint(rom) != c.rom {
			t.Errorf("%s: %v, %v; want %s, %s", c.name, only, rom, c.only, c.rom)
		}
	}
}
