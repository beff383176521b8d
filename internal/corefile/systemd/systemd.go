// Package systemd lists the cores that systemd-coredump(8) keeps in its
// folder, as coredumpctl(1) does, but from the files alone: the journal is not
// read.
//
// It opens no core; package corefile above does.
package systemd

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Dir is where systemd-coredump keeps cores.
const Dir = "/var/lib/systemd/coredump"

// Core is a core that is kept.
type Core struct {
	Path string
	// Comm is the name of the process's first thread, cut at 15 bytes, not
	// that of the thread that crashed.
	Comm string
	// Exe is the path of its executable, "" if it is not known.
	Exe    string
	UID    int
	BootID string
	PID    int
	Time   time.Time
}

func (c Core) String() string {
	return fmt.Sprintf("%s, pid %d, %s", c.Comm, c.PID, c.Time.Format(time.DateTime))
}

// List lists the cores in dir, the newest first.
func List(dir string) ([]Core, error) {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("systemd-coredump keeps no cores in %s: name the core file, or the folder in --coredump-dir: %w", dir, fs.ErrNotExist)
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("list systemd-coredump's cores as root: %w", err)
	case err != nil:
		return nil, fmt.Errorf("listing systemd-coredump's cores: %w", err)
	}
	var cores []Core
	for _, e := range entries {
		if c, ok := parse(e.Name()); ok && e.Type().IsRegular() {
			c.Path = filepath.Join(dir, e.Name())
			c.Exe = exeOf(c.Path)
			cores = append(cores, c)
		}
	}
	slices.SortStableFunc(cores, func(a, b Core) int { return cmp.Or(b.Time.Compare(a.Time), cmp.Compare(a.Path, b.Path)) })
	return cores, nil
}

// Newest returns the newest core in dir that is wanted. what names those in
// the error.
func Newest(dir, what string, wanted func(Core) bool) (Core, error) {
	cores, err := List(dir)
	if err != nil {
		return Core{}, err
	}
	if i := slices.IndexFunc(cores, wanted); i >= 0 {
		return cores[i], nil
	}
	return Core{}, none(len(cores), dir, what)
}

// ByPID returns the core of the process with that id. There can be several,
// since ids are used again; they are listed in the error then.
func ByPID(dir string, pid int) (Core, error) {
	cores, err := List(dir)
	if err != nil {
		return Core{}, err
	}
	all := len(cores)
	cores = slices.DeleteFunc(cores, func(c Core) bool { return c.PID != pid })
	switch len(cores) {
	case 1:
		return cores[0], nil
	case 0:
		return Core{}, none(all, dir, fmt.Sprintf("pid %d", pid))
	}
	var paths []string
	for _, c := range cores {
		paths = append(paths, fmt.Sprintf("%s (%v)", c.Path, c))
	}
	return Core{}, fmt.Errorf("%d cores are of pid %d, name the file: %s", len(cores), pid, strings.Join(paths, "; "))
}

// ErrNone is that no core was found.
var ErrNone = errors.New("cores above ExternalSizeMax= in coredump.conf(5) are not, and old ones are deleted")

// none is the error for what is not among n cores.
func none(n int, dir, what string) error {
	among := fmt.Sprintf("none of the %d cores in %s is of %s", n, dir, what)
	if n == 0 {
		among = fmt.Sprintf("there are no cores in %s", dir)
	}
	return fmt.Errorf("%s: \"coredumpctl list\" tells which were stored; %w", among, ErrNone)
}

// parse takes a file name apart:
//
//	core.COMM.UID.BOOTID.PID.TIMESTAMP[.zst|.lz4|.xz]
//
// The time is in microseconds. In COMM each of "./ ", the backslash and what
// does not print is \xNN (systemd's coredump.c, make_filename).
func parse(name string) (Core, bool) {
	f := strings.Split(name, ".")
	if len(f) < 6 || len(f) > 7 || f[0] != "core" || len(f[3]) != 32 {
		return Core{}, false
	}
	uid, err1 := strconv.ParseUint(f[2], 10, 32)
	pid, err2 := strconv.ParseUint(f[4], 10, 31)
	at, err3 := strconv.ParseInt(f[5], 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return Core{}, false
	}
	return Core{Comm: unescape(f[1]), UID: int(uid), BootID: f[3], PID: int(pid), Time: time.UnixMicro(at)}, true
}

// unescape turns each \xNN into its byte.
func unescape(s string) string {
	var out []byte
	for {
		before, after, found := strings.Cut(s, `\x`)
		out = append(out, before...)
		if !found {
			return string(out)
		}
		v, err := strconv.ParseUint(after[:min(2, len(after))], 16, 8)
		if err != nil {
			out = append(out, `\x`...)
			s = after
			continue
		}
		out = append(out, byte(v))
		s = after[min(2, len(after)):]
	}
}

// exeOf is the path of the executable, an extended attribute of the file, ""
// where it has none or may not be read.
func exeOf(path string) string {
	b := make([]byte, 4096)
	n, err := unix.Getxattr(path, "user.coredump.exe", b)
	if err != nil {
		return ""
	}
	return string(b[:n])
}
