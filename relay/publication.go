package relay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/outboxrelay/relay/internal/failpoint"
	"github.com/outboxrelay/relay/internal/store"
)

// publicationEvery is how often the publication is looked at: one that was altered publishes too little without an error, and
// from PostgreSQL 18 on so does a missing one.
const publicationEvery = 5 * time.Second

// wantedRelations are the tables whose inserts the stream must hold.
var wantedRelations = []string{"events", "subscription_changes"}

// ensurePublication makes the publication where it is missing, and completes it where it publishes too little.
func (r *Relay) ensurePublication(ctx context.Context) (*store.Publication, error) {
	name := r.cfg.Replication.Publication
	p, err := store.FindPublication(ctx, r.db, name)
	if err != nil {
		return nil, err
	}
	switch {
	case p == nil:
		r.log.Info("making the publication", "publication", name)
		if err := store.CreatePublication(ctx, r.db, name); err != nil {
			return nil, err
		}
		failpoint.Hit("setup/after-publication")
	case publicationFits(p):
		return p, nil
	default:
		// What was committed while it published too little is not in the stream: forget the slot, so that it is scanned.
		r.log.Warn("the publication does not publish what it must: mending it", "publication", name,
			"publishes", strings.Join(p.Relations, ","), "inserts", p.Inserts, "filtered", p.Filtered)
		if err := store.ForgetState(ctx, r.db, r.cfg.Replication.Slot); err != nil {
			return nil, err
		}
		for _, sql := range p.RepairSQL(name) {
			if _, err := r.db.Exec(ctx, sql); err != nil {
				return nil, fmt.Errorf("mend publication: %w", err)
			}
		}
	}
	p, err = store.FindPublication(ctx, r.db, name)
	if err == nil && p == nil {
		err = fmt.Errorf("publication %q is gone again", name)
	}
	return p, err
}

func publicationFits(p *store.Publication) bool {
	if !p.Inserts || p.Filtered {
		return false
	}
	for _, table := range wantedRelations {
		if !slices.Contains(p.Relations, table) {
			return false
		}
	}
	return true
}

// watchPublication ends the stream when the publication is not the one that the slot was made for, as it was then.
func (r *Relay) watchPublication(ctx context.Context, state store.State) error {
	for {
		sleep(ctx, publicationEvery)
		if ctx.Err() != nil {
			return nil
		}
		asking, cancel := context.WithTimeout(ctx, recordTimeout)
		p, err := store.FindPublication(asking, r.db, r.cfg.Replication.Publication)
		cancel()
		if err != nil {
			return err
		}
		if p == nil || p.OID != state.PublicationOID || p.Version != state.PublicationVersion || !publicationFits(p) {
			return fmt.Errorf("publication %q was dropped or altered", r.cfg.Replication.Publication)
		}
	}
}

// withoutPublication forgets the slot's state when the stream ended because the publication is missing: making it again
// does not mend a slot, which decodes by the catalogue of the past.
func (r *Relay) withoutPublication(ctx context.Context, err error) error {
	var pg *pgconn.PgError
	if !errors.As(err, &pg) || pg.Code != "42704" || pg.Where == "" {
		return err
	}
	return errors.Join(err, store.ForgetState(ctx, r.db, r.cfg.Replication.Slot))
}
