// Command demo shows guestcore's main job on a real guest: Linux boots in Debian's QEMU, QEMU dies, guestcore serves its
// core to gdb, gdb's monitor command writes the guest's memory, and every byte of it equals the dump that QEMU itself made
// while it lived. scripts/demo gets the parts and runs it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"guestcore/test/rig"
	"guestcore/test/vmcore"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: demo PROGRAM, where PROGRAM is bin/guestcore")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := demo(ctx, os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func demo(ctx context.Context, program string) error {
	qemu, err := rig.StockQEMU()
	if err != nil {
		return err
	}
	gdb, err := rig.GDB()
	if err != nil {
		return err
	}
	dir, err := emptyFolder()
	if err != nil {
		return err
	}
	fmt.Printf("booting Linux in %s (pc, 1 GiB, TCG), taking QEMU's own dump, killing QEMU by SIGABRT …\n", qemu.Exe)
	guest, err := rig.Record(ctx, dir, qemu, rig.PC)
	if err != nil {
		return err
	}
	fmt.Printf("the core of QEMU: %s\n\n", guest.Core)

	server, err := rig.Serve(ctx, program, "", guest.Core)
	if err != nil {
		return err
	}
	defer server.Stop()
	dump := filepath.Join(dir, "vmcore")
	commands := []string{"set pagination off", "set sysroot /", "target remote " + server.Address,
		"monitor dump-guest-memory " + dump + " X86_64"}
	fmt.Printf("%s serve %s\ngdb -batch", program, guest.Core)
	args := []string{"-nx", "-batch"}
	for _, c := range commands {
		fmt.Printf(" -ex '%s'", c)
		args = append(args, "-ex", c)
	}
	fmt.Print("\n\n")
	result, err := rig.Run(ctx, 5*time.Minute, dir, gdb, args...)
	if err != nil {
		return err
	}
	fmt.Println(result.Output)
	if result.Status != 0 {
		return fmt.Errorf("gdb ended with status %d", result.Status)
	}
	return judge(dump, guest.QMPDump, result.Time)
}

// judge compares the dump with QEMU's own and prints the verdict.
func judge(dump, own string, took time.Duration) error {
	a, err := vmcore.Open(dump)
	if err != nil {
		return err
	}
	defer a.Close()
	b, err := vmcore.Open(own)
	if err != nil {
		return err
	}
	defer b.Close()
	fmt.Printf("%s: %d PT_LOADs, notes", dump, len(a.Loads))
	for _, n := range a.Notes {
		fmt.Printf(" %s", n.Name)
	}
	fmt.Printf("\n%s: QEMU's own dump\n", own)
	n, err := vmcore.Compare(a, b)
	if err != nil {
		return err
	}
	fmt.Printf("%d bytes of guest memory in %v, gdb's start included: identical\n", n, took.Round(time.Millisecond))
	return nil
}

// emptyFolder is where the demo's files stay until the next demo.
func emptyFolder() (string, error) {
	cache, err := rig.Cache()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "demo")
	if err := os.RemoveAll(dir); err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o755)
}
