package gdbtarget

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"guestcore/internal/inferior"
	"guestcore/internal/rsp"
)

// OpenFile opens a file of the process's machine: one below /proc/PID, which
// is made here, or one that the process had mapped, if what is on this machine
// is still the same. All others are as if they did not exist, so that gdb
// takes none that does not belong to the process.
func (t *Target) OpenFile(name string) (rsp.File, error) {
	if rest, ok := t.procName(name); ok {
		if content, ok := t.procFile(rest); ok {
			return text{bytes.NewReader(content)}, nil
		}
		return nil, notExist(name)
	}
	f, err := t.openMapped(name)
	if err != nil {
		t.log.Debug("file not given to gdb", slog.String("name", name), slog.Any("err", err))
		return nil, notExist(name)
	}
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return mapped{f, st.Size()}, nil
}

// Readlink resolves /proc/PID/exe.
func (t *Target) Readlink(name string) (string, error) {
	if rest, ok := t.procName(name); ok && rest == "exe" && t.exePath() != "" {
		return t.exePath(), nil
	}
	return "", notExist(name)
}

func notExist(name string) error {
	return &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

// openMapped opens a file that the process had mapped. The kernel knows files
// by their real paths, the dynamic linker and gdb by the names of links.
func (t *Target) openMapped(name string) (*os.File, error) {
	opener, ok := t.p.(inferior.Opener)
	if !ok {
		return nil, fmt.Errorf("the source cannot open files")
	}
	names := []string{name}
	if link, err := filepath.EvalSymlinks(filepath.Join(t.opt.Sysroot, name)); err == nil {
		if t.opt.Sysroot != "" {
			if root, err := filepath.EvalSymlinks(t.opt.Sysroot); err == nil {
				link = "/" + strings.TrimPrefix(strings.TrimPrefix(link, root), "/")
			}
		}
		names = append(names, link)
	}
	for _, n := range names {
		for _, m := range t.p.Files() {
			if m.Path == n || m.Path == n+deleted {
				return opener.OpenMapped(m.Path)
			}
		}
	}
	return nil, fmt.Errorf("the process had not mapped it")
}

// mapped is a real file. Closing it is the process's business.
type mapped struct {
	*os.File
	size int64
}

func (m mapped) Size() int64  { return m.size }
func (m mapped) Close() error { return nil }

// text is a made-up file.
type text struct{ *bytes.Reader }

func (text) Close() error { return nil }
