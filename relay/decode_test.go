package relay

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/stretchr/testify/require"
)

func eventsRelation(t testing.TB, columns ...string) *relation {
	t.Helper()
	m := &pglogrepl.RelationMessage{RelationID: 7, Namespace: "outbox", RelationName: "events"}
	for _, name := range columns {
		m.Columns = append(m.Columns, &pglogrepl.RelationMessageColumn{Name: name})
	}
	rel, err := newRelation(m)
	require.NoError(t, err)
	return rel
}

// insertMessage is what the server sends for a row of relation 7; nil: NULL.
func insertMessage(values ...any) []byte {
	b := binary.BigEndian.AppendUint32([]byte{'I'}, 7)
	b = binary.BigEndian.AppendUint16(append(b, 'N'), uint16(len(values)))
	for _, v := range values {
		if v == nil {
			b = append(b, 'n')
			continue
		}
		text := v.(string)
		b = append(binary.BigEndian.AppendUint32(append(b, 't'), uint32(len(text))), text...)
	}
	return b
}

func TestDecodeEventMapsColumnsByName(t *testing.T) {
	rel := eventsRelation(t, "created_at", "extra", "payload", "user_id", "tenant", "type", "id")
	var row tuple
	err := decodeInsert(insertMessage("2026-01-02 03:04:05.678901+00", "x", `{"a": 1}`, nil, "default", "user.invited",
		"01a20937-d599-7c9e-8834-6847acbc5108"), map[uint32]*relation{7: rel}, &row)
	require.NoError(t, err)
	e, err := decodeEvent(&row)
	require.NoError(t, err)
	require.Equal(t, "01a20937-d599-7c9e-8834-6847acbc5108", e.id.String())
	require.Equal(t, "user.invited", e.typ)
	require.Equal(t, "default", e.tenant)
	require.Nil(t, e.userID)
	require.Equal(t, `{"a": 1}`, string(e.payload))
	require.True(t, e.createdAt.Equal(time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)))
}

func TestAMissingColumnIsAnError(t *testing.T) {
	_, err := newRelation(&pglogrepl.RelationMessage{Namespace: "outbox", RelationName: "events",
		Columns: []*pglogrepl.RelationMessageColumn{{Name: "id"}}})
	require.ErrorContains(t, err, "no column type of outbox.events")
	_, err = newRelation(&pglogrepl.RelationMessage{Namespace: "public", RelationName: "events"})
	require.NoError(t, err, "not ours")

	b := newTailerBench()
	b.slot = "billing"
	described := append([]byte("R\x00\x00\x00\x07outbox\x00events\x00d\x00\x01\x00id\x00"), make([]byte, 8)...)
	err = b.decode(t.Context(), described)
	require.ErrorContains(t, err, "the stream holds no column type of outbox.events: restore the column")
	require.ErrorContains(t, err, "run `SELECT pg_drop_replication_slot('billing')`", "for where it is restored already")
}

func TestDecodeInsertAgreesWithPglogrepl(t *testing.T) {
	message := insertMessage("a", nil, "")
	parsed, err := pglogrepl.Parse(message)
	require.NoError(t, err)
	var row tuple
	require.NoError(t, decodeInsert(message, map[uint32]*relation{7: {}}, &row))
	for i, column := range parsed.(*pglogrepl.InsertMessage).Tuple.Columns {
		require.Equal(t, column.DataType == pglogrepl.TupleDataTypeNull, row.values[i] == nil)
		require.Equal(t, string(column.Data), string(row.values[i]))
	}
}

func TestDecodeRelationAgreesWithPglogrepl(t *testing.T) {
	message := relationMessage(7, "outbox", "events", "id", "", "payload")
	m, err := decodeRelation(message)
	require.NoError(t, err)
	parsed, err := pglogrepl.Parse(message)
	require.NoError(t, err)
	want := parsed.(*pglogrepl.RelationMessage)
	require.Equal(t, want.RelationID, m.RelationID)
	require.Equal(t, want.Namespace+"."+want.RelationName, m.Namespace+"."+m.RelationName)
	require.Len(t, m.Columns, len(want.Columns))
	for i := range m.Columns {
		require.Equal(t, want.Columns[i].Name, m.Columns[i].Name)
	}
	for n := range message {
		_, err := decodeRelation(message[:n])
		require.ErrorIs(t, err, errShortRelation)
	}
}

func FuzzDecodeInsert(f *testing.F) {
	whole := insertMessage("01a20937-d599-7c9e-8834-6847acbc5108", "a.b", "t", nil, "1", "2026-01-02 03:04:05+00")
	for n := range len(whole) {
		f.Add(whole[:n])
	}
	f.Add(whole)
	rel := eventsRelation(f, "id", "type", "tenant", "user_id", "payload", "created_at")
	f.Fuzz(func(_ *testing.T, wal []byte) {
		var row tuple
		if decodeInsert(wal, map[uint32]*relation{7: rel}, &row) == nil {
			_, _ = decodeEvent(&row) // An error or a row, never a panic.
		}
	})
}
