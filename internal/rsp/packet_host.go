package rsp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"

	"guestcore/internal/rsp/wire"
)

// The packet that reads the files of the target's machine.
var hostPackets = []packet{
	on("vFile", parseFileCall, (*session).fileCall),
}

// fileCall is "OPERATION:ARGUMENTS", the arguments cut at their commas.
type fileCall struct {
	op   string
	args []string
}

func parseFileCall(args string) (fileCall, error) {
	op, rest, ok := strings.Cut(args, ":")
	if !ok {
		return fileCall{}, fmt.Errorf("vFile:%q has no arguments", args)
	}
	return fileCall{op, strings.Split(rest, ",")}, nil
}

// fileCalls are the operations. What would write is not among them.
var fileCalls = map[string]func(*session, FileSystem, fileCall) (reply, error){
	"setfs":    fileSetFS,
	"open":     fileOpen,
	"close":    fileClose,
	"pread":    filePread,
	"fstat":    fileFstat,
	"stat":     fileStat,
	"lstat":    fileLstat,
	"readlink": fileReadlink,
}

// maxFiles is how many files a client may have open.
const maxFiles = 256

func (s *session) fileCall(c fileCall) (reply, error) {
	fsys, isFS := s.target.(FileSystem)
	call, known := fileCalls[c.op]
	if !isFS || !known || s.isDisabled("vFile:"+c.op) {
		return unsupported, nil
	}
	r, err := call(s, fsys, c)
	if err != nil {
		s.log.Debug("file request refused", "operation", c.op, "err", err)
		return fmt.Appendf(nil, "F-1,%x", fileErrno(err)), nil
	}
	return r, nil
}

// fileErrno is gdb's number for an error (include/gdb/fileio.h), which for the
// common ones is that of Linux. 9999 is its "unknown".
func fileErrno(err error) int {
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		switch errno {
		case syscall.ENOSYS:
			return 88
		case syscall.ENAMETOOLONG:
			return 91
		}
		if errno <= syscall.EROFS {
			return int(errno)
		}
	case errors.Is(err, fs.ErrNotExist):
		return int(syscall.ENOENT)
	case errors.Is(err, fs.ErrPermission):
		return int(syscall.EACCES)
	}
	return 9999
}

// numbers reads arguments from the i-th on, all of the rest.
func (c fileCall) numbers(i int, into ...*uint64) error {
	if i > len(c.args) || cutInts(strings.Join(c.args[i:], ","), into...) != nil {
		return syscall.EINVAL
	}
	return nil
}

// name is the first argument.
func (c fileCall) name() (string, error) {
	name, err := parseHexText(c.args[0])
	if err != nil {
		return "", syscall.EINVAL
	}
	return name, nil
}

// file is the open file that the first argument numbers.
func (s *session) file(fd uint64) (File, error) {
	f, ok := s.files[int(fd)]
	if !ok {
		return nil, syscall.EBADF
	}
	return f, nil
}

// fileSetFS chooses the process whose files are meant; there is only one.
func fileSetFS(*session, FileSystem, fileCall) (reply, error) { return reply("F0"), nil }

func fileOpen(s *session, fsys FileSystem, c fileCall) (reply, error) {
	var flags, mode uint64
	if err := c.numbers(1, &flags, &mode); err != nil {
		return nil, err
	}
	if flags != 0 { // more than O_RDONLY
		return nil, syscall.EROFS
	}
	name, err := c.name()
	if err != nil {
		return nil, err
	}
	if len(s.files) >= maxFiles {
		return nil, syscall.EMFILE
	}
	f, err := fsys.OpenFile(name)
	if err != nil {
		return nil, err
	}
	fd := 3
	for s.files[fd] != nil {
		fd++
	}
	s.files[fd] = f
	return fmt.Appendf(nil, "F%x", fd), nil
}

func fileClose(s *session, _ FileSystem, c fileCall) (reply, error) {
	var fd uint64
	if err := c.numbers(0, &fd); err != nil {
		return nil, err
	}
	f, err := s.file(fd)
	if err != nil {
		return nil, err
	}
	delete(s.files, int(fd))
	return reply("F0"), f.Close()
}

func filePread(s *session, _ FileSystem, c fileCall) (reply, error) {
	var fd, count, offset uint64
	if err := c.numbers(0, &fd, &count, &offset); err != nil {
		return nil, err
	}
	f, err := s.file(fd)
	if err != nil {
		return nil, err
	}
	if int64(offset) < 0 {
		return nil, syscall.EINVAL
	}
	const head = len("F00000;") // room for the length, which comes first
	p := make([]byte, min(count, packetSize))
	n, err := f.ReadAt(p, int64(offset))
	if n == 0 && err != nil && err != io.EOF {
		return nil, err
	}
	data, taken := wire.AppendEscaped(nil, p[:n], packetSize-head)
	return append(fmt.Appendf(nil, "F%x;", taken), data...), nil
}

// Kinds of file in fstat's answer.
const (
	regularFile  = 0o100444
	symbolicLink = 0o120777
)

func fileFstat(s *session, _ FileSystem, c fileCall) (reply, error) {
	var fd uint64
	if err := c.numbers(0, &fd); err != nil {
		return nil, err
	}
	f, err := s.file(fd)
	if err != nil {
		return nil, err
	}
	return statReply(regularFile, f.Size()), nil
}

func fileStat(_ *session, fsys FileSystem, c fileCall) (reply, error) {
	name, err := c.name()
	if err != nil {
		return nil, err
	}
	f, err := fsys.OpenFile(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return statReply(regularFile, f.Size()), nil
}

func fileLstat(s *session, fsys FileSystem, c fileCall) (reply, error) {
	name, err := c.name()
	if err != nil {
		return nil, err
	}
	if to, err := fsys.Readlink(name); err == nil {
		return statReply(symbolicLink, int64(len(to))), nil
	}
	return fileStat(s, fsys, c)
}

func fileReadlink(_ *session, fsys FileSystem, c fileCall) (reply, error) {
	name, err := c.name()
	if err != nil {
		return nil, err
	}
	to, err := fsys.Readlink(name)
	if err != nil {
		return nil, err
	}
	return attach([]byte(to)), nil
}

// attach answers with the length of data and data itself.
func attach(data []byte) reply {
	r, _ := wire.AppendEscaped(fmt.Appendf(nil, "F%x;", len(data)), data, packetSize/2)
	return r
}

// statReply is the structure of gdb's file I/O, always big-endian ("struct
// stat" in the appendix on the protocol in gdb's manual):
//
//	0 dev  4 ino  8 mode  12 nlink  16 uid  20 gid  24 rdev
//	28 size (8)  36 blksize (8)  44 blocks (8)  52 atime  56 mtime  60 ctime
func statReply(mode uint32, size int64) reply {
	var st [64]byte
	be := binary.BigEndian
	be.PutUint32(st[8:], mode)
	be.PutUint32(st[12:], 1)
	be.PutUint64(st[28:], uint64(size))
	be.PutUint64(st[36:], 4096)
	be.PutUint64(st[44:], uint64(size+511)/512)
	return attach(st[:])
}
