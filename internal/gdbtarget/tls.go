package gdbtarget

import (
	"debug/elf"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"guestcore/internal/inferior"
	"guestcore/internal/objfile"
	"guestcore/internal/rsp"
)

// glibcTLS is how a glibc lays out thread-local storage. It tells debuggers
// itself, by the symbols _thread_db_NAME: three 32-bit words, the size of a
// field in bits, the number of its elements, its offset in bytes
// (nptl_db/structs.def, db-symbols.awk).
//
//	struct pthread          dtv_t[]                     struct link_map
//	| header.dtv ──────────►| [modid].pointer.val |     | l_tls_modid  |
//	                                                     | l_tls_offset |
type glibcTLS struct {
	modid     uint64 // link_map.l_tls_modid
	offset    uint64 // link_map.l_tls_offset: distance below the thread pointer
	dtv       uint64 // pthread.dtv
	dtvStride uint64 // size of an element of the vector
	dtvVal    uint64 // dtv_t.pointer.val
}

var errTLSArch = errors.New("thread-local variables are resolved here for glibc on x86-64 and s390x only; gdb 17 and later do it themselves")

// TLSAddr finds a thread-local variable by glibc's tables: by the thread's
// vector of modules, or, where that has no entry yet, by the module's fixed
// distance from the thread pointer.
//
// The entry of a library that was closed stays until the thread uses the one
// that came in its place; the generations that would tell are not compared.
func (t *Target) TLSAddr(id rsp.TID, offset, linkMap uint64) (uint64, error) {
	th, err := t.thread(id)
	if err != nil {
		return 0, err
	}
	if m := t.p.Host().Machine; m != elf.EM_X86_64 && m != elf.EM_S390 {
		return 0, errTLSArch
	}
	tp, ok := t.host.ThreadPointer(th.Note)
	if !ok || tp == 0 {
		return 0, fmt.Errorf("thread %d has no thread pointer", id)
	}
	g, err := t.tls()
	if err != nil {
		return 0, err
	}
	var r words
	r.t = t
	modid := r.word(linkMap + g.modid)
	static := r.word(linkMap + g.offset)
	dtv := r.word(tp + g.dtv)
	if r.err != nil {
		return 0, r.err
	}
	if modid == 0 {
		return 0, fmt.Errorf("the object with link_map %#x has no thread-local storage", linkMap)
	}
	// The element before the first one counts them. An entry is 0 or -1 until
	// the thread uses the block, an offset is 0 or -1 if it is not fixed.
	none := func(v uint64) bool { return v == 0 || v == ^uint64(0) }
	if count := r.word(dtv - g.dtvStride); r.err == nil && modid <= count {
		if block := r.word(dtv + modid*g.dtvStride + g.dtvVal); r.err == nil && !none(block) {
			return block + offset, nil
		}
	}
	if !none(static) {
		return tp - static + offset, nil
	}
	return 0, fmt.Errorf("thread %d has not used the thread-local storage of module %d yet", id, modid)
}

// findTLS reads glibc's description out of the library's file.
func (t *Target) findTLS() (*glibcTLS, error) {
	opener, ok := t.p.(inferior.Opener)
	if !ok {
		return nil, errors.New("the source cannot open the C library")
	}
	var errs []error
	for _, m := range t.p.Files() {
		if m.Offset != 0 || !mayDescribeThreads(m.Path) && strings.TrimSuffix(m.Path, deleted) != t.exePath() {
			continue
		}
		f, err := opener.OpenMapped(m.Path)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.Path, err))
			continue
		}
		g, err := readTLS(f.Name(), t.log)
		if err == nil {
			t.log.Debug("thread-local storage", slog.String("from", f.Name()), slog.Any("layout", *g))
			return g, nil
		}
		errs = append(errs, err)
	}
	return nil, fmt.Errorf("the layout of thread-local storage is not known: %w", errors.Join(errs...))
}

// mayDescribeThreads tells the files that hold glibc's description: libc since
// 2.34, libpthread before.
func mayDescribeThreads(path string) bool {
	base := filepath.Base(path)
	return strings.HasPrefix(base, "libc.so") || strings.HasPrefix(base, "libc-") || strings.HasPrefix(base, "libpthread")
}

func readTLS(path string, log *slog.Logger) (*glibcTLS, error) {
	f, err := objfile.Open(path, objfile.Options{Log: log})
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var g glibcTLS
	for _, field := range []struct {
		name   string
		offset *uint64
		bytes  *uint64
	}{
		{"link_map_l_tls_modid", &g.modid, nil},
		{"link_map_l_tls_offset", &g.offset, nil},
		{"pthread_dtvp", &g.dtv, nil},
		{"dtv_dtv", nil, &g.dtvStride},
		{"dtv_t_pointer_val", &g.dtvVal, nil},
	} {
		sym, err := f.Lookup("_thread_db_" + field.name)
		if err != nil {
			return nil, err
		}
		var b [12]byte
		if _, err := f.ReadVaddr(b[:], sym.Value); err != nil {
			return nil, err
		}
		order := f.Header().ByteOrder
		if field.bytes != nil {
			*field.bytes = uint64(order.Uint32(b[:])) / 8
		}
		if field.offset != nil {
			*field.offset = uint64(order.Uint32(b[8:]))
		}
	}
	return &g, nil
}

// words reads pointers; the first error sticks.
type words struct {
	t   *Target
	err error
}

func (r *words) word(a uint64) uint64 {
	if r.err != nil {
		return 0
	}
	var b [8]byte
	if _, err := r.t.p.ReadAt(b[:], int64(a)); err != nil {
		r.err = err
		return 0
	}
	return r.t.p.Host().Order.Uint64(b[:])
}
