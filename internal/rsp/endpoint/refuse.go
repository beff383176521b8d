package endpoint

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// refusal is how long Refuse waits for gdb's first packet. A gdb that has
// started us sends it at once.
const refusal = 2 * time.Second

// Refuse ends what "target remote | COMMAND" began where there is nothing to
// serve. It acknowledges the first packet: without that gdb drops what the
// command wrote to stderr, and its user learns of a broken connection only (16
// and 18 do).
func Refuse(in, out *os.File) {
	if _, err := unix.IoctlGetTermios(int(in.Fd()), unix.TCGETS); err == nil {
		return // a user at a terminal, who sees it
	}
	fds := []unix.PollFd{{Fd: int32(in.Fd()), Events: unix.POLLIN}}
	for deadline := time.Now().Add(refusal); ; {
		_, err := unix.Poll(fds, int(max(time.Until(deadline), 0).Milliseconds()))
		if err != unix.EINTR {
			break
		}
	}
	if fds[0].Revents&unix.POLLIN == 0 {
		return
	}
	if n, _ := in.Read(make([]byte, 1)); n == 1 {
		out.WriteString("+")
	}
}
