package capi

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"guestcore/internal/session"
)

func TestGuard(t *testing.T) {
	err := Guard(func() error { panic("defect") })
	if err == nil || !strings.Contains(err.Error(), "internal error: defect") || !strings.Contains(err.Error(), "TestGuard") {
		t.Errorf("a panic is %v", err)
	}
	if err := Guard(func() error { var p *source; p.session = nil; return nil }); err == nil {
		t.Error("a nil pointer is no error")
	}
	if err := Guard(func() error { return ErrHandle }); err != ErrHandle {
		t.Errorf("an error is %v", err)
	}
}

func TestHandles(t *testing.T) {
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for h := range Handle(100) {
				if _, err := (h - 50).Ranges(); !errors.Is(err, ErrHandle) {
					t.Errorf("handle %d: %v", h, err)
				}
				if err := h.Close(); !errors.Is(err, ErrHandle) {
					t.Errorf("handle %d: %v", h, err)
				}
				if h, err := Open(session.Options{Core: "/nonexistent"}); err == nil || h != 0 {
					t.Errorf("handle %d of nothing", h)
				}
			}
		})
	}
	wait.Wait()
}
