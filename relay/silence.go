package relay

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// askAfter is how long the server may be silent before it is asked to say something, with every status from then on. It is
	// short, since a server that decodes looks at what it was sent seldom, and answers only what has come by then.
	askAfter = 2 * time.Second

	// deadAtLeast is how long a stream on which nothing comes is kept in any case.
	deadAtLeast = 30 * time.Second

	// decodeSlack is what deadAfter leaves beyond half of wal_sender_timeout: for askAfter, for the next status, and for the
	// server, which looks once in a hundred changes.
	decodeSlack = 10 * time.Second

	// deadUnheard is how long a stream is kept on which a server that decodes says nothing at all. A peer that has vanished is found
	// out by TCP long before (dial.go).
	deadUnheard = 15 * time.Minute
)

// deadAfter is how long the server may be silent before its connection counts as dead: a half-open one would be waited on for
// ever. A walsender that decodes a big transaction of which nothing is published reads what it was sent, and answers, once half of
// wal_sender_timeout has passed since it last did (WalSndUpdateProgress and WalSndWriteData in PostgreSQL's walsender.c); without a
// timeout it does neither until the transaction ends. Most dead connections are found out sooner, by asking over another (deaf.go).
func deadAfter(senderTimeout time.Duration) time.Duration {
	if senderTimeout == 0 {
		return deadUnheard
	}
	return max(deadAtLeast, senderTimeout/2+decodeSlack)
}

// askSenderTimeout returns the wal_sender_timeout of a replication connection, which role and database may set; 0: none.
func askSenderTimeout(ctx context.Context, conn *pgconn.PgConn) (time.Duration, error) {
	results, err := conn.Exec(ctx, "SHOW wal_sender_timeout").ReadAll()
	if err != nil {
		return 0, fmt.Errorf("ask for wal_sender_timeout: %w", err)
	}
	d, err := parseSetting(string(results[0].Rows[0][0]))
	if err != nil {
		return 0, fmt.Errorf("read wal_sender_timeout: %w", err)
	}
	return d, nil
}

// settingUnits are those in which the server shows times.
var settingUnits = map[string]time.Duration{
	"": time.Millisecond, "ms": time.Millisecond, "s": time.Second, "min": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
}

// parseSetting reads a time as SHOW gives it, of a setting that counts in milliseconds: 1min, 90s, 0.
func parseSetting(text string) (time.Duration, error) {
	unit := strings.TrimLeft(text, "0123456789")
	n, err := strconv.ParseInt(strings.TrimSuffix(text, unit), 10, 32) // As wide as in the server.
	one, known := settingUnits[unit]
	if err != nil || !known {
		return 0, fmt.Errorf("%q is no time", text)
	}
	return time.Duration(n) * one, nil
}
