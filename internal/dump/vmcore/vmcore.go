// Package vmcore is the ELF form of a memory dump.
package vmcore

import (
	"errors"

	"guestcore/internal/dump"
	"guestcore/internal/guest"
)

// Format is the dump.Format "elf".
type Format struct{}

// Name is the name QEMU has for it.
func (Format) Name() string { return "elf" }

// Plan lays the file out.
func (Format) Plan(m *guest.Machine, o dump.Options) (dump.Job, error) {
	return nil, errors.New("not yet")
}
