// Package rig makes the real input of the end-to-end tests, the demo and the benchmark: it boots guests in a real QEMU,
// takes QEMU's own dump of them as oracle and kills QEMU to get its core.
//
// It is not the program under test and imports none of it. It knows no testing.T either: package testkit, above it, turns
// its errors into skips and failures. Below it are only programs: QEMU, gdb, and what scripts/setup and scripts/build-qemu
// put in the cache folder.
package rig

import (
	"fmt"
	"os"
	"path/filepath"
)

// Cache is the folder outside the tree for everything big: $GUESTCORE_CACHE, by default ~/.cache/guestcore.
func Cache() (string, error) {
	if dir := os.Getenv("GUESTCORE_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("no home folder for the cache, name one in GUESTCORE_CACHE: %w", err)
	}
	return filepath.Join(home, ".cache", "guestcore"), nil
}

// MissingError says that a program or file of the rig is not on this machine, and the command that brings it.
type MissingError struct {
	What string // for example "a gdb with Python"
	Run  string // the command, relative to the top of the tree
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s is missing: run %s", e.What, e.Run)
}

const (
	setup     = "scripts/setup"
	setupTest = "scripts/setup test"
	buildQEMU = "scripts/build-qemu"
)

// cached returns the path of a file in the cache that the command run brings.
func cached(what, run string, name ...string) (string, error) {
	dir, err := Cache()
	if err != nil {
		return "", err
	}
	path := filepath.Join(append([]string{dir}, name...)...)
	if _, err := os.Stat(path); err != nil {
		return "", &MissingError{What: what, Run: run}
	}
	return path, nil
}
