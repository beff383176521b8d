package kdump

import (
	"context"

	"guestcore/internal/addr"
	"guestcore/internal/dump"
	"guestcore/internal/guest"
)

// debt is memory that has its place in the file, behind what is shared with
// its source, and is not there yet. To share much at once takes as long as
// little, and whoever reads the source has to wait meanwhile.
type debt struct {
	off  int64    // in the file
	addr addr.GPA // of the guest
	size int64    // bytes
}

// maxDebt is when it is settled at the latest, in bytes.
const maxDebt = 64 << 20

// share has the file system share the pages of a batch with their source, if
// none got shorter and it can: then they begin with a block. It returns where
// they begin.
func (w *writer) share(ctx context.Context, u *bundle) (at int64, shared bool, err error) {
	if !u.plain || len(u.data) < piece {
		return w.data, false, nil
	}
	at, n := ceil(w.data, w.align)*w.align, int64(len(u.data))
	if d := &w.debt; at == d.off+d.size && u.addr == d.addr+addr.GPA(d.size) && d.size < maxDebt {
		d.size += n
		return at, true, nil
	}
	if err := w.settle(ctx); err != nil {
		return 0, false, err
	}
	if shared, err = dump.ShareMemory(w.sink, at, w.image, u.addr, n); !shared {
		return w.data, false, err
	}
	w.debt = debt{off: at + n, addr: u.addr + addr.GPA(n)}
	return at, true, err
}

// settle shares what is owed, or copies what cannot be shared.
func (w *writer) settle(ctx context.Context) error {
	d := w.debt
	w.debt = debt{}
	if d.size == 0 {
		return nil
	}
	return dump.CopyMemory(ctx, w.sink, d.off, w.image, guest.Range{Addr: d.addr, Size: uint64(d.size)}, dump.NoProgress{})
}
