package dump

import (
	"testing"
	"time"
)

// TestPacer runs data through two ways of which the speeds change, and holds
// the time against that of whoever knew the faster way all along.
func TestPacer(t *testing.T) {
	const piece = 4 << 20
	for _, tt := range []struct {
		name  string
		speed func(done int64) [2]float64 // bytes a second, cached and direct
		most  float64                     // our time by the best one
	}{
		{"cached is faster", func(int64) [2]float64 { return [2]float64{2e9, 1.4e9} }, 1.03},
		{"direct is faster", func(int64) [2]float64 { return [2]float64{0.5e9, 1.4e9} }, 1.06},
		{"the same", func(int64) [2]float64 { return [2]float64{1e9, 1e9} }, 1.001},
		{"cached until memory is full", func(done int64) [2]float64 {
			if done < 4<<30 {
				return [2]float64{2e9, 1e9}
			}
			return [2]float64{0.3e9, 1e9}
		}, 1.05},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var now time.Time
			p := newPacer(func() time.Time { return now })
			var best time.Duration
			start := now
			if p.next(0) != cached {
				t.Error("a small file does not begin in the page cache")
			}
			for done := int64(0); done < 16<<30; done += piece {
				speed := tt.speed(done)
				now = now.Add(time.Duration(piece / speed[p.next(piece)] * 1e9))
				best += time.Duration(piece / max(speed[cached], speed[direct]) * 1e9)
			}
			if ratio := float64(now.Sub(start)) / float64(best); ratio > tt.most {
				t.Errorf("%.3f × the best time, at most %.3f are right", ratio, tt.most)
			}
		})
	}
}
