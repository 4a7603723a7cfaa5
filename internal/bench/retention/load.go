package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

const (
	days          = 30
	users         = 100_000
	subscriptions = 10
	eventType     = "order.updated"

	// payload is 200 bytes, about what a small event has.
	payload = `{"order":"2b7f5c1e-8a55-4b0e-9c3d-1f0a6e7d9b42","status":"shipped","carrier":"Example Mail",` +
		`"items":[{"sku":"A-1001","count":2},{"sku":"B-2002","count":1}],"total":{"amount":"29.90","currency":"EUR"}}`
)

// history is the events of 30 days, evenly spread, in the order in which a host app wrote them; each was
// delivered to one of the subscriptions, and one of a hundred was rejected.
type history struct {
	count int
	begin time.Time // The start of a day.
}

// upTo is how many events there are before the n-th day.
func (h history) upTo(n int) int { return (h.count*n + days - 1) / days }

// day is the n-th day of the history, from 0.
func (h history) day(n int) time.Time { return h.begin.AddDate(0, 0, n) }

// event is one line of the history, with its delivery and its attempt.
type event struct {
	id, delivery, subscription uuid.UUID
	at                         time.Time
	user, url, status          string
	code                       int32
}

func (h history) event(n int) event {
	high, low := bits.Mul64(uint64(n), days*24*uint64(time.Hour/time.Microsecond))
	since, _ := bits.Div64(high, low, uint64(h.count))
	e := event{at: h.begin.Add(time.Duration(since) * time.Microsecond)}
	e.user = userID(n)
	which := n * 31 % subscriptions
	e.subscription = subscriptionID(which)
	e.url = subscriptionURL(which)
	e.status, e.code = "accepted", 200
	if n%100 == 0 {
		e.status, e.code = "rejected", 404
	}
	var rest [24]byte
	for i := range 3 {
		binary.BigEndian.PutUint64(rest[8*i:], scatter(uint64(n*3+i)))
	}
	e.id = stamped(e.at, 7, rest[:10])
	e.delivery = stamped(e.at, 8, rest[10:20])
	return e
}

// scatter is a number that looks random: SplitMix64.
func scatter(n uint64) uint64 {
	n = (n + 1) * 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}

// stamped is a UUID that begins with a time.
func stamped(at time.Time, version byte, rest []byte) (id uuid.UUID) {
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(at.UnixMilli()))
	copy(id[:], ms[2:])
	copy(id[6:], rest)
	id[6] = id[6]&0x0f | version<<4
	id[8] = id[8]&0x3f | 0x80
	return id
}

func userID(n int) string { return strconv.Itoa(n * 7919 % users) }

func subscriptionID(n int) uuid.UUID { return uuid.UUID{6: 0x70, 8: 0x80, 15: byte(n)} }

func subscriptionURL(n int) string { return fmt.Sprintf("https://s%d.example.com/hooks", n) }

// load writes rows from to to of the history into tables that are empty, frozen, so that nothing is left for VACUUM.
func (h history) load(ctx context.Context, url string, from, to int, into tables) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, t := range into {
		group.Go(func() error {
			conn, err := pgx.Connect(ctx, url)
			if err != nil {
				return fmt.Errorf("load %s: %w", t.name, err)
			}
			defer conn.Close(context.WithoutCancel(ctx))
			return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
				if _, err := tx.Exec(ctx, "TRUNCATE "+t.name); err != nil {
					return fmt.Errorf("load %s: %w", t.name, err)
				}
				return h.copy(ctx, conn, t, from, to, "FORMAT binary, FREEZE")
			})
		})
	}
	return group.Wait()
}

// tables are where rows are copied to.
type tables []table

// table is one of them, and how an event's row in it is written.
type table struct {
	name, columns string
	row           func(*row, *event)
}

// copy writes rows from to to of the history into a table.
func (h history) copy(ctx context.Context, conn *pgx.Conn, t table, from, to int, options string) error {
	read, write := io.Pipe()
	go func() {
		out := bufio.NewWriterSize(write, 64<<10)
		_, err := out.WriteString("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00")
		var r row
		for n := from; n < to && err == nil; n++ {
			e := h.event(n)
			r.begin()
			t.row(&r, &e)
			_, err = out.Write(r.end())
		}
		if err == nil {
			_, err = out.WriteString("\xff\xff")
		}
		if err == nil {
			err = out.Flush()
		}
		write.CloseWithError(err)
	}()
	_, err := conn.PgConn().CopyFrom(ctx, read, fmt.Sprintf("COPY %s (%s) FROM STDIN (%s)", t.name, t.columns, options))
	read.Close()
	if err != nil {
		return fmt.Errorf("copy into %s: %w", t.name, err)
	}
	return nil
}

// row is a row in the binary format of COPY.
type row struct {
	bytes  []byte
	fields uint16
}

func (r *row) begin() { r.bytes, r.fields = append(r.bytes[:0], 0, 0), 0 }

func (r *row) end() []byte {
	binary.BigEndian.PutUint16(r.bytes, r.fields)
	return r.bytes
}

func (r *row) field(size int) {
	r.fields++
	r.bytes = binary.BigEndian.AppendUint32(r.bytes, uint32(size))
}

func (r *row) uuid(v uuid.UUID) {
	r.field(len(v))
	r.bytes = append(r.bytes, v[:]...)
}

func (r *row) text(v string) {
	r.field(len(v))
	r.bytes = append(r.bytes, v...)
}

func (r *row) int(v int32) {
	r.field(4)
	r.bytes = binary.BigEndian.AppendUint32(r.bytes, uint32(v))
}

// epoch is where Postgres counts from.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func (r *row) time(v time.Time) {
	r.field(8)
	r.bytes = binary.BigEndian.AppendUint64(r.bytes, uint64(v.Sub(epoch).Microseconds()))
}

// append copies the first n rows of a history into a table that is in use.
func (db *database) append(ctx context.Context, h history, t table, n int) error {
	conn, err := pgx.Connect(ctx, db.url)
	if err != nil {
		return fmt.Errorf("write %s: %w", t.name, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return h.copy(ctx, conn, t, 0, n, "FORMAT binary")
}
