package objfile

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// debugFile is where the DWARF of a file was found.
type debugFile struct {
	img   *image
	by    string // how, for the user
	sup   *image // supplementary file of dwz; nil: none
	supOf error  // why sup is missing although it is needed
}

// findDebug finds the file with the DWARF, once: the file itself, else a separate one in gdb's order: by build-id, by
// .gnu_debuglink, in debuginfod's cache. The caller holds f.mu.
func (f *File) findDebug() *debugFile {
	if f.searched {
		return f.debug
	}
	f.searched = true
	for _, find := range []func() *debugFile{f.debugInside, f.debugByBuildID, f.debugByLink, f.debugInCache} {
		if f.debug = find(); f.debug != nil {
			f.debug.sup, f.debug.supOf = f.findSupplementary(f.debug.img)
			f.opts.Log.Debug("debug information", "path", f.debug.img.path, "by", f.debug.by)
			break
		}
	}
	return f.debug
}

// separateImage is the separate debug file, nil if there is none. A file with its own DWARF has none. The caller holds f.mu.
func (f *File) separateImage() *image {
	if d := f.findDebug(); d != nil && d.img != f.main {
		return d.img
	}
	return nil
}

func (f *File) debugInside() *debugFile {
	if !f.main.hasDWARF() {
		return nil
	}
	return &debugFile{img: f.main, by: "in the executable"}
}

func (f *File) debugByBuildID() *debugFile {
	path, ok := f.main.id.path(".debug")
	if !ok {
		return nil
	}
	for _, dir := range f.opts.dirs() {
		if img := f.openWithID(filepath.Join(dir, path), f.main.id); img != nil {
			return &debugFile{img: img, by: "build-id"}
		}
	}
	return nil
}

func (f *File) debugInCache() *debugFile {
	if img := f.openCached(f.main.id, "debuginfo"); img != nil {
		return &debugFile{img: img, by: "debuginfod cache"}
	}
	return nil
}

// debugByLink follows .gnu_debuglink: a file name, NUL, padding to 4 bytes, the CRC-32 of the whole debug file.
func (f *File) debugByLink() *debugFile {
	b, err := f.main.bytes(".gnu_debuglink")
	if err != nil {
		f.warn("%v", err)
	}
	nul := bytes.IndexByte(b, 0)
	crcAt := (nul + 4) &^ 3
	if nul <= 0 || crcAt+4 > len(b) {
		return nil
	}
	name, crc := string(b[:nul]), f.main.elf.ByteOrder.Uint32(b[crcAt:])
	for _, dir := range f.linkDirs() {
		if img := f.openWithCRC(filepath.Join(dir, name), crc); img != nil {
			return &debugFile{img: img, by: "debuglink"}
		}
	}
	return nil
}

// linkDirs are the directories in which a debuglink's file may lie: those of the executable as it was named and as it really is,
// .debug in them, and the same path under every debug directory, without the sysroot.
func (f *File) linkDirs() []string {
	var homes, dirs []string
	if abs, err := filepath.Abs(f.main.path); err == nil {
		homes = append(homes, filepath.Dir(abs))
	}
	if real, err := realPath(f.main.path); err == nil && !slices.Contains(homes, filepath.Dir(real)) {
		homes = append(homes, filepath.Dir(real))
	}
	for _, home := range homes {
		dirs = append(dirs, home, filepath.Join(home, ".debug"))
		for _, d := range f.opts.dirs() {
			dirs = append(dirs, filepath.Join(d, home))
			if inner, ok := f.opts.insideSysroot(home); ok {
				dirs = append(dirs, filepath.Join(d, inner))
			}
		}
	}
	return dirs
}

// dirs are the debug directories, each also under the sysroot.
func (o Options) dirs() []string {
	var dirs []string
	for _, d := range o.DebugDirs {
		if o.Sysroot != "" && filepath.IsAbs(d) {
			dirs = append(dirs, filepath.Join(o.Sysroot, d))
		}
		dirs = append(dirs, d)
	}
	return dirs
}

// insideSysroot is the path as the target system knows it.
func (o Options) insideSysroot(path string) (string, bool) {
	root, err := filepath.Abs(o.Sysroot)
	if o.Sysroot == "" || err != nil {
		return "", false
	}
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(root, "/")+"/")
	return "/" + rest, ok
}

// openWithID opens a debug file that must carry a build-id. A file that is not there is passed over in silence, every other
// trouble is kept as a warning.
func (f *File) openWithID(path string, id BuildID) *image {
	img := f.tryOpen(path)
	if img == nil {
		return nil
	}
	if !img.id.Equal(id) {
		f.warn("%s: not used: its build-id is %s, wanted %s", path, orNone(img.id), id)
		img.close()
		return nil
	}
	return img
}

// openCached opens a file of debuginfod's cache, <id>/<what>.
func (f *File) openCached(id BuildID, what string) *image {
	if f.opts.Cache == "" || len(id) == 0 {
		return nil
	}
	path := filepath.Join(f.opts.Cache, id.String(), what)
	if st, err := os.Stat(path); err == nil && st.Size() == 0 {
		return nil // debuginfod notes in this way that the server has none
	}
	return f.openWithID(path, id)
}

// openWithCRC opens a debug file whose bytes must have a checksum.
func (f *File) openWithCRC(path string, crc uint32) *image {
	img := f.tryOpen(path)
	if img == nil {
		return nil
	}
	if sameFile(img.file, f.main.file) {
		img.close()
		return nil
	}
	sum, err := checksum(io.NewSectionReader(img.r, 0, img.size))
	switch {
	case err != nil:
		f.warn("%s: not used: %v", path, err)
	case sum != crc:
		f.warn("%s: not used: its CRC-32 is %#08x, the debuglink of %s says %#08x", path, sum, f.main.path, crc)
	default:
		return img
	}
	img.close()
	return nil
}

func (f *File) tryOpen(path string) *image {
	img, err := openImage(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid):
		return nil
	case err != nil:
		f.warn("%v: not used", err)
		return nil
	}
	return img
}

func checksum(r io.Reader) (uint32, error) {
	h := crc32.NewIEEE()
	if _, err := io.CopyBuffer(h, r, make([]byte, 256<<10)); err != nil {
		return 0, fmt.Errorf("checksum: %w", err)
	}
	return h.Sum32(), nil
}

func sameFile(a, b *os.File) bool {
	if a == nil || b == nil {
		return false
	}
	sa, erra := a.Stat()
	sb, errb := b.Stat()
	return erra == nil && errb == nil && os.SameFile(sa, sb)
}

func realPath(path string) (string, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	return filepath.Abs(real)
}

func orNone(id BuildID) string {
	if len(id) == 0 {
		return "none"
	}
	return id.String()
}
