package live

import (
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of include/uapi/linux/userfaultfd.h.
const (
	uffdioAPI      = 0xc018aa3f
	uffdioRegister = 0xc020aa00
	uffdAPI        = 0xaa
	uffdMissing    = 1 // UFFDIO_REGISTER_MODE_MISSING
)

// TestAwaits opens this process, before and after a userfaultfd fills some of
// its memory.
func TestAwaits(t *testing.T) {
	awaits := func() bool {
		t.Helper()
		p, err := Open(os.Getpid(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		return p.Awaits()
	}
	if awaits() {
		t.Error("there is no userfaultfd, and the process is said to await memory")
	}
	fd, _, errno := unix.Syscall(unix.SYS_USERFAULTFD, unix.O_CLOEXEC, 0, 0)
	if errno == unix.EPERM || errno == unix.ENOSYS {
		t.Skipf("this machine lets nobody have a userfaultfd: %v", errno)
	}
	if errno != 0 {
		t.Fatal(errno)
	}
	defer unix.Close(int(fd))
	memory, err := unix.Mmap(-1, 0, 1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(memory)
	hello := struct{ api, features, ioctls uint64 }{api: uffdAPI}
	register := struct{ start, length, mode, ioctls uint64 }{uint64(uintptr(unsafe.Pointer(&memory[0]))), uint64(len(memory)), uffdMissing, 0}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, uffdioAPI, uintptr(unsafe.Pointer(&hello))); errno != 0 {
		t.Fatal(errno)
	}
	if awaits() {
		t.Error("the userfaultfd fills nothing yet")
	}
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, fd, uffdioRegister, uintptr(unsafe.Pointer(&register))); errno != 0 {
		t.Fatal(errno)
	}
	if !awaits() {
		t.Error("a userfaultfd fills memory, and the process is said to have all of it")
	}
}
