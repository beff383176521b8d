package progress

import (
	"encoding/json"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// recorder keeps what is rendered and when.
type recorder struct {
	mu     sync.Mutex
	times  []time.Time
	states []State
	ends   int
}

func (r *recorder) Render(s State) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times = append(r.times, time.Now())
	r.states = append(r.states, s)
}

func (r *recorder) End() { r.ends++ }

func TestQuickJobsAreSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m Meter
		var r recorder
		stop := Show(&m, &r)
		m.Start(100)
		m.Add(50)
		time.Sleep(999 * time.Millisecond)
		m.Add(50)
		stop()
		if len(r.states) != 0 || r.ends != 0 {
			t.Errorf("rendered %v, %d ends", r.states, r.ends)
		}
	})
}

func TestAnswersSignals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m Meter
		var r, answers recorder
		ask := make(chan os.Signal)
		stop := Show(&m, OnSignal(&r, ask, &answers))
		m.Start(100)
		m.Add(40)
		time.Sleep(100 * time.Millisecond)
		ask <- os.Interrupt // long before anything is shown
		time.Sleep(1100 * time.Millisecond)
		m.Add(10)
		ask <- os.Interrupt // behind the first state, which has to go first
		stop()
		if len(answers.states) != 2 || answers.states[0].Done != 40 || answers.states[1].Done != 50 {
			t.Errorf("answered %v, want 40 and 50 done", answers.states)
		}
		if len(r.states) != 1 || r.ends != 1 {
			t.Errorf("rendered %v, %d ends", r.states, r.ends)
		}
	})
}

func TestNotMoreThanTwiceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m Meter
		var r recorder
		stop := Show(&m, &r)
		m.Start(1000)
		for range 100 {
			m.Add(10)
			time.Sleep(100 * time.Millisecond)
		}
		stop()
		stop()
		shown := len(r.states)
		if shown < 15 || shown > 19 {
			t.Errorf("rendered %d times in 10 s", shown)
		}
		for i := 1; i < shown; i++ {
			if gap := r.times[i].Sub(r.times[i-1]); gap < 500*time.Millisecond {
				t.Errorf("%v between two", gap)
			}
			if r.states[i].Done < r.states[i-1].Done {
				t.Errorf("%v after %v", r.states[i], r.states[i-1])
			}
		}
		if r.ends != 1 {
			t.Errorf("End called %d times", r.ends)
		}
		m.Add(1)
		time.Sleep(3 * time.Second)
		if len(r.states) != shown {
			t.Error("rendered after stop")
		}
	})
}

func TestNothingBeforeStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m Meter
		var r recorder
		stop := Show(&m, &r)
		time.Sleep(5 * time.Second)
		stop()
		if len(r.states) != 0 {
			t.Errorf("rendered %v", r.states)
		}
	})
}

func TestState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var m Meter
		m.Start(400)
		time.Sleep(2 * time.Second)
		m.Add(100)
		s := m.State()
		if s.Percent() != 25 || s.Rate() != 50 || s.Left() != 6*time.Second {
			t.Errorf("%d %%, %d/s, %v left", s.Percent(), s.Rate(), s.Left())
		}
	})
	if s := (State{}); s.Percent() != 0 || s.Rate() != 0 || s.Left() != 0 {
		t.Errorf("zero state: %d %%, %d/s, %v left", s.Percent(), s.Rate(), s.Left())
	}
}

func TestRenderers(t *testing.T) {
	half := State{Done: 512 << 20, Total: 1 << 30, Elapsed: 2 * time.Second}
	const text = "512.0 MiB of 1.0 GiB (50 %), 256.0 MiB/s, 2s left"

	var got []string
	l := Lines(func(line string) { got = append(got, line) })
	l.Render(half)
	l.Render(State{Done: 1 << 30, Total: 1 << 30, Elapsed: 4 * time.Second})
	l.End()
	if len(got) != 2 || got[0] != text || got[1] != "1.0 GiB of 1.0 GiB (100 %), 256.0 MiB/s" {
		t.Errorf("lines %q", got)
	}

	var b strings.Builder
	Bar(&b).Render(half)
	Bar(&b).End()
	if want := "\r\x1b[K[############............] " + text + "\r\x1b[K"; b.String() != want {
		t.Errorf("bar %q, want %q", b.String(), want)
	}

	b.Reset()
	JSON(&b).Render(half)
	JSON(&b).Render(half)
	for _, line := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
		var v struct {
			Progress struct {
				Done, Total int64
				Seconds     float64
			}
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil || v.Progress.Done != 512<<20 || v.Progress.Total != 1<<30 || v.Progress.Seconds != 2 {
			t.Errorf("%q: %+v, %v", line, v, err)
		}
	}
}

func TestForFile(t *testing.T) {
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	if r, ok := ForFile(tty).(bar); !ok {
		t.Errorf("a terminal gets %T", r)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	ForFile(w).Render(State{Done: 1, Total: 2, Elapsed: time.Second})
	w.Close()
	p := make([]byte, 200)
	n, _ := r.Read(p)
	if got := string(p[:n]); !strings.HasSuffix(got, "left\n") || strings.Contains(got, "\r") {
		t.Errorf("a pipe gets %q", got)
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 bytes", 1023: "1023 bytes", 1024: "1.0 KiB", 1536: "1.5 KiB", 1<<20 - 1: "1.0 MiB", 1 << 30: "1.0 GiB", 1<<63 - 1: "8.0 EiB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
}
