package main

/*
#include <stdint.h>
#include <string.h>
#include "guestcore.h"

void keep_error(const char *text);
int call_progress(void *function, uint64_t done, uint64_t total, void *data);
*/
import "C"

import (
	"errors"
	"math"
	"unsafe"

	"guestcore/internal/capi"
	"guestcore/internal/session"
	"guestcore/internal/version"
)

const failed = -1

// call runs f for C. An error is kept for guestcore_error of the calling
// thread, and the result is -1.
func call(f func() (int64, error)) C.int64_t {
	var n int64
	err := capi.Guard(func() (err error) {
		n, err = f()
		return err
	})
	if err != nil {
		text := append([]byte(err.Error()), 0)
		C.keep_error((*C.char)(unsafe.Pointer(&text[0])))
		if n <= 0 { // of a read, what was read before the error is still told
			return failed
		}
	}
	return C.int64_t(n)
}

//export goVersion
func goVersion(text *C.char, size C.size_t) {
	b := unsafe.Slice((*byte)(unsafe.Pointer(text)), int(size))
	n := copy(b[:len(b)-1], version.String())
	b[n] = 0
}

//export goOpenCore
func goOpenCore(core, exe *C.char) C.int64_t {
	return call(func() (int64, error) {
		if core == nil {
			return 0, errors.New("the core file is NULL")
		}
		o := session.Options{Core: C.GoString(core)}
		if exe != nil {
			o.Exe = C.GoString(exe)
		}
		h, err := capi.Open(o)
		return int64(h), err
	})
}

//export goOpenPID
func goOpenPID(pid C.int) C.int64_t {
	return call(func() (int64, error) {
		h, err := capi.Open(session.Options{Core: session.PID(int(pid))})
		return int64(h), err
	})
}

//export goClose
func goClose(h C.int64_t) C.int {
	return C.int(call(func() (int64, error) { return 0, capi.Handle(h).Close() }))
}

//export goRanges
func goRanges(h C.int64_t, out *C.struct_guestcore_range, count C.uint64_t) C.int64_t {
	return call(func() (int64, error) {
		ranges, err := capi.Handle(h).Ranges()
		if err != nil || out == nil {
			return int64(len(ranges)), err
		}
		to := unsafe.Slice(out, min(uint64(len(ranges)), uint64(count)))
		for i := range to {
			to[i] = C.struct_guestcore_range{start: C.uint64_t(ranges[i].Addr), size: C.uint64_t(ranges[i].Size)}
			if ranges[i].ROM {
				to[i].flags |= C.GUESTCORE_ROM
			}
		}
		return int64(len(ranges)), nil
	})
}

//export goRead
func goRead(h C.int64_t, address C.uint64_t, buffer unsafe.Pointer, size C.uint64_t) C.int64_t {
	return call(func() (int64, error) {
		switch {
		case size == 0:
			return 0, nil
		case buffer == nil:
			return 0, errors.New("the buffer is NULL")
		case size > math.MaxInt:
			return 0, errors.New("no buffer is that large")
		}
		n, err := capi.Handle(h).Read(unsafe.Slice((*byte)(buffer), int(size)), uint64(address))
		return int64(n), err
	})
}

//export goDump
func goDump(h C.int64_t, arguments **C.char, progress, data unsafe.Pointer) C.int {
	return C.int(call(func() (int64, error) {
		var args []string
		for p := arguments; p != nil && *p != nil; p = (**C.char)(unsafe.Add(unsafe.Pointer(p), unsafe.Sizeof(*p))) {
			args = append(args, C.GoString(*p))
		}
		var show func(done, total int64) bool
		if progress != nil {
			show = func(done, total int64) bool {
				return C.call_progress(progress, C.uint64_t(done), C.uint64_t(total), data) == 0
			}
		}
		return 0, capi.Handle(h).Dump(args, show)
	}))
}
