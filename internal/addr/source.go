package addr

import (
	"io"
	"os"
)

// Source is what the number of a file in a [FileOff] stands for. One that is
// an *[os.File] can be copied inside the kernel; others are read.
type Source interface {
	io.ReaderAt
	Name() string // for people
}

var _ Source = (*os.File)(nil)
