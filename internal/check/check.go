// Package check says, item by item, whether a database and a configuration will work, and what mends each fault. It
// changes nothing.
package check

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/outboxrelay/relay/config"
)

// Status is how an item stands.
type Status string

// The statuses.
const (
	OK      Status = "ok"
	Warning Status = "warning" // Works, but not for long or not as meant.
	Fault   Status = "fault"   // Will not work until it is mended.
)

// Mend is the statement to run or the setting to change; empty where there is nothing to mend.
type Mend string

// String returns the text.
func (m Mend) String() string { return string(m) }

// Item is one thing that was looked at.
type Item struct {
	Status Status `json:"status"`
	Name   string `json:"name"`
	What   string `json:"what"`
	Mend   Mend   `json:"mend,omitempty"`
}

// checker holds what the checks share.
type checker struct {
	cfg    *config.Config
	db     *pgx.Conn
	report func(Item)

	user     string
	version  int // server_version_num
	database string
	system   string // The system identifier.
	standby  bool   // The server is in recovery.
	schema   bool   // Schema outbox is whole.
	relaying bool   // A relay reads the slot.
	noSender bool   // All walsenders are in use, none of them by a relay.
}

func (c *checker) ok(name, format string, args ...any) {
	c.report(Item{Status: OK, Name: name, What: fmt.Sprintf(format, args...)})
}

func (c *checker) warn(name, mend, format string, args ...any) {
	c.report(Item{Status: Warning, Name: name, What: fmt.Sprintf(format, args...), Mend: Mend(mend)})
}

func (c *checker) fault(name, mend, format string, args ...any) {
	c.report(Item{Status: Fault, Name: name, What: fmt.Sprintf(format, args...), Mend: Mend(mend)})
}

// broken reports a question that could not be asked. Where that is for want of a right, the item rights says which.
func (c *checker) broken(name string, err error) {
	mend := "see what the server says"
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42501" && c.schema { // insufficient_privilege
		mend = "run the GRANT that the item rights has"
	}
	c.fault(name, mend, "cannot be looked at: %v", err)
}

// settings reports what Load only warns of.
func (c *checker) settings() {
	for _, warning := range c.cfg.Warnings() {
		c.warn("environment", "set the key that was meant, or unset it where none was", "%s", warning)
	}
}

// Run looks at everything and reports each item as it is found, in an order in which later items depend on earlier ones.
// It blocks until all is looked at or ctx ends.
func Run(ctx context.Context, cfg *config.Config, report func(Item)) {
	c := &checker{cfg: cfg, report: report}
	c.settings()
	if !c.connect(ctx) {
		return
	}
	defer func() { _ = c.db.Close(context.WithoutCancel(ctx)) }()
	for _, look := range []func(context.Context){
		c.server, c.clock, c.walLevel, c.slots, c.replication, c.schemaObjects, c.home, c.rights, c.publication, c.slot,
		c.failover, c.retainedWAL, c.subscriptions,
	} {
		if ctx.Err() != nil {
			return
		}
		look(ctx)
	}
}
