package gdbtarget

import (
	"fmt"
	"strings"

	"guestcore/internal/addr"
	"guestcore/internal/inferior"
	"guestcore/internal/rsp"
)

// ntSigInfo is the note of siginfo_t, 128 bytes ("SIGI").
const ntSigInfo = 0x53494749

// XferObjects lists the objects gdb may read.
func (t *Target) XferObjects() []string {
	objects := []string{"siginfo"}
	if len(t.p.Auxv()) > 0 {
		objects = append(objects, "auxv")
	}
	if t.exePath() != "" {
		objects = append(objects, "exec-file")
	}
	return objects
}

// Xfer is an object as a whole. siginfo is there for the thread the kernel
// noted it of, as on the core itself.
func (t *Target) Xfer(object, _ string, id rsp.TID) ([]byte, error) {
	switch object {
	case "auxv":
		return t.p.Auxv(), nil
	case "exec-file":
		return []byte(t.exePath()), nil
	case "siginfo":
		th, err := t.thread(id)
		if err != nil {
			return nil, err
		}
		if b := th.Note(ntSigInfo); b != nil {
			return b, nil
		}
		return nil, fmt.Errorf("the core has no siginfo of thread %d", id)
	}
	return nil, fmt.Errorf("no object %q", object)
}

// deleted ends the kernel's name of a file that was removed or replaced.
const deleted = " (deleted)"

// exePath is the path of the executable, "" if not known.
func (t *Target) exePath() string {
	if t.opt.ExePath != "" {
		return strings.TrimSuffix(t.opt.ExePath, deleted)
	}
	entry, ok := inferior.AuxValue(t.p, inferior.AT_ENTRY)
	if !ok {
		return ""
	}
	for _, m := range t.p.Files() {
		if m.Start <= addr.HVA(entry) && addr.HVA(entry) < m.End {
			return strings.TrimSuffix(m.Path, deleted)
		}
	}
	return ""
}
