package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"guestcore/internal/progress"
)

func (s verifySpan) String() string { return fmt.Sprintf("%#x-%#x", s.Start, s.End) }

// maxListed is how many ranges are listed for people.
const maxListed = 16

// print prints the result for people.
func (v *verification) print(w io.Writer) {
	for _, f := range v.Files {
		f.print(w)
	}
	for i, r := range v.Ranges {
		if i == maxListed {
			fmt.Fprintf(w, "  and %d more ranges: --json lists all\n", len(v.Ranges)-i)
			break
		}
		digest := r.Digests[0]
		switch {
		case slices.Contains(r.Digests, ""):
			digest = "not all can be read"
		case len(r.Digests) == 2 && r.Digests[1] != digest && v.Differ == nil:
			digest = "differs in contexts or KDBG alone"
		case len(r.Digests) == 2 && r.Digests[1] != digest:
			digest = "differs"
		}
		fmt.Fprintf(w, "  %-28v %10s  %s\n", r.verifySpan, progress.Bytes(int64(r.End-r.Start)), digest)
	}
	if d := v.Differ; d != nil {
		fmt.Fprintf(w, "different pages of 4 KiB: %d, %s\n", d.Pages, listed(d.Spans))
		fmt.Fprintf(w, "the first byte is at %#x: %#02x at %s, %#02x at %s\n", d.Addr, d.Bytes[0], d.Where[0], d.Bytes[1], d.Where[1])
	}
	if d := v.Own; d != nil {
		fmt.Fprintf(w, "different in contexts or KDBG alone, which a Windows crash dump has of its own: %s, %s\n", count(int(d.Pages), "page"), listed(d.Spans))
	}
	fmt.Fprintf(w, "%s: %s of guest memory in %s", v.Verdict, progress.Bytes(int64(v.Memory)), count(len(v.Ranges), "range"))
	switch digest := v.Files[0].Digest; {
	case len(v.Files) == 2 && v.Files[1].Digest != digest:
		fmt.Fprintf(w, "\n  digest %s\n  and    %s\n", orNone(digest), orNone(v.Files[1].Digest))
	default:
		fmt.Fprintf(w, ", digest %s\n", orNone(digest))
	}
}

func (f *verifiedFile) print(w io.Writer) {
	fmt.Fprintf(w, "%s: %s, %s of guest memory\n", f.Path, f.Format, progress.Bytes(int64(f.Memory)))
	for _, x := range f.Warnings {
		fmt.Fprintf(w, "  warning: %s\n", x)
	}
	for _, x := range f.Problems {
		fmt.Fprintf(w, "  damaged: %s\n", x)
	}
	if u := f.Unreadable; u != nil {
		fmt.Fprintf(w, "  damaged: cannot be read: %s of 4 KiB, the first: %s\n", count(int(u.Pages), "page"), u.Error)
	}
	printMissing(w, "lost", f.Lost)
	printMissing(w, "absent", f.Absent)
	if len(f.Only) > 0 {
		fmt.Fprintf(w, "  only here, not compared: %s\n", listed(f.Only))
	}
	if len(f.OnlyROM) > 0 {
		fmt.Fprintf(w, "  only here, not compared: %s (ROM, which kdump files and Windows crash dumps leave out)\n", listed(f.OnlyROM))
	}
}

func printMissing(w io.Writer, what string, m []missing) {
	for i, x := range m {
		if i == maxListed {
			fmt.Fprintf(w, "  %s: %d more ranges: --json lists all\n", what, len(m)-i)
			return
		}
		fmt.Fprintf(w, "  %s: %v %s\n", what, x.verifySpan, x.Reason)
	}
}

// listed lists spans, at most maxListed of them.
func listed(spans []verifySpan) string {
	var b strings.Builder
	for i, s := range spans {
		if i == maxListed {
			fmt.Fprintf(&b, " and %d more", len(spans)-i)
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprint(&b, s)
	}
	return b.String()
}

func count(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}

func orNone(digest string) string {
	if digest == "" {
		return "none, as not all could be read"
	}
	return digest
}
