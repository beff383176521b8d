package objfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// supLink is what a debug file says of its supplementary file, into which dwz moved what several programs share.
type supLink struct {
	path string  // as written; relative to the real path of the debug file
	id   BuildID // of the supplementary file
}

// findSupplementary finds the supplementary file of a debug file, nil if it needs none. Where it needs one that cannot be found
// the error says where was looked; it is kept as a warning too. The caller holds f.mu.
func (f *File) findSupplementary(img *image) (*image, error) {
	link, ok, err := img.supLink()
	if err != nil {
		f.warn("%v", err)
		return nil, err
	}
	if !ok {
		return nil, nil
	}
	paths := f.supPaths(img, link)
	for _, p := range paths {
		if sup := f.openWithID(p, link.id); sup != nil {
			f.opts.Log.Debug("supplementary debug file", "path", p)
			return sup, nil
		}
	}
	if sup := f.openCached(link.id, "debuginfo"); sup != nil {
		return sup, nil
	}
	err = fmt.Errorf("%s: its supplementary debug file %s (build-id %s) was not found; looked at %s; install it or name its root with the debug directory",
		img.path, link.path, link.id, strings.Join(paths, ", "))
	f.warn("%v", err)
	return nil, err
}

// supPaths are the places to look at, in gdb's order: the path as written, the build-id under every debug directory, and the
// tail after "/.dwz/" under every debug directory.
func (f *File) supPaths(img *image, link supLink) []string {
	var paths []string
	if filepath.IsAbs(link.path) {
		if f.opts.Sysroot != "" {
			paths = append(paths, filepath.Join(f.opts.Sysroot, link.path))
		}
		paths = append(paths, link.path)
	} else if real, err := realPath(img.path); err == nil {
		paths = append(paths, filepath.Join(filepath.Dir(real), link.path))
	}
	if name, ok := link.id.path(".debug"); ok {
		for _, d := range f.opts.dirs() {
			paths = append(paths, filepath.Join(d, name))
		}
	}
	if i := strings.LastIndex(link.path, "/.dwz/"); i >= 0 {
		for _, d := range f.opts.dirs() {
			paths = append(paths, filepath.Join(d, link.path[i:]))
		}
	}
	return paths
}

// supLink reads .gnu_debugaltlink (path, NUL, build-id) or DWARF 5's .debug_sup.
func (img *image) supLink() (supLink, bool, error) {
	b, err := img.bytes(".gnu_debugaltlink")
	if err != nil {
		return supLink{}, false, err
	}
	if nul := bytes.IndexByte(b, 0); nul > 0 && nul+1 < len(b) {
		return supLink{path: string(b[:nul]), id: BuildID(b[nul+1:])}, true, nil
	}
	b, err = img.bytes(".debug_sup")
	if err != nil || b == nil {
		return supLink{}, false, err
	}
	link, isSup, err := parseDebugSup(b)
	if err != nil {
		return supLink{}, false, fmt.Errorf("%s: section .debug_sup: %w", img.path, err)
	}
	return link, !isSup, nil
}

// parseDebugSup reads a section .debug_sup (DWARF 5 §7.3.6): version u16, is_supplementary u8, path, NUL, length as ULEB128,
// checksum. In the supplementary file itself the path is empty and the checksum is its own; dwz gives it no build-id then.
func parseDebugSup(b []byte) (link supLink, isSup bool, err error) {
	if len(b) < 4 {
		return supLink{}, false, fmt.Errorf("%d bytes", len(b))
	}
	isSup = b[2] != 0
	b = b[3:]
	nul := bytes.IndexByte(b, 0)
	if nul < 0 || !isSup && nul == 0 {
		return supLink{}, false, errors.New("no path")
	}
	n, k := binary.Uvarint(b[nul+1:])
	if k <= 0 || n == 0 || n > uint64(len(b)-nul-1-k) {
		return supLink{}, false, fmt.Errorf("a checksum of %d bytes does not fit", n)
	}
	sum := b[nul+1+k:]
	return supLink{path: string(b[:nul]), id: BuildID(sum[:n])}, isSup, nil
}
