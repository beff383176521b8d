package rig

import (
	"context"
	"testing"
)

func TestBootAll(t *testing.T) {
	q, err := StockQEMU()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []Config{PC, Q35, NUMA, SharedFile, NoDump, Bare} {
		t.Run(c.Name, func(t *testing.T) {
			f, err := Boot(context.Background(), q, c)
			if err != nil {
				t.Fatal(err)
			}
			t.Log(f.Dir)
		})
	}
}
