package e2e

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// polling is a guest whose vCPU reads an I/O port for ever, which takes QEMU's big lock each time: a ROM with the loop at the
// reset vector, and RAM with random bytes.
func polling(t *testing.T) rig.Config {
	t.Helper()
	rom := make([]byte, 64<<10)
	copy(rom[0xfff0:], []byte{0xe4, 0x61, 0xeb, 0xfc}) // in $0x61,%al; jmp to it
	ram := make([]byte, 8<<20)
	seeded := rand.NewChaCha8([32]byte{1})
	seeded.Read(ram)
	return rig.Config{
		Name: "polling", Bare: true, SMP: "1",
		Files: map[string][]byte{"rom": rom, "ram": ram},
		Args: []string{"-machine", "pc", "-m", "64M", "-bios", "rom",
			"-device", "loader,file=ram,addr=0x1000000,force-raw=on"},
	}
}

func start(t *testing.T, config rig.Config) *rig.Live {
	t.Helper()
	l, err := rig.Start(t.Context(), t.TempDir(), testkit.StockQEMU(t), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Kill)
	return l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestLive dumps guests whose QEMU lives, stopped as QEMU's own dump wants it: the two are equal, and QEMU goes on.
func TestLive(t *testing.T) {
	for _, config := range []rig.Config{rig.PC, rig.NUMA, rig.SharedFile} {
		for _, stop := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/stop=%v", config.Name, stop), func(t *testing.T) {
				t.Parallel()
				l := start(t, config)
				must(t, l.Stop())
				oracle, err := l.Dump(t.Context(), "qmp.elf")
				must(t, err)
				out := filepath.Join(t.TempDir(), "vmcore")
				args := []string{"dump", "--pid", strconv.Itoa(l.PID()), out}
				if !stop {
					args = append(args, "--no-stop")
				}
				r := testkit.Guestcore(t, args...)
				if r.Status != 0 {
					t.Fatalf("status %d:\n%s", r.Status, r.Output)
				}
				if said := strings.Contains(r.Output, "it was stopped for "); said != stop {
					t.Errorf("how long QEMU was stopped: told %v, stopped %v:\n%s", said, stop, r.Output)
				}
				if said := strings.Contains(r.Output, "QEMU is not stopped: "); said == stop {
					t.Errorf("that QEMU runs: told %v, stopped %v:\n%s", said, stop, r.Output)
				}
				ours, own := testkit.Open(t, out), testkit.Open(t, oracle)
				testkit.Equal(t, ours, own)
				sameNotes(t, ours, own)
				must(t, l.Cont())
				must(t, l.Answers(testkit.Limit))
			})
		}
	}
}

// TestHung dumps a QEMU whose monitor does not answer, since the thread that has the big lock is stopped. Another program has
// that thread: it stands still all the same.
func TestHung(t *testing.T) {
	l := start(t, polling(t))
	must(t, l.Stop())
	oracle, err := l.Dump(t.Context(), "qmp.elf")
	must(t, err)
	must(t, l.Cont())
	release := hang(t, l)
	out := filepath.Join(t.TempDir(), "vmcore")
	r := testkit.Guestcore(t, "dump", "--pid", strconv.Itoa(l.PID()), out)
	if r.Status != 0 {
		t.Fatalf("status %d:\n%s", r.Status, r.Output)
	}
	if l.Answers(100*time.Millisecond) == nil {
		t.Error("QEMU did not hang")
	}
	testkit.Equal(t, testkit.Open(t, out), testkit.Open(t, oracle))
	release()
	must(t, l.Answers(testkit.Limit))
}

// hang stops the vCPU's thread where it has the big lock, which shows in the monitor's silence. release lets it go.
func hang(t *testing.T, l *rig.Live) (release func()) {
	t.Helper()
	tid := vcpuThread(t, l.PID())
	hung, let := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread() // the tracer is a thread, whose end lets go what it has
		if err := unix.PtraceSeize(tid); err != nil {
			hung <- err
			return
		}
		for range 1000 {
			var ws unix.WaitStatus
			if err := unix.PtraceInterrupt(tid); err != nil {
				hung <- err
				return
			}
			if _, err := unix.Wait4(tid, &ws, unix.WALL, nil); err != nil {
				hung <- err
				return
			}
			if l.Answers(time.Second) != nil {
				hung <- nil
				<-let
				unix.PtraceDetach(tid)
				runtime.UnlockOSThread() // or it ends, and with it QEMU, should it be the thread that started QEMU
				return
			}
			if err := unix.PtraceCont(tid, 0); err != nil {
				hung <- err
				return
			}
			time.Sleep(time.Duration(rand.IntN(1000)) * time.Microsecond)
		}
		hung <- fmt.Errorf("the monitor answered 1000 times although the vCPU stood still")
	}()
	must(t, <-hung)
	return func() { close(let) }
}

// vcpuThread is the thread of the one vCPU: the one that has used most of the processor.
func vcpuThread(t *testing.T, pid int) int {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	must(t, err)
	busiest, most := 0, -1
	for _, task := range tasks {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/stat", pid, task.Name()))
		if err != nil {
			continue
		}
		_, rest, _ := bytes.Cut(stat, []byte(") "))
		fields := bytes.Fields(rest)
		used, _ := strconv.Atoi(string(fields[11])) // utime
		tid, _ := strconv.Atoi(task.Name())
		if used > most {
			busiest, most = tid, used
		}
	}
	return busiest
}

// TestKilledWhileStopped kills guestcore at some moment, when QEMU mostly is stopped: it runs on each time.
func TestKilledWhileStopped(t *testing.T) {
	l := start(t, polling(t))
	stopped := 0
	for range 20 {
		cmd := exec.Command(testkit.Program(t), "dump", "--pid", strconv.Itoa(l.PID()), "-")
		_, err := cmd.StdoutPipe() // which nobody reads
		must(t, err)
		must(t, cmd.Start())
		time.Sleep(time.Duration(rand.IntN(500)) * time.Millisecond)
		if strings.HasPrefix(state(t, l.PID()), "t") {
			stopped++
		}
		must(t, cmd.Process.Kill())
		cmd.Wait()
		must(t, l.Answers(testkit.Limit))
	}
	if stopped == 0 {
		t.Error("QEMU was not stopped when guestcore was killed")
	}
}

// TestInterruptedWhileStopped ends guestcore by Ctrl-C while QEMU is stopped: it says that QEMU runs on, and QEMU does.
func TestInterruptedWhileStopped(t *testing.T) {
	l := start(t, polling(t))
	cmd := exec.CommandContext(t.Context(), testkit.Program(t), "dump", "--pid", strconv.Itoa(l.PID()), "-")
	_, err := cmd.StdoutPipe() // which nobody reads
	must(t, err)
	var said bytes.Buffer
	cmd.Stderr = &said
	must(t, cmd.Start())
	for deadline := time.Now().Add(testkit.Limit); !strings.HasPrefix(state(t, l.PID()), "t"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("QEMU was not stopped")
		}
	}
	must(t, cmd.Process.Signal(os.Interrupt))
	cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != 130 {
		t.Errorf("status %d", status)
	}
	if !strings.Contains(said.String(), "runs on, it was stopped for") || !strings.HasSuffix(said.String(), "interrupted\n") {
		t.Errorf("guestcore says:\n%s", &said)
	}
	must(t, l.Answers(testkit.Limit))
}

// TestEndedWhileStopped kills QEMU while it is stopped: it is not said to run on.
func TestEndedWhileStopped(t *testing.T) {
	l := start(t, rig.Bare)
	server := serve(t, "", "--pid", strconv.Itoa(l.PID()))
	must(t, unix.Kill(l.PID(), unix.SIGKILL))
	eventually(t, "QEMU ends", func() bool { return strings.HasPrefix(state(t, l.PID()), "Z") })
	if said := server.Stop(); !strings.Contains(said, "target remote") || strings.Contains(said, "runs on") {
		t.Errorf("guestcore says:\n%s", said)
	}
}

func state(t *testing.T, pid int) string {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	must(t, err)
	_, rest, _ := strings.Cut(string(status), "State:\t")
	return rest
}

// TestLiveInGDB holds what gdb shows of a process that guestcore serves against what it shows of one it attached to itself. The
// process runs on in between: what gdb itself sees change does not count, and is asked for again.
func TestLiveInGDB(t *testing.T) {
	l := start(t, rig.Bare)
	gdb, pid := testkit.MinimalGDB(t), strconv.Itoa(l.PID())
	ask := []string{"info threads", "thread apply all bt", "info registers", "info sharedlibrary", "x/2i $pc", "info auxv"}
	native := func() []string { return answers(t, gdb, "attach "+pid, ask) }
	before := native()
	for range 20 {
		server := serve(t, "", "--pid", pid)
		served := answers(t, gdb, "target remote "+server.Address, ask)
		server.Stop()
		after := native()
		changed := !slices.Equal(before, after)
		before = after
		if changed {
			continue
		}
		for i, line := range ask {
			if after[i] != served[i] {
				t.Errorf("%s: gdb itself\n%s\nserved\n%s", line, after[i], served[i])
			}
		}
		must(t, l.Answers(testkit.Limit))
		return
	}
	t.Error("the process never stood still")
}

// answers are what gdb shows of a target when asked.
func answers(t *testing.T, gdb, target string, ask []string) (shown []string) {
	t.Helper()
	var lines []string
	for _, line := range ask {
		lines = append(lines, "echo == "+line+`\n`, line)
	}
	output := testkit.GDB(t, gdb, append(commands(target), commands(append(lines, `echo == end\n`)...)...)...).Output
	for _, line := range ask {
		shown = append(shown, answer(t, output, line))
	}
	return shown
}
