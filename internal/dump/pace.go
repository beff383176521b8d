package dump

import (
	"sync"
	"time"
)

// way is how data gets onto the disk.
type way int

const (
	cached way = iota // through the page cache
	direct            // around it
)

// pacer finds out which way is faster, here and now: how fast the page cache
// takes data depends on the memory that is free and on what of it waits for the
// disk already. It goes the faster way and now and then tries the other again,
// the later the slower that was.
type pacer struct {
	mu    sync.Mutex
	now   func() time.Time
	way   way
	left  int64 // bytes until the next look
	began time.Time
	phase int        // phases begun
	last  [2]int     // the last phase that went this way
	cost  [2]float64 // seconds a phase takes this way, 0 if unknown
}

const (
	// phaseSize is what is written between two looks, in bytes. Large phases
	// measure well, small ones cost little on the slower way.
	phaseSize = 64 << 20
	// patience is how many phases the slower way is left alone, times the
	// square of the ratio: at twice the time that costs one part in 64.
	patience = 16
)

func newPacer(now func() time.Time) *pacer { return &pacer{now: now} }

// next is the way for the next n bytes.
func (p *pacer) next(n int64) way {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left <= 0 {
		now := p.now()
		if p.phase > 0 {
			p.measured(now.Sub(p.began).Seconds())
		}
		p.phase++
		p.way = p.choose()
		p.last[p.way] = p.phase
		p.began, p.left = now, phaseSize
	}
	p.left -= n
	return p.way
}

// measured takes note of the time of a phase. What was long ago counts less.
func (p *pacer) measured(seconds float64) {
	if old := p.cost[p.way]; old > 0 {
		seconds = (old + seconds) / 2
	}
	p.cost[p.way] = max(seconds, 1e-6)
}

func (p *pacer) choose() way {
	if p.cost[cached] == 0 {
		return cached
	}
	if p.cost[direct] == 0 {
		return direct
	}
	better, worse := cached, direct
	if p.cost[direct] < p.cost[cached] {
		better, worse = direct, cached
	}
	ratio := p.cost[worse] / p.cost[better]
	if float64(p.phase-p.last[worse]) > patience*ratio*ratio {
		return worse
	}
	return better
}
