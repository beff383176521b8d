package lzo

import (
	"errors"
	"fmt"
)

var (
	// ErrCorrupt is in every error of Decompress.
	ErrCorrupt = errors.New("corrupt LZO stream")
	// ErrInputOverrun: the stream stops before its end marker. It was cut, or
	// its size is told wrong.
	ErrInputOverrun = errors.New("the stream stops before its end marker")
	// ErrOutputOverrun: the stream holds more bytes than dst has room for.
	ErrOutputOverrun = errors.New("the stream holds more bytes than expected")
	// ErrLookBehind: a repeat reaches before the first byte.
	ErrLookBehind = errors.New("it repeats bytes from before the start")
	// ErrTrailing: bytes follow the end marker.
	ErrTrailing = errors.New("bytes follow the end marker")
)

// CorruptError says where a stream stops making sense. It is ErrCorrupt, and
// its Err too.
type CorruptError struct {
	Off int   // in the stream: of the instruction that cannot be carried out, or of the first byte behind the end marker
	Out int   // how many bytes were written until there
	Err error // ErrInputOverrun, ErrOutputOverrun, ErrLookBehind or ErrTrailing
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("%v at byte %#x (%#x bytes unpacked): %v", ErrCorrupt, e.Off, e.Out, e.Err)
}

func (e *CorruptError) Unwrap() []error { return []error{ErrCorrupt, e.Err} }
