package corefile

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// defaultDir is a folder for big files that need not outlive the program
// (file-hierarchy(7)): /tmp is often memory.
const defaultDir = "/var/tmp"

// spoolDir is the folder of the temporary.
func spoolDir(named string) string {
	if named != "" {
		return named
	}
	if dir := os.Getenv("TMPDIR"); dir != "" {
		return dir
	}
	return defaultDir
}

// temporary makes a file without a name in dir: it is gone with its last
// descriptor, however the program ends. name is what the [os.File] is called.
func temporary(dir, name string) (*os.File, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) { // open(2): not every file system can
		fd, err = namedTemporary(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("no temporary for the decompressed core in %s: name another folder in --spool-dir: %w", dir, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// namedTemporary makes a file and takes its name away.
func namedTemporary(dir string) (int, error) {
	f, err := os.CreateTemp(dir, ".guestcore-*")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	if err := os.Remove(f.Name()); err != nil {
		return 0, err
	}
	return unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
}
