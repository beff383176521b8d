package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// sharedFile is a dump that shares blocks with the core: both are on an XFS, in a namespace of its own, from which the dump is
// copied with the gaps that it has for that.
func sharedFile(t *testing.T, fixture *rig.Fixture, flags ...string) string {
	t.Helper()
	testkit.NeedsMount(t)
	dir := t.TempDir()
	result := testkit.Run(t, "unshare", append([]string{"--mount", "sh", "-e", "-c", `program=$0 dir=$1 core=$2
shift 2
truncate -s 2G "$dir/xfs"
mkfs.xfs -q -m reflink=1 "$dir/xfs"
mkdir "$dir/at"
mount -o loop "$dir/xfs" "$dir/at"
cp --sparse=always "$core" "$dir/at/core"
"$program" dump "$@" "$dir/at/core" "$dir/at/vmcore"
cp "$dir/at/vmcore" "$dir/vmcore"`, testkit.Program(t), dir, fixture.Core}, flags...)...)
	if result.Status != 0 || !strings.Contains(result.Output, "reflinked ") {
		t.Fatalf("a dump on XFS (of xfsprogs) ended with status %d and does not say that blocks are shared:\n%s", result.Status, result.Output)
	}
	return filepath.Join(dir, "vmcore")
}
