package core

import (
	"bytes"

	"guestcore/internal/addr"
	"guestcore/internal/inferior"
)

const (
	atRandom = 25 // address of 16 random bytes, just above the vector
	maxArgs  = 1 << 20
)

// stackArgs finds the command line where the kernel put it when the program
// was started (create_elf_tables, fs/binfmt_elf.c). Addresses grow downwards
// on this page:
//
//	argc                   a word
//	argv[0] … argv[argc-1] pointers, then 0
//	envp[0] …              pointers, then 0
//	the auxiliary vector   equal to NT_AUXV
//	platform name, 16 random bytes (AT_RANDOM), the strings
//
// It returns nil when any of it does not fit.
func (p *Process) stackArgs() []string {
	h, w := p.head, p.head.wordSize()
	random, ok := inferior.AuxValue(p, atRandom)
	if !ok || len(p.notes.auxv) == 0 {
		return nil
	}
	// Behind the vector come less than 4 KiB of names and padding.
	stack := p.readBelow(random, maxArgs)
	from := max(0, len(stack)-4096-len(p.notes.auxv))
	at := bytes.LastIndex(stack[from:], auxvToNull(p.notes.auxv, int(w)))
	if at < 0 {
		return nil
	}
	words := stack[:from+at]
	base := random - uint64(len(stack)) // address of words[0]
	back := func(n int) uint64 {        // the n-th word below the vector
		if i := len(words) - n*int(w); n > 0 && i >= 0 {
			return h.word(words[i:])
		}
		return 0
	}
	if len(words) < 3*int(w) || (base+uint64(len(words)))%w != 0 || back(1) != 0 {
		return nil
	}
	n := 2
	for back(n) != 0 { // the environment
		n++
	}
	end := n // argv's 0
	for n++; n*int(w) <= len(words); n++ {
		if argc := uint64(n - end - 1); back(n) == argc {
			args := make([]string, argc)
			for i := range args {
				if args[i], ok = p.readString(back(n - 1 - i)); !ok {
					return nil
				}
			}
			return args
		}
	}
	return nil
}

// readBelow reads up to size bytes that end at a, as many as are stored.
func (p *Process) readBelow(a, size uint64) []byte {
	e, ok := p.mappings.Find(addr.HVA(a))
	if !ok {
		return nil
	}
	b := make([]byte, min(size, a-uint64(e.Addr)))
	if n, err := p.ReadAt(b, int64(a-uint64(len(b)))); err != nil || n < len(b) {
		return nil
	}
	return b
}

// readString reads a NUL-terminated string.
func (p *Process) readString(a uint64) (string, bool) {
	var s []byte
	for len(s) < maxArgs {
		b := make([]byte, 256)
		n, err := p.ReadAt(b, int64(a)+int64(len(s)))
		if i := bytes.IndexByte(b[:n], 0); i >= 0 {
			return string(append(s, b[:i]...)), true
		}
		if err != nil {
			return "", false
		}
		s = append(s, b[:n]...)
	}
	return "", false
}

// auxvToNull is the vector up to and with its AT_NULL entry: NT_AUXV may be
// padded with more of them, the stack is not.
func auxvToNull(auxv []byte, w int) []byte {
	null := make([]byte, w)
	for i := 0; i+2*w <= len(auxv); i += 2 * w {
		if bytes.Equal(auxv[i:i+w], null) {
			return auxv[:i+2*w]
		}
	}
	return auxv
}
