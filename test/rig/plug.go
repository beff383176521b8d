package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"
)

// settled is for how long the memory of virtio-mem devices must not have changed. The driver takes some tenths of a second for
// each of its steps.
const settled = 3 * time.Second

// plug waits until the guest's virtio-mem devices have the memory they should, runs the commands, and waits until nothing changes
// any more.
func (g *guest) plug(ctx context.Context, config Config) error {
	if len(config.Plugged) == 0 {
		return g.command(config.Commands)
	}
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
	if err := g.command(config.Commands); err != nil {
		return err
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

// command runs commands of QEMU's monitor, which say nothing if they go well.
func (g *guest) command(lines []string) error {
	for _, line := range lines {
		said, err := g.qmp.monitor(line)
		if err != nil {
			return err
		}
		if said != "" {
			return fmt.Errorf("QEMU's monitor says to %s: %s", line, said)
		}
	}
	return nil
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
			return os.WriteFile(filepath.Join(g.dir, memoryDevices), reply, 0o644)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("memory devices: the guest has %v", have)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
