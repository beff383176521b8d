package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"guestcore/test/rig"
)

const (
	rounds = 7
	settle = 300 * time.Millisecond // for what a sync leaves to the disk
)

// contest runs the commands in turn, several rounds, and returns the times of each. All write the file out, which is removed
// before each, and nobody pays for what another wrote.
func contest(ctx context.Context, dir, out string, commands ...[]string) ([]times, error) {
	all := make([]times, len(commands))
	for range rounds {
		for i, c := range commands {
			if err := os.RemoveAll(out); err != nil {
				return nil, err
			}
			syscall.Sync()
			time.Sleep(settle)
			took, err := timed(ctx, dir, c[0], c[1:]...)
			if err != nil {
				return nil, err
			}
			all[i] = append(all[i], took.Seconds())
		}
	}
	return all, os.RemoveAll(out)
}

// times are those of a command, in seconds, in the order of the rounds.
type times []float64

func (t times) median() float64 {
	t = slices.Sorted(slices.Values(t))
	return t[len(t)/2]
}

// best is for limits that are not relative to what ran beside it: a busy machine only adds.
func (t times) best() float64 { return slices.Min(t) }

func (t times) String() string { return fmt.Sprintf("%.3f s", t.median()) }

// by is the median of the ratios of what ran in the same round: a machine that is busy for a while is so for both.
func (t times) by(others ...times) float64 {
	var ratios times
	for i := range t {
		best := others[0][i]
		for _, o := range others[1:] {
			best = min(best, o[i])
		}
		ratios = append(ratios, t[i]/best)
	}
	return ratios.median()
}

func timed(ctx context.Context, dir, name string, args ...string) (time.Duration, error) {
	result, err := rig.Run(ctx, limit, dir, name, args...)
	if err == nil && result.Status != 0 {
		err = errors.New(result.Output)
	}
	if err != nil {
		return 0, fmt.Errorf("%s: %w", filepath.Base(name), err)
	}
	return result.Time, nil
}
