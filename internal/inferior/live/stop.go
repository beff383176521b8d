package live

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"guestcore/internal/inferior"
)

// patience is how long a thread may take to stop. One that waits in the kernel
// for a device does not, nor does it run meanwhile.
const patience = 2 * time.Second

// stop is a process whose threads are stopped. All requests to the kernel come
// from one of its threads, since the tracer is a thread (ptrace(2)); when that
// thread ends, however it ends, the kernel lets all it traced run again.
type stop struct {
	notes map[int][]inferior.Note // registers, by thread

	since   time.Time
	release chan struct{} // closed to let the process run
	once    sync.Once
	done    chan struct{} // closed when it does
	after   time.Duration // it was stopped, once done; 0 if nothing of it runs again
	err     error
}

// stopAll stops all threads of a process and reads their registers.
func stopAll(pid int, host inferior.Host, log *slog.Logger) (*stop, error) {
	s := &stop{notes: map[int][]inferior.Note{}, release: make(chan struct{}), done: make(chan struct{})}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		defer close(s.done)
		t := &tracer{pid: pid, log: log, threads: map[int]*traced{}}
		s.since = time.Now()
		if err := t.stop(); err != nil {
			t.resume()
			ready <- err
			return
		}
		for tid, th := range t.threads {
			if th.stopped {
				s.notes[tid] = registers(tid, host)
			}
		}
		ready <- nil
		<-s.release
		let, err := t.resume()
		if s.err = err; let > 0 {
			s.after = time.Since(s.since)
		}
	}()
	if err := <-ready; err != nil {
		return nil, err
	}
	return s, nil
}

func (s *stop) resume() error {
	s.once.Do(func() { close(s.release) })
	<-s.done
	return s.err
}

func (s *stop) paused() time.Duration {
	select {
	case <-s.done:
		return s.after
	default:
		return time.Since(s.since)
	}
}

// tracer stops the threads of a process. Its methods are called by one thread
// of this program.
type tracer struct {
	pid     int
	log     *slog.Logger
	threads map[int]*traced
}

// traced is a thread that the tracer has seized.
type traced struct {
	stopped bool
	signal  syscall.Signal // that it was about to take, and will
}

// stop stops all threads. New ones may come while some still run, so it looks
// until there are none.
func (t *tracer) stop() error {
	foreign := map[int]bool{}
	for {
		tids, err := threadIDs(t.pid)
		if err != nil {
			return err
		}
		tids = slices.DeleteFunc(tids, func(tid int) bool { return t.threads[tid] != nil || foreign[tid] })
		if len(tids) == 0 {
			return nil
		}
		for _, tid := range tids {
			switch err := t.seize(tid); {
			case errors.Is(err, unix.ESRCH): // it has ended
				foreign[tid] = true
			case err != nil:
				if err := t.heldByOther(tid, err); err != nil {
					return err
				}
				foreign[tid] = true
			}
		}
		deadline := time.Now().Add(patience)
		for _, tid := range tids {
			if th := t.threads[tid]; th != nil {
				t.await(tid, th, deadline)
			}
		}
	}
}

func (t *tracer) seize(tid int) error {
	if err := unix.PtraceSeize(tid); err != nil {
		return err
	}
	t.threads[tid] = &traced{}
	if err := unix.PtraceInterrupt(tid); err != nil && !errors.Is(err, unix.ESRCH) {
		return err
	}
	return nil
}

// heldByOther says whether a thread that cannot be seized stands still all the
// same, since another debugger has stopped it.
func (t *tracer) heldByOther(tid int, err error) error {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", t.pid, tid))
	tracer := statusField(string(status), "TracerPid")
	if !errors.Is(err, unix.EPERM) || tracer == "" || tracer == "0" {
		return fmt.Errorf("thread %d cannot be stopped: %w", tid, err)
	}
	if strings.HasPrefix(statusField(string(status), "State"), "t") {
		t.log.Info("a thread is stopped by another debugger", "thread", tid, "debugger", tracer)
		return nil
	}
	return fmt.Errorf("thread %d runs under the debugger with process id %s: stop it there or have that one leave it, or use --no-stop", tid, tracer)
}

// statusField is a line of /proc/PID/status.
func statusField(status, name string) string {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// await waits until a thread has stopped.
func (t *tracer) await(tid int, th *traced, deadline time.Time) {
	for pause := 10 * time.Microsecond; ; pause = min(2*pause, 5*time.Millisecond) {
		var ws unix.WaitStatus
		got, err := unix.Wait4(tid, &ws, unix.WALL|unix.WNOHANG, nil)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil || got == tid && !ws.Stopped():
			delete(t.threads, tid) // it has ended
			return
		case got == tid:
			th.stopped = true
			if ws.TrapCause() != unix.PTRACE_EVENT_STOP { // it was about to take a signal
				th.signal = ws.StopSignal()
			}
			return
		case time.Now().After(deadline):
			t.log.Warn("a thread waits in the kernel and does not stop; its registers are not known", "thread", tid)
			return
		}
		time.Sleep(pause)
	}
}

// resume lets all threads run, with the signals they were about to take, and
// returns how many do: none of a process that has ended, or that another
// debugger has. Threads that never stopped are let go when the tracing thread
// ends.
func (t *tracer) resume() (let int, err error) {
	var errs []error
	for tid, th := range t.threads {
		if !th.stopped {
			continue
		}
		_, _, err := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_DETACH, uintptr(tid), 0, uintptr(th.signal), 0, 0)
		switch err {
		case 0:
			let++
		case unix.ESRCH: // it has ended
		default:
			errs = append(errs, fmt.Errorf("thread %d was not let go: %w", tid, err))
		}
	}
	return let, errors.Join(errs...)
}

// threadIDs lists the threads of a process, its first one in front.
func threadIDs(pid int) ([]int, error) {
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return nil, err
	}
	tids := []int{pid}
	for _, e := range entries {
		if tid, err := strconv.Atoi(e.Name()); err == nil && tid != pid {
			tids = append(tids, tid)
		}
	}
	slices.Sort(tids[1:])
	return tids, nil
}
