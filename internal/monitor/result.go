package monitor

import (
	"guestcore/internal/guest"
	"guestcore/internal/guest/linux"
)

// DumpResult is what became of a dump, for --json. Addresses and sizes are
// numbers, sizes in bytes.
type DumpResult struct {
	Path      string   `json:"path"`
	Format    string   `json:"format"`
	Arch      string   `json:"arch"`
	Begin     *uint64  `json:"begin,omitempty"`  // of the range that was asked for,
	Length    *uint64  `json:"length,omitempty"` // if one was
	Size      int64    `json:"size"`             // of the file
	Memory    int64    `json:"memory"`           // of the guest, in it
	Copied    int64    `json:"copied"`           // of the file's size
	Direct    int64    `json:"direct"`           // of these, written around the page cache
	Reflinked int64    `json:"reflinked"`
	Holes     int64    `json:"holes"` // zeros that are not stored
	Zeros     int64    `json:"zeros"` // zeros that are
	Seconds   float64  `json:"seconds"`
	Absent    []Absent `json:"absent"`
	CPUs      []CPU    `json:"cpus"` // how far the registers in the file can be relied on; Remarks say which are not in it
	Remarks   []string `json:"remarks,omitempty"`
	Warnings  []string `json:"warnings,omitempty"`
	Notes     []string `json:"notes,omitempty"`
	// Open are the commands that open the file.
	Open linux.Commands `json:"open"`
}

// Absent is a range of guest memory that is not in the file.
type Absent struct {
	Start  uint64 `json:"start"`
	End    uint64 `json:"end"`
	Reason string `json:"reason"`
}

func newAbsent(a guest.Missing) Absent {
	return Absent{uint64(a.Addr), uint64(a.Addr) + a.Size, a.Reason}
}

// newDumpResult is what became of a dump that has ended well.
func newDumpResult(d *dumping) DumpResult {
	s := d.summary
	r := DumpResult{
		Path: s.Path, Format: s.Format, Arch: d.arch, Size: s.Size, Memory: s.Memory,
		Copied: s.Copied, Direct: s.Direct, Reflinked: s.Reflinked, Holes: s.Holes, Zeros: s.Zeros, Seconds: s.Elapsed.Seconds(),
		Absent: []Absent{}, CPUs: d.cpus, Remarks: s.Remarks, Warnings: d.warnings, Notes: d.notes, Open: d.open,
	}
	if w := d.request.Window; !w.IsZero() {
		begin := uint64(w.Begin)
		r.Begin, r.Length = &begin, &w.Length
	}
	for _, a := range s.Absent {
		r.Absent = append(r.Absent, newAbsent(a))
	}
	return r
}
