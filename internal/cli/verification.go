package cli

import (
	"context"
	"errors"
	"fmt"

	"guestcore/internal/guest"
	"guestcore/internal/progress"
	"guestcore/internal/verify"
)

// verification is what became of guestcore verify, for --json. Addresses and
// sizes are numbers, sizes in bytes; digests are described at verify.Digest.
type verification struct {
	OK      bool            `json:"ok"`
	Verdict string          `json:"verdict"`
	Memory  uint64          `json:"memory"` // what was read of each file
	Ranges  []verifiedRange `json:"ranges"` // where that is
	Files   []verifiedFile  `json:"files"`
	Differ  *difference     `json:"differ,omitempty"`
	Own     *difference     `json:"differ_own,omitempty"` // where a Windows crash dump has bytes of its own
}

type verifiedFile struct {
	Path       string       `json:"path"`
	Format     string       `json:"format"`
	Size       int64        `json:"size,omitempty"` // of the file
	Memory     uint64       `json:"memory"`         // in the file
	Digest     string       `json:"digest,omitempty"`
	Unreadable *unreadable  `json:"unreadable,omitempty"`
	Only       []verifySpan `json:"only,omitempty"`     // memory the other file has not
	OnlyROM    []verifySpan `json:"only_rom,omitempty"` // as kdump files leave it out
	Absent     []missing    `json:"absent,omitempty"`
	Lost       []missing    `json:"lost,omitempty"`
	Problems   []string     `json:"problems,omitempty"`
	Warnings   []string     `json:"warnings,omitempty"`
}

type verifySpan struct {
	Start uint64 `json:"start"`
	End   uint64 `json:"end"`
}

type verifiedRange struct {
	verifySpan
	Digests []string `json:"digests"` // of each file, "" if not all could be read
}

type missing struct {
	verifySpan
	Reason string `json:"reason"`
}

type unreadable struct {
	Pages int64  `json:"pages"` // of 4096 bytes
	Addr  uint64 `json:"first"`
	Error string `json:"error"`
}

type difference struct {
	Pages int64        `json:"pages"` // of 4096 bytes
	Addr  uint64       `json:"first"` // of the first byte that differs
	Bytes [2]int       `json:"bytes"` // what it is in each file
	Where [2]string    `json:"where"`
	Spans []verifySpan `json:"ranges"` // the first pages that differ
}

// newVerification reads one file, or two to compare them.
func newVerification(ctx context.Context, subjects []*subject, asked []verify.Span, partial bool, p *progress.Meter) (*verification, error) {
	v := &verification{}
	read := subjects[0].Spans()
	var sources []*verify.Source
	for i, s := range subjects {
		f := verifiedFile{Path: s.Name, Format: s.format, Size: s.size, Problems: s.problems, Warnings: s.warnings}
		for _, x := range s.Spans() {
			f.Memory += x.Size()
		}
		f.Absent, f.Lost = newMissing(s.absent), newMissing(s.lost)
		if f.Memory == 0 {
			return nil, noMemory(s)
		}
		if len(subjects) == 2 {
			other := subjects[1-i]
			read = verify.Common(read, s.Spans())
			only, rom := s.Only(other.Source)
			f.Only, f.OnlyROM = newSpans(within(only, asked)), newSpans(within(rom, asked))
		}
		v.Files = append(v.Files, f)
		sources = append(sources, s.Source)
	}
	if len(read) == 0 {
		return nil, fmt.Errorf("%s and %s hold no memory in common: are they of the same guest?", subjects[0].Name, subjects[1].Name)
	}
	if read = within(read, asked); len(read) == 0 {
		return nil, errors.New("there is no memory in the ranges of --range: leave it out to see which there is")
	}
	res, err := verify.Run(ctx, read, p, sources...)
	if err != nil {
		return nil, err
	}
	v.take(res, sources)
	v.judge(partial)
	return v, nil
}

func noMemory(s *subject) error {
	for _, x := range append(s.lost, s.absent...) {
		return fmt.Errorf("%s holds no guest memory: %#x-%#x %s", s.Name, uint64(x.Addr), uint64(x.Addr)+x.Size, x.Reason)
	}
	return fmt.Errorf("%s holds no guest memory", s.Name)
}

// within is what of spans the user asked for.
func within(s, asked []verify.Span) []verify.Span {
	if len(asked) == 0 {
		return s
	}
	return verify.Common(s, verify.Join(asked))
}

// take takes what was found.
func (v *verification) take(res *verify.Result, sources []*verify.Source) {
	v.Memory = res.Bytes
	for i, s := range res.Spans {
		r := verifiedRange{verifySpan: newSpan(s)}
		for _, d := range res.Digests {
			r.Digests = append(r.Digests, d.Spans[i].String())
		}
		v.Ranges = append(v.Ranges, r)
	}
	for i, f := range res.Faults {
		v.Files[i].Digest = res.Digests[i].All.String()
		if f.Pages > 0 {
			v.Files[i].Unreadable = &unreadable{f.Pages, uint64(f.Addr), f.Err.Error()}
		}
	}
	v.Differ, v.Own = newDifference(res.Difference, sources), newDifference(res.Own, sources)
}

func newDifference(d verify.Difference, sources []*verify.Source) *difference {
	if d.Pages == 0 {
		return nil
	}
	x := &difference{Pages: d.Pages, Addr: uint64(d.Addr), Spans: newSpans(d.Spans)}
	for i, s := range sources {
		x.Bytes[i], x.Where[i] = int(d.Bytes[i]), s.Memory.Where(d.Addr)
	}
	return x
}

// Verdicts, from the worst on.
const (
	isDamaged   = "damaged"
	isDifferent = "different"
	isUnequal   = "identical where both have memory, which is not everywhere"
	isIdentical = "identical"
	isCompleted = "identical but for the processors' contexts and KDBG, which a Windows crash dump has of its own"
	isPartial   = "all of it can be read, but the guest had more memory"
	isWhole     = "whole"
)

func (v *verification) judge(partial bool) {
	damaged, unequal, absent := false, false, false
	for _, f := range v.Files {
		damaged = damaged || f.Unreadable != nil || len(f.Lost) > 0 || len(f.Problems) > 0
		unequal = unequal || len(f.Only) > 0
		absent = absent || len(f.Absent) > 0
	}
	switch {
	case v.Differ != nil:
		v.Verdict = isDifferent
	case damaged:
		v.Verdict = isDamaged
	case unequal:
		v.Verdict, v.OK = isUnequal, partial
	case v.Own != nil:
		v.Verdict, v.OK = isCompleted, true
	case len(v.Files) == 2:
		v.Verdict, v.OK = isIdentical, true
	case absent:
		v.Verdict, v.OK = isPartial, true
	default:
		v.Verdict, v.OK = isWhole, true
	}
}

// err is the error the program ends with.
func (v *verification) err() error {
	name := v.Files[0].Path
	switch {
	case v.OK:
		return nil
	case v.Verdict == isDifferent:
		return fmt.Errorf("%s differs from %s", name, v.Files[1].Path)
	case v.Verdict == isUnequal:
		return fmt.Errorf("%s and %s hold different parts of the guest's memory: --partial accepts that", name, v.Files[1].Path)
	}
	for _, f := range v.Files {
		if f.Unreadable != nil || len(f.Lost) > 0 || len(f.Problems) > 0 {
			return fmt.Errorf("%s is damaged", f.Path)
		}
	}
	return nil
}

func newSpan(s verify.Span) verifySpan { return verifySpan{uint64(s.Start), uint64(s.End)} }

func newSpans(s []verify.Span) []verifySpan {
	var out []verifySpan
	for _, x := range s {
		out = append(out, newSpan(x))
	}
	return out
}

func newMissing(m []guest.Missing) []missing {
	var out []missing
	for _, x := range m {
		out = append(out, missing{verifySpan{uint64(x.Addr), uint64(x.Addr) + x.Size}, x.Reason})
	}
	return out
}
