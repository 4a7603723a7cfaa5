package relay

// owned says whether it is the outcome of what the database owns.
func (e *entry) owned() bool { return e.kind == entryOutcome && (e.d.claimed || e.d.spilled) }

// progress counts entries: of what the database owns, and the others.
type progress struct{ owned, others uint64 }

func (p *progress) add(e *entry) {
	if e.owned() {
		p.owned++
	} else {
		p.others++
	}
}

// take returns the next batch, or nil.
func (r *recorder) take() []entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.others()
	owned := r.ofOwned(recordBatch-n, n == len(r.entries))
	if n+owned == 0 {
		return nil
	}
	batch := make([]entry, 0, n+owned)
	batch = moved(batch, &r.entries, n)
	batch = moved(batch, &r.owned, owned)
	r.writing = len(batch)
	r.relief.Broadcast()
	return batch
}

// others is how many entries the next batch has of those that are not owned. Sweeps end a batch: they are for what was
// handed over before them.
func (r *recorder) others() int {
	n := min(len(r.entries), recordBatch-min(recordOwned, len(r.owned)))
	for i := range n {
		if e := &r.entries[i]; e.kind == entrySweep {
			if len(r.owned) > 0 && r.owned[0].after.others <= e.after.others {
				return i
			}
			return i + 1
		}
	}
	return n
}

// ofOwned is how many of those that are owned it has, most at most. An outcome comes with the delivery's spill, or after it.
func (r *recorder) ofOwned(most int, allOthers bool) int {
	n := min(len(r.owned), most)
	for i := range n {
		if d := r.owned[i].d; !allOthers && !d.claimed && !d.settled {
			return i
		}
	}
	return n
}

// moved returns a batch with the first n entries of from at its end, which they leave.
func moved(batch []entry, from *[]entry, n int) []entry {
	batch = append(batch, (*from)[:n]...)
	clear((*from)[:n])
	if *from = (*from)[n:]; len(*from) == 0 {
		*from = nil
	}
	return batch
}
