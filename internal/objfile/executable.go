package objfile

import (
	"fmt"
	"path/filepath"
	"strings"
)

// FindExecutable finds an executable by its build-id, which it verifies: .build-id/XX/YYYY under every debug directory and under
// /usr/lib (as Fedora installs it), then debuginfod's cache. With none the error wraps ErrNoExecutable and names the places.
func FindExecutable(id BuildID, opts Options) (string, error) {
	opts = opts.withDefaults()
	usrLib := opts
	usrLib.DebugDirs = []string{"/usr/lib"}
	var paths []string
	if name, ok := id.path(""); ok {
		for _, dir := range append(opts.dirs(), usrLib.dirs()...) {
			paths = append(paths, filepath.Join(dir, name))
		}
		if opts.Cache != "" {
			paths = append(paths, filepath.Join(opts.Cache, id.String(), "executable"))
		}
	}
	for _, p := range paths {
		img, err := openImage(p)
		if err != nil {
			continue
		}
		img.close()
		if !img.id.Equal(id) {
			opts.Log.Debug("executable refused", "path", p, "build-id", img.id.String(), "wanted", id.String())
			continue
		}
		opts.Log.Debug("executable", "path", p, "build-id", id.String())
		return p, nil
	}
	return "", fmt.Errorf("executable with build-id %s: looked at %s: %w", orNone(id), strings.Join(paths, ", "), ErrNoExecutable)
}
