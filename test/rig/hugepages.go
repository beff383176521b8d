package rig

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

const hugePages = "/proc/sys/vm/nr_hugepages" // of 2 MiB

// reserveHugePages has the kernel set huge pages apart, and returns what gives them back. Only one process may do so at a time.
func reserveHugePages(n int) (release func(), err error) {
	before, err := os.ReadFile(hugePages)
	if err != nil {
		return nil, err
	}
	have, err := strconv.Atoi(strings.TrimSpace(string(before)))
	if err != nil {
		return nil, err
	}
	release = func() { os.WriteFile(hugePages, before, 0o644) }
	err = os.WriteFile(hugePages, []byte(strconv.Itoa(have+n)), 0o644)
	after, _ := os.ReadFile(hugePages)
	if err != nil || strings.TrimSpace(string(after)) != strconv.Itoa(have+n) {
		release()
		return nil, &MissingError{What: fmt.Sprintf("%d huge pages of 2 MiB (%v)", n, err), Run: "the tests as root, with that much memory free"}
	}
	return release, nil
}
