package dump

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"guestcore/internal/addr"
	"guestcore/internal/extent"
	"guestcore/internal/guest"
)

// shareRange has the file system share blocks of src instead of copying them
// (FICLONERANGE; XFS, Btrfs and a few more). All three numbers are multiples
// of the block size.
func shareRange(dst *os.File, off int64, src *os.File, srcOff, n int64) error {
	return unix.IoctlFileCloneRange(int(dst.Fd()), &unix.FileCloneRange{
		Src_fd: int64(src.Fd()), Src_offset: uint64(srcOff), Src_length: uint64(n), Dest_offset: uint64(off),
	})
}

// ShareAt is CopyAt where the file system can share all of the whole blocks,
// holes and all; what is before and behind them is copied. Where it cannot,
// nothing is done and shared is false.
func (s *regular) ShareAt(off int64, src *os.File, srcOff, n int64) (shared bool, done int64, err error) {
	before, length := shareable(off, srcOff, n, s.block)
	if _, no := s.noShare.Load(src); no || length == 0 {
		return false, 0, nil
	}
	if err := shareRange(s.f, off+before, src, srcOff+before, length); err != nil {
		// Some errors are this range's: blocks behind the end of a truncated
		// source, or of a kind that cannot be shared.
		if !errors.Is(err, unix.EINVAL) {
			s.noShare.Store(src, true)
		}
		s.log.Debug("blocks cannot be shared", "source", src.Name(), "offset", srcOff+before, "why", err)
		return false, 0, nil
	}
	for at := int64(0); at < length; {
		hole, data, err := nextData(src, srcOff+before+at, length-at)
		if err != nil {
			return true, 0, err
		}
		s.holes.Add(hole)
		s.shared.Add(data)
		at += hole + data
	}
	if done, err := s.CopyAt(off, src, srcOff, before); err != nil {
		return true, done, err
	}
	behind := before + length
	done, err = s.CopyAt(off+behind, src, srcOff+behind, n-behind)
	return true, behind + done, err
}

// ShareMemory has the file system share n bytes of guest memory from a on with
// their source, at off of a sink that can do so, if one extent of a file has them
// all. Else it does nothing, and shared is false.
func ShareMemory(s Sink, off int64, im *guest.Image, a addr.GPA, n int64) (shared bool, err error) {
	to, ok := s.(sharer)
	if !ok {
		return false, nil
	}
	e := im.Map.Clip(a, uint64(n))
	if len(e) != 1 || e[0].Kind != extent.Data || e[0].Size != uint64(n) {
		return false, nil
	}
	src, ok := im.Files[e[0].Off.File()].(*os.File)
	if !ok {
		return false, nil
	}
	shared, done, err := to.ShareAt(off, src, e[0].Off.Offset(), n)
	if err != nil {
		err = fmt.Errorf("guest memory at %#x: %w", uint64(a)+uint64(done), err)
	}
	return shared, err
}

// shareable is the part of n bytes from off on that consists of whole blocks,
// as the bytes before it and its length; length 0 when the two files' blocks
// do not line up.
func shareable(off, srcOff, n, block int64) (before, length int64) {
	if block <= 0 || (off-srcOff)%block != 0 {
		return 0, 0
	}
	before = -off & (block - 1)
	if before >= n {
		return 0, 0
	}
	return before, (n - before) &^ (block - 1)
}

// mostBlock is the largest block that is taken for one, in bytes. Network file
// systems call blocks what they like to read at once.
const mostBlock = 64 << 10

// blockSize is the file system's, in bytes; 0 if it does not say or says what
// is no power of two.
func blockSize(f *os.File) int64 {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return 0
	}
	return block(&st)
}

func block(st *unix.Statfs_t) int64 {
	switch {
	case st.Bsize <= 0 || st.Bsize&(st.Bsize-1) != 0:
		return 0
	case st.Bsize > mostBlock:
		return DefaultAlign
	}
	return st.Bsize
}

// AlignFor is the [Options].Align for a file at path: the block of the file
// system there, and no less than [DefaultAlign].
func AlignFor(path string) int64 {
	var st unix.Statfs_t
	dst, err := findDestination(path)
	if err != nil || dst.stream || unix.Statfs(dst.dir(), &st) != nil {
		return DefaultAlign
	}
	return max(DefaultAlign, block(&st))
}

// canShare reports whether blocks of all the sources can be shared with f, by
// doing so with the first one of each. f is empty before and after.
func canShare(f *os.File, sources []addr.Source) bool {
	block := blockSize(f)
	if block == 0 || len(sources) == 0 {
		return false
	}
	defer f.Truncate(0)
	for _, src := range sources {
		if from, ok := src.(*os.File); !ok || shareRange(f, 0, from, 0, block) != nil {
			return false
		}
	}
	return true
}
