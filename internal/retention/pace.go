package retention

import (
	"context"
	"time"
)

const (
	// rest is how long others have the database to themselves, as a multiple of what a batch took: removal takes a quarter
	// of the time at most, however much there is to remove.
	rest = 3

	// minRest and maxRest bound it: many batches of no work, and one that waited for something.
	minRest = 5 * time.Millisecond
	maxRest = 2 * time.Second

	// batchTook is what a batch should take. Its rows are locked for so long, and a stop waits for it.
	batchTook = 40 * time.Millisecond

	minBatch = 100
	maxBatch = 2000
)

// pace says how many rows to remove at once and how long to rest in between.
type pace struct {
	size   int           // Of the next batch; 0 at first.
	worked time.Duration // What all work took.
}

// work runs a statement, which has StatementTimeout, and returns what it took.
func (p *pace) work(ctx context.Context, statement func(context.Context)) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, StatementTimeout)
	defer cancel()
	begun := time.Now()
	statement(ctx)
	took := time.Since(begun)
	p.worked += took
	return took
}

func (p *pace) batch() int {
	if p.size == 0 {
		p.size = minBatch
	}
	return p.size
}

// next adapts the size to what a full batch took. It returns how long to rest.
func (p *pace) next(took time.Duration) time.Duration {
	switch {
	case took > batchTook:
		p.size = max(p.batch()/2, minBatch)
	case took < batchTook/2:
		p.size = min(p.batch()*2, maxBatch)
	}
	return restAfter(took)
}

func restAfter(took time.Duration) time.Duration { return min(max(rest*took, minRest), maxRest) }
