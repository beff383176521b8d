package windows

import (
	"fmt"

	"guestcore/internal/arch"
	"guestcore/internal/guest"
)

// contexts are the places where debuggers look for the registers of each
// processor: KiProcessorBlock leads to its control block (PRCB), and that to
// its CONTEXT.
type contexts struct {
	kdbg
	block  uint64 // of pointers to PRCBs
	offset uint64 // in a PRCB
	// embedded tells that the CONTEXT is in the PRCB itself, at offset, and not
	// where a pointer there leads.
	embedded bool
}

// findContexts asks KDBG where the contexts are.
func findContexts(k kdbg) (contexts, error) {
	c := contexts{kdbg: k}
	size, err := k.number(k.addr+kdbgSize, 4)
	if err != nil {
		return c, fmt.Errorf("reading the size of KDBG: %w", err)
	}
	if c.block, err = k.pointer(kdbgKiProcessorBlock); err != nil {
		return c, fmt.Errorf("reading KiProcessorBlock: %w", err)
	}
	// QEMU knows OffsetPrcbContext only, and takes what lies behind the end of
	// an older KDBG for it.
	field := uint64(kdbgPrcbContext)
	if size <= kdbgPrcbContext {
		field, c.embedded = kdbgPrcbProcStateFrame, true
	}
	if size <= field {
		return c, fmt.Errorf("KDBG has %#x bytes, and none of them says where a processor's context is: Windows Server 2003 or newer is needed", size)
	}
	if c.offset, err = k.number(k.addr+field, 2); err != nil {
		return c, fmt.Errorf("reading OffsetPrcbContext: %w", err)
	}
	return c, nil
}

// of is the address of a processor's CONTEXT; i counts from 0 in the order of
// Windows, which QEMU takes for its own.
func (c contexts) of(i int) (uint64, error) {
	prcb, err := c.space.pointer(c.block + uint64(i*c.word))
	if err != nil {
		return 0, fmt.Errorf("reading where its PRCB is: %w", err)
	}
	if c.embedded {
		return prcb + c.offset, nil
	}
	at, err := c.space.pointer(prcb + c.offset)
	if err != nil {
		return 0, fmt.Errorf("reading where its context is: %w", err)
	}
	return at, nil
}

// patches put a processor's registers into its CONTEXT.
func (c contexts) patches(i int, s *arch.X86, float bool) ([]guest.Patch, error) {
	at, err := c.of(i)
	if err != nil {
		return nil, err
	}
	all, err := c.patch(newContext(s, c.word == 8, float), at)
	if err != nil {
		return nil, fmt.Errorf("its context at %#x: %w", at, err)
	}
	return all, nil
}
