package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"
)

// settled is for how long the memory of virtio-mem devices must not have changed. The driver takes some tenths of a second for
// each of its steps.
const settled = 3 * time.Second

// plug waits until the guest's virtio-mem devices have the memory they should, runs the commands, and waits until nothing changes
// any more.
func (g *guest) plug(ctx context.Context, config Config) error {
	err := g.awaitMemory(ctx, func(have map[string]uint64) bool {
		for id, want := range config.Plugged {
			if have[id] != want {
				return false
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	for _, command := range config.Commands {
		said, err := g.qmp.monitor(command)
		if err != nil {
			return err
		}
		if said != "" {
			return fmt.Errorf("QEMU's monitor says to %s: %s", command, said)
		}
	}
	if len(config.Plugged) == 0 {
		return nil
	}
	var last map[string]uint64
	var since time.Time
	return g.awaitMemory(ctx, func(have map[string]uint64) bool {
		if !maps.Equal(have, last) {
			last, since = have, time.Now()
		}
		return time.Since(since) > settled
	})
}

// awaitMemory waits until the sizes of the memory devices, by their ids, are as they should be.
func (g *guest) awaitMemory(ctx context.Context, right func(map[string]uint64) bool) error {
	for {
		reply, err := g.qmp.call("query-memory-devices", nil)
		if err != nil {
			return err
		}
		var devices []struct {
			Data struct {
				ID   string
				Size uint64
			}
		}
		if err := json.Unmarshal(reply, &devices); err != nil {
			return err
		}
		have := map[string]uint64{}
		for _, d := range devices {
			have[d.Data.ID] = d.Data.Size
		}
		if right(have) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("memory devices: the guest has %v", have)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
