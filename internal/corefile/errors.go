package corefile

import (
	"errors"
	"fmt"
	"io"

	"guestcore/internal/progress"
)

// ErrNoSpace is what a *[SpaceError] is.
var ErrNoSpace = errors.New("no space for the decompressed core")

// SpaceError says that the folder of the temporary is too small.
type SpaceError struct {
	Dir        string
	Held, Need int64 // bytes on disk so far, and about that many more
	Free       int64
	Percent    int // of the compressed file that was read
}

func (e *SpaceError) Error() string {
	return fmt.Sprintf("no space to decompress it in %s: %s are written after %d %% of the file, about %s more are needed and %s free: "+
		"free space there, or name a folder with more in --spool-dir",
		e.Dir, progress.Bytes(e.Held), e.Percent, progress.Bytes(e.Need), progress.Bytes(e.Free))
}

func (e *SpaceError) Is(target error) bool { return target == ErrNoSpace }

// CutError says that a compressed file ends too early.
type CutError struct {
	Format string
	Off    int64 // where the file ends
	Have   int64 // bytes of the core before that
}

func (e *CutError) Error() string {
	return fmt.Sprintf("cut short: its %s data end at offset %#x, inside the core: copy it again in full, or take the %s that can be read with --partial",
		e.Format, e.Off, progress.Bytes(e.Have))
}

// Unwrap makes it an io.ErrUnexpectedEOF.
func (e *CutError) Unwrap() error { return io.ErrUnexpectedEOF }

// FormatError says where a compressed file is damaged.
type FormatError struct {
	Format string
	Off    int64 // up to which the file was read, not far behind the damage
	Have   int64 // bytes of the core before it
	Err    error
}

func (e *FormatError) Error() string {
	return fmt.Sprintf("damaged %s data before offset %#x, behind %s of the core: copy the file again: %v", e.Format, e.Off, progress.Bytes(e.Have), e.Err)
}

func (e *FormatError) Unwrap() error { return e.Err }

// windowError refuses a file that takes much memory to decompress. It is no
// damage.
type windowError struct{ need, most int64 } // bytes; need is 0 if it is not known

func (e *windowError) Error() string {
	need := "more"
	if e.need > 0 {
		need = progress.Bytes(e.need)
	}
	return fmt.Sprintf("takes %s of memory to decompress, %s are allowed: decompress it by hand", need, progress.Bytes(e.most))
}
