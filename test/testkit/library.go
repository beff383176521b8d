package testkit

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// Library is the folder that "make lib" fills, built from this tree: the shared library, its header and gdb's script.
func Library(t testing.TB) string {
	t.Helper()
	path, err := buildLibrary()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var buildLibrary = sync.OnceValues(func() (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	if output, err := exec.Command(filepath.Join(root, "scripts", "lib")).CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the library: %w\n%s", err, output)
	}
	return filepath.Join(root, "lib"), nil
})
