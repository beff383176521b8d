// Command bench measures guestcore against QEMU's Python script on the same core in the same run, and holds it to what the
// README promises. scripts/bench gets what it needs and runs it. It ends with status 1 if a promise is broken.
//
//	bench PROGRAM [PART...]
//
// A part is named by the first letters of its name: kdump-random stands for four. Without any, all are measured, and the
// table is also kept in the cache.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"guestcore/test/rig"
	"guestcore/test/vmcore"
)

// What is promised.
const (
	leastRatio = 20 // the script's time by ours
	mostReady  = 300 * time.Millisecond
	mostMemory = 200 << 20
)

const limit = 10 * time.Minute // for one run of guestcore or gdb

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: bench PROGRAM [PART...], where PROGRAM is bin/guestcore")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run: a core and a folder for the dumps of it.
type bench struct {
	program, exe, core, dir string
	kdumpRandom             string // core of the guest that kdumpRandomCore made
	all                     bool   // the parts are measured
	rows                    []row
}

// part is what can be measured on its own.
type part struct {
	name    string
	measure func(context.Context) error
}

// parts are those that one of the names stands for.
func (b *bench) parts(names []string) ([]part, error) {
	all := append([]part{{"script", b.dumps}, {"start", b.start}, {"reflink", b.reflink}, {"fresh", b.fresh}, {"random", b.random}, {"convert", b.convert},
		{"memory", b.memoryDump}, {"find", b.find}},
		b.kdumps()...)
	if b.all = len(names) == 0; b.all {
		return all, nil
	}
	var chosen []part
	for _, p := range all {
		if slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(p.name, name) }) {
			chosen = append(chosen, p)
		}
	}
	if len(chosen) == 0 {
		var known []string
		for _, p := range all {
			known = append(known, p.name)
		}
		return nil, fmt.Errorf("no part is called %s: there are %s", strings.Join(names, " or "), strings.Join(known, ", "))
	}
	return chosen, nil
}

// row is one line of the table.
type row struct {
	what    string
	value   string
	promise string
	broken  bool
}

func run(ctx context.Context, program string, names []string) error {
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	qemu, err := rig.DebugQEMU()
	if err != nil {
		return err
	}
	guest, err := rig.Boot(ctx, qemu, rig.Q35)
	if err != nil {
		return err
	}
	cache, err := rig.Cache()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(cache, "bench.")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{program: program, exe: qemu.Exe, core: guest.Core, dir: dir}
	parts, err := b.parts(names)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err := p.measure(ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return b.report()
}

// dumps times the three ways to a dump. The script comes first, so the core is in the page cache for all.
func (b *bench) dumps(ctx context.Context) error {
	script := filepath.Join(b.dir, "script.elf")
	theirs, err := rig.RunScript(ctx, b.exe, b.core, script)
	if err != nil {
		return err
	}
	b.add("gdb with QEMU's Python script", seconds(theirs.Time), "", false)
	if err := b.againstScript(ctx, script, "guestcore dump", theirs.Time, b.dump); err != nil {
		return err
	}
	return b.againstScript(ctx, script, "guestcore serve, gdb-minimal, monitor dump-guest-memory", theirs.Time, b.monitor)
}

// againstScript takes the best of three runs and makes sure that the last wrote what the script wrote.
func (b *bench) againstScript(ctx context.Context, script, what string, theirs time.Duration,
	dump func(ctx context.Context, out string) (time.Duration, error)) error {
	out := filepath.Join(b.dir, "ours.elf")
	var best time.Duration
	for i := range 3 {
		if err := os.RemoveAll(out); err != nil {
			return err
		}
		syscall.Sync() // nobody pays for what another wrote
		took, err := dump(ctx, out)
		if err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		if i == 0 || took < best {
			best = took
		}
	}
	if err := same(script, out); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	ratio := float64(theirs) / float64(best)
	b.add(what, fmt.Sprintf("%s, %.0f times faster", seconds(best), ratio), fmt.Sprintf("at least %d times", leastRatio),
		ratio < leastRatio)
	return nil
}

func (b *bench) dump(ctx context.Context, out string) (time.Duration, error) {
	result, err := rig.Run(ctx, limit, b.dir, b.program, "dump", b.core, out)
	if err == nil && result.Status != 0 {
		err = errors.New(result.Output)
	}
	return result.Time, err
}

func (b *bench) monitor(ctx context.Context, out string) (time.Duration, error) {
	gdb, err := rig.MinimalGDB()
	if err != nil {
		return 0, err
	}
	start := time.Now()
	server, err := rig.Serve(ctx, b.program, "", b.core)
	if err != nil {
		return 0, err
	}
	defer server.Stop()
	result, err := rig.Run(ctx, limit, b.dir, gdb, "-nx", "-batch", "-ex", "set sysroot /", "-ex", "target remote "+server.Address,
		"-ex", "monitor dump-guest-memory "+out+" X86_64")
	took := time.Since(start)
	if err == nil && result.Status != 0 {
		err = errors.New(result.Output)
	}
	if err != nil {
		return took, err
	}
	peak, err := server.PeakMemory()
	if err != nil {
		return took, err
	}
	if len(b.rows) == 2 { // once, not for each of the runs
		b.add("  memory of guestcore serve at its peak", fmt.Sprintf("%d MiB", peak>>20),
			fmt.Sprintf("at most %d MiB", mostMemory>>20), peak > mostMemory)
	}
	return took, nil
}

// start times the way from the shell to the first answer.
func (b *bench) start(ctx context.Context) error {
	var best time.Duration
	for i := range 3 {
		took, err := b.firstAnswer(ctx)
		if err != nil {
			return err
		}
		if i == 0 || took < best {
			best = took
		}
	}
	b.add("guestcore serve, from start to the first answered packet", fmt.Sprintf("%d ms", best.Milliseconds()),
		fmt.Sprintf("at most %d ms", mostReady.Milliseconds()), best > mostReady)
	return nil
}

func (b *bench) firstAnswer(ctx context.Context) (time.Duration, error) {
	start := time.Now()
	server, err := rig.Serve(ctx, b.program, "", b.core)
	if err != nil {
		return 0, err
	}
	defer server.Stop()
	client, err := server.Connect(ctx)
	if err != nil {
		return 0, err
	}
	defer client.Close()
	if _, err := client.Ask("qSupported"); err != nil {
		return 0, err
	}
	return time.Since(start), nil
}

func (b *bench) add(what, value, promise string, broken bool) {
	b.rows = append(b.rows, row{what, value, promise, broken})
	fmt.Fprintf(os.Stderr, "%s: %s\n", strings.TrimSpace(what), value)
}

// report prints the table, and writes it to bench.txt in the cache if it is whole.
func (b *bench) report() error {
	info, err := os.Stat(b.core)
	if err != nil {
		return err
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s, %s\ncore of %.1f GB, q35 with 5 GiB, in the page cache; QEMU with %s of DWARF.\n"+
		"Against the script: the best of three. kdump formats: the best of %d. Else all contenders in turn, medians: of %d rounds on XFS\n"+
		"and ext4, of 3 in gdb.\n\n",
		time.Now().Format(time.DateOnly), machine(), float64(info.Size())/1e9, size(b.exe), kdumpRounds, rounds)
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	broken := 0
	for _, r := range b.rows {
		verdict := r.promise
		if r.broken {
			verdict += " MISSED"
			broken++
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", r.what, r.value, verdict)
	}
	table.Flush()
	fmt.Print("\n", text.String())
	cache, err := rig.Cache()
	if err != nil {
		return err
	}
	if b.all {
		err = os.WriteFile(filepath.Join(cache, "bench.txt"), []byte(text.String()), 0o644)
	}
	if err != nil {
		return err
	}
	if broken > 0 {
		return fmt.Errorf("%d promises are broken", broken)
	}
	return nil
}

func same(script, ours string) error {
	a, err := vmcore.Open(script)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := vmcore.Open(ours)
	if err != nil {
		return err
	}
	defer b.Close()
	_, err = vmcore.Compare(a, b)
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

func size(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return "unknown size"
	}
	return fmt.Sprintf("%d MB", info.Size()/1_000_000)
}
