package relay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pglogrepl"
)

// relation is a published table as the stream describes it: which column stands where. The server describes a table
// before its first row and whenever it has changed.
type relation struct {
	schema, table string
	column        map[string]int
}

// wantedColumns are the columns of our tables that the stream must hold.
var wantedColumns = map[string][]string{
	"events":               {"id", "type", "tenant", "user_id", "payload", "created_at"},
	"subscription_changes": {"id", "subscription_id", "subscription"},
}

// newRelation reads a description. One of ours that lacks a column is an error.
func newRelation(m *pglogrepl.RelationMessage) (*relation, error) {
	r := &relation{schema: m.Namespace, table: m.RelationName, column: make(map[string]int)}
	for i, c := range m.Columns {
		r.column[c.Name] = i
	}
	if r.schema != "outbox" {
		return r, nil
	}
	for _, name := range wantedColumns[r.table] {
		if _, ok := r.column[name]; !ok {
			return nil, fmt.Errorf("the stream holds no column %s of outbox.%s: restore the column, or drop the publication's column list",
				name, r.table)
		}
	}
	return r, nil
}

var errShortRelation = errors.New("the table's description is cut short")

// decodeRelation reads a Relation message: int32 relation, schema and table, the replica identity, int16 columns, and of
// each its flags, name, int32 type and int32 modifier. pglogrepl's reader panics where one is cut short.
func decodeRelation(wal []byte) (*pglogrepl.RelationMessage, error) {
	if len(wal) < 5 {
		return nil, errShortRelation
	}
	m := &pglogrepl.RelationMessage{RelationID: binary.BigEndian.Uint32(wal[1:])}
	rest, ok := wal[5:], true
	text := func() (s string) {
		before, after, found := bytes.Cut(rest, []byte{0})
		rest, ok = after, ok && found
		return string(before)
	}
	m.Namespace, m.RelationName = text(), text()
	if !ok || len(rest) < 3 {
		return nil, errShortRelation
	}
	n := int(binary.BigEndian.Uint16(rest[1:]))
	rest = rest[3:]
	for range n {
		if len(rest) < 1 {
			return nil, errShortRelation
		}
		rest = rest[1:]
		name := text()
		if !ok || len(rest) < 8 {
			return nil, errShortRelation
		}
		rest = rest[8:]
		m.Columns = append(m.Columns, &pglogrepl.RelationMessageColumn{Name: name})
	}
	return m, nil
}

// tuple is a row whose values lie in the connection's read buffer: valid until the next message is read.
type tuple struct {
	rel    *relation
	values [][]byte // nil: NULL
}

var errShortTuple = errors.New("the row is cut short")

// decodeInsert reads an Insert message: int32 relation, 'N', then the row (PostgreSQL documentation, "Logical
// Replication Message Formats"). It does what pglogrepl.Parse does, without copying the values.
func decodeInsert(wal []byte, relations map[uint32]*relation, t *tuple) error {
	if len(wal) < 8 || wal[5] != 'N' {
		return errShortTuple
	}
	rel := relations[binary.BigEndian.Uint32(wal[1:])]
	if rel == nil {
		return fmt.Errorf("row of a table that was not described: %d", binary.BigEndian.Uint32(wal[1:]))
	}
	t.rel = rel
	n := int(binary.BigEndian.Uint16(wal[6:]))
	t.values = t.values[:0]
	rest := wal[8:]
	for range n {
		if len(rest) < 1 {
			return errShortTuple
		}
		kind := rest[0]
		rest = rest[1:]
		switch kind {
		case pglogrepl.TupleDataTypeNull:
			t.values = append(t.values, nil)
		case pglogrepl.TupleDataTypeText:
			if len(rest) < 4 {
				return errShortTuple
			}
			size := int(binary.BigEndian.Uint32(rest))
			rest = rest[4:]
			if len(rest) < size {
				return errShortTuple
			}
			t.values = append(t.values, rest[:size:size])
			rest = rest[size:]
		default:
			return fmt.Errorf("value of kind %q, which an insert never has", kind)
		}
	}
	return nil
}

// get returns a column's value; nil: NULL.
func (t *tuple) get(column string) ([]byte, error) {
	i, ok := t.rel.column[column]
	if !ok || i >= len(t.values) {
		return nil, fmt.Errorf("table %s.%s has no column %s", t.rel.schema, t.rel.table, column)
	}
	return t.values[i], nil
}

// row is a row of outbox.events as it stands in the read buffer.
type eventRow struct {
	id        uuid.UUID
	typ       string
	tenant    string
	userID    *string
	payload   []byte // In the read buffer.
	createdAt time.Time
	trace     string // The header traceparent; empty: none.
}

// decodeEvent reads a row of outbox.events.
func decodeEvent(t *tuple) (eventRow, error) {
	var row eventRow
	var values [6][]byte
	for i, column := range wantedColumns["events"] {
		v, err := t.get(column)
		if err != nil {
			return row, err
		}
		values[i] = v
	}
	var err error
	if row.id, err = uuid.ParseBytes(values[0]); err != nil {
		return row, fmt.Errorf("id: %w", err)
	}
	if row.createdAt, err = parseTime(values[5]); err != nil {
		return row, fmt.Errorf("created_at: %w", err)
	}
	row.typ, row.tenant, row.payload = string(values[1]), string(values[2]), values[4]
	if values[3] != nil {
		user := string(values[3])
		row.userID = &user
	}
	if i, ok := t.rel.column["traceparent"]; ok && i < len(t.values) { // Not in a schema of the first version.
		row.trace = traceparent(string(t.values[i]))
	}
	return row, nil
}

// parseTime reads a timestamptz as the server writes it under DateStyle ISO and TimeZone UTC.
func parseTime(text []byte) (time.Time, error) {
	return time.Parse("2006-01-02 15:04:05.999999Z07", string(text))
}

// changeRow is a row of outbox.subscription_changes.
type changeRow struct {
	id             int64
	subscriptionID uuid.UUID
	subscription   *subscription // nil: it was removed.
}

func decodeChange(t *tuple) (changeRow, error) {
	var row changeRow
	id, err := t.get("id")
	if err != nil {
		return row, err
	}
	if row.id, err = strconv.ParseInt(string(id), 10, 64); err != nil {
		return row, fmt.Errorf("id: %w", err)
	}
	subscriptionID, err := t.get("subscription_id")
	if err != nil {
		return row, err
	}
	if row.subscriptionID, err = uuid.ParseBytes(subscriptionID); err != nil {
		return row, fmt.Errorf("subscription_id: %w", err)
	}
	text, err := t.get("subscription")
	if err != nil || text == nil {
		return row, err
	}
	row.subscription, err = parseSubscription(text)
	return row, err
}
