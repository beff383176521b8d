package dump

import (
	"fmt"
	"strings"
	"time"

	"guestcore/internal/guest"
	"guestcore/internal/progress"
)

// Summary says what became of a job.
type Summary struct {
	Path   string // absolute, links resolved
	Format string
	Packed bool  // compressed
	Memory int64 // guest memory in it, bytes
	Stats
	Elapsed time.Duration
	Absent  []guest.Missing
	Remarks []string
}

// String is the summary for people, one line for what was written and one for
// each remark and absent range. It does not end in a newline.
func (s Summary) String() string {
	var how []string
	for _, part := range []struct {
		verb string
		n    int64
		more string
	}{
		{"reflinked", s.Reflinked, ""}, {"copied", s.Copied, s.direct()}, {"zeros", s.Zeros, ""}, {"holes", s.Holes, ""},
	} {
		if part.n > 0 && !s.Packed {
			how = append(how, part.verb+" "+Bytes(part.n)+part.more)
		}
	}
	if s.Packed {
		how = append(how, fmt.Sprintf("%s, %s", s.Format, Bytes(s.Size)))
		if s.Reflinked > 0 {
			how = append(how, "reflinked "+Bytes(s.Reflinked))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s of guest memory in %.2f s (%s)", s.Path, Bytes(s.Memory), s.Elapsed.Seconds(), strings.Join(how, ", "))
	for _, a := range s.Absent {
		fmt.Fprintf(&b, "\nabsent: %#x-%#x %s", uint64(a.Addr), uint64(a.Addr)+a.Size, a.Reason)
	}
	for _, r := range s.Remarks {
		b.WriteString("\nnote: " + r)
	}
	return b.String()
}

// direct says how much of what was copied went around the page cache.
func (s Summary) direct() string {
	if s.Direct == 0 {
		return ""
	}
	return fmt.Sprintf(" (%s by direct I/O)", Bytes(s.Direct))
}

// Bytes is a size for people, in binary units.
func Bytes(n int64) string { return progress.Bytes(n) }
