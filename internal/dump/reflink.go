package dump

import (
	"os"

	"golang.org/x/sys/unix"
)

// shareRange has the file system share blocks of src instead of copying them
// (FICLONERANGE; XFS, Btrfs and a few more). All three numbers are multiples
// of the block size.
func shareRange(dst *os.File, off int64, src *os.File, srcOff, n int64) error {
	return unix.IoctlFileCloneRange(int(dst.Fd()), &unix.FileCloneRange{
		Src_fd: int64(src.Fd()), Src_offset: uint64(srcOff), Src_length: uint64(n), Dest_offset: uint64(off),
	})
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

// blockSize is the file system's, in bytes; 0 if it does not say or says what
// is no power of two.
func blockSize(f *os.File) int64 {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil || st.Bsize&(st.Bsize-1) != 0 {
		return 0
	}
	return st.Bsize
}

// canShare reports whether blocks of all the sources can be shared with f, by
// doing so with the first one of each. f is empty before and after.
func canShare(f *os.File, sources []*os.File) bool {
	block := blockSize(f)
	if block == 0 || len(sources) == 0 {
		return false
	}
	defer f.Truncate(0)
	for _, src := range sources {
		if shareRange(f, 0, src, 0, block) != nil {
			return false
		}
	}
	return true
}
