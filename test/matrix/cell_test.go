package matrix

import (
	"path"

	"guestcore/test/rig"
)

// cell is one dump of the matrix; with empty fields, all those that agree in the others.
type cell struct {
	target, guest string
	build         rig.Build
}

func (c cell) String() string { return path.Join(c.target, c.guest, string(c.build)) }

func (c cell) cover(one cell) bool {
	return (c.target == "" || c.target == one.target) && (c.guest == "" || c.guest == one.guest) && (c.build == "" || c.build == one.build)
}
