package arch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Paging is how a processor finds the physical address behind a virtual one:
// its control registers, and tables in guest-physical memory.
type Paging interface {
	// Translate finds the page that holds a virtual address. mem is
	// guest-physical memory. The error is an [*UnmappedError] or says which
	// table could not be read.
	Translate(mem io.ReaderAt, va uint64) (Page, error)
}

// Page is a page of virtual memory and where it lies in physical memory.
type Page struct {
	Virt, Phys uint64 // of its first byte
	Size       uint64 // bytes
}

// At is the physical address behind a virtual one in the page.
func (p Page) At(va uint64) uint64 { return p.Phys + (va - p.Virt) }

// identity is the page of a processor that translates nothing.
func identity(va uint64) Page {
	const size = 1 << 12
	return Page{Virt: va &^ (size - 1), Phys: va &^ (size - 1), Size: size}
}

// UnmappedError means that page tables lead from an address to nothing.
type UnmappedError struct {
	Addr  uint64
	Table string // the table that has no entry for it, "" if the address cannot be one
}

func (e *UnmappedError) Error() string {
	if e.Table == "" {
		return fmt.Sprintf("virtual address %#x is outside of what the processor's page tables can map", e.Addr)
	}
	return fmt.Sprintf("virtual address %#x is not mapped: its entry in the %s is empty", e.Addr, e.Table)
}

// tableEntry reads entry index of the table at a physical address; entries
// have 4 or 8 bytes.
func tableEntry(mem io.ReaderAt, order binary.ByteOrder, table, index uint64, size int) (uint64, error) {
	var b [8]byte
	pa := table + index*uint64(size)
	if n, err := mem.ReadAt(b[:size], int64(pa)); n < size {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, fmt.Errorf("page table at %#x: %w", table, err)
	}
	if size == 4 {
		return uint64(order.Uint32(b[:])), nil
	}
	return order.Uint64(b[:]), nil
}
