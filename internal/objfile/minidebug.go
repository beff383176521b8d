package objfile

import (
	"bytes"
	"fmt"
	"io"

	"github.com/ulikunitz/xz"
)

// maxMiniDebug bounds the expanded .gnu_debugdata in bytes; Fedora's largest are a few MB.
const maxMiniDebug = 256 << 20

// miniImage is the ELF file inside .gnu_debugdata, which Fedora puts into stripped programs: an xz stream of a file with a .symtab
// of the functions. As in gdb it is used only where no separate debug file was found. The caller holds f.mu.
func (f *File) miniImage() *image {
	if f.miniDone || f.separateImage() != nil {
		return f.mini
	}
	f.miniDone = true
	b, err := f.main.bytes(".gnu_debugdata")
	if err == nil && b == nil {
		return nil
	}
	if err == nil {
		f.mini, err = openMini(b, f.main.path)
	}
	if err != nil {
		f.warn("%s: section .gnu_debugdata: not used: %v", f.main.path, err)
	}
	return f.mini
}

func openMini(b []byte, path string) (_ *image, err error) {
	defer recovered(&err, path)
	r, err := xz.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	expanded, err := io.ReadAll(io.LimitReader(r, maxMiniDebug+1))
	if err != nil {
		return nil, fmt.Errorf("expanding: %w", err)
	}
	if len(expanded) > maxMiniDebug {
		return nil, fmt.Errorf("expands to more than %d MiB", maxMiniDebug>>20)
	}
	img, err := newImage(bytes.NewReader(expanded), int64(len(expanded)), path)
	if err != nil {
		return nil, err
	}
	t, err := img.readSymtab(".symtab")
	if err != nil {
		return nil, err
	}
	if t != nil {
		t.from.Section = ".gnu_debugdata"
	}
	img.tables[".symtab"] = t
	return img, nil
}
