package vmcore

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

const chunk = 1 << 20 // bytes read at once

// Compare returns nil if both dumps have the same guest memory: the same ranges, however cut into PT_LOADs, and the same
// bytes in them. The error says what differs. n is the number of bytes compared.
func Compare(a, b *File) (n uint64, err error) {
	ranges := a.Ranges()
	if !slices.Equal(ranges, b.Ranges()) {
		return 0, fmt.Errorf("the guest memory differs:\n  %v in %s\n  %v in %s", ranges, a.Path, b.Ranges(), b.Path)
	}
	return compare(a, b, ranges)
}

// CompareWithin returns nil if all the guest memory of part is in whole too, with the same bytes. n is as in Compare.
func CompareWithin(part, whole *File) (n uint64, err error) {
	ranges := part.Ranges()
	for _, r := range ranges {
		if !slices.ContainsFunc(whole.Ranges(), func(w Range) bool { return w.Addr <= r.Addr && r.End <= w.End }) {
			return 0, fmt.Errorf("%s has %v, which %s has not", part.Path, r, whole.Path)
		}
	}
	return compare(part, whole, ranges)
}

// compare compares ranges that both dumps have.
func compare(a, b *File, ranges []Range) (n uint64, err error) {
	if len(ranges) == 0 {
		return 0, fmt.Errorf("%s has no guest memory at all", a.Path)
	}
	d := difference{inA: make([]byte, chunk), inB: make([]byte, chunk)}
	for _, r := range ranges {
		for addr := r.Addr; addr < r.End; addr += chunk {
			if err := d.compare(a, b, addr, min(chunk, r.End-addr)); err != nil {
				return n, err
			}
		}
		n += r.End - r.Addr
	}
	if d.bytes > 0 {
		return n, fmt.Errorf("%d bytes differ, the first at guest-physical %#x: %#02x in %s, %#02x in %s",
			d.bytes, d.addr, d.a, a.Path, d.b, b.Path)
	}
	return n, nil
}

// CompareLoads returns nil if both dumps have the same set of PT_LOADs, each with the same p_paddr, p_vaddr, p_filesz
// and p_memsz. Where they lie in the file may differ.
func CompareLoads(a, b *File) error {
	same := slices.EqualFunc(a.Loads, b.Loads, func(x, y Load) bool {
		return x.Paddr == y.Paddr && x.Vaddr == y.Vaddr && x.Filesz == y.Filesz && x.Memsz == y.Memsz
	})
	if same {
		return nil
	}
	return fmt.Errorf("the PT_LOADs differ:\n  %#x in %s\n  %#x in %s", a.Loads, a.Path, b.Loads, b.Path)
}

// difference gathers what two dumps differ in.
type difference struct {
	inA, inB []byte // buffers
	bytes    uint64 // that differ
	addr     uint64 // of the first of them
	a, b     byte   // which that is
}

func (d *difference) compare(a, b *File, addr, size uint64) error {
	inA, inB := d.inA[:size], d.inB[:size]
	errA, errB := a.readGuest(inA, addr), b.readGuest(inB, addr)
	switch {
	case errors.Is(errA, errHole) && errors.Is(errB, errHole):
		return nil
	case errA != nil && !errors.Is(errA, errHole):
		return errA
	case errB != nil && !errors.Is(errB, errHole):
		return errB
	}
	if bytes.Equal(inA, inB) {
		return nil
	}
	for i := range inA {
		if inA[i] == inB[i] {
			continue
		}
		if d.bytes == 0 {
			d.addr, d.a, d.b = addr+uint64(i), inA[i], inB[i]
		}
		d.bytes++
	}
	return nil
}
