package relay

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
)

// relationMessage is what the server sends before the first row of a table.
func relationMessage(id uint32, schema, table string, columns ...string) []byte {
	b := binary.BigEndian.AppendUint32([]byte{'R'}, id)
	b = append(append(append(b, schema...), 0), table...)
	b = binary.BigEndian.AppendUint16(append(b, 0, 'd'), uint16(len(columns)))
	for _, name := range columns {
		b = append(append(append(b, 0), name...), 0)
		b = append(binary.BigEndian.AppendUint32(b, 25), 0xff, 0xff, 0xff, 0xff)
	}
	return b
}

// inStream frames messages as FuzzTailer reads them: the length in two bytes, then the message.
func inStream(messages ...[]byte) (stream []byte) {
	for _, m := range messages {
		stream = append(binary.BigEndian.AppendUint16(stream, uint16(len(m))), m...)
	}
	return stream
}

// xlog is a message of the output plugin as the server wraps it.
func xlog(wal []byte) []byte {
	return append(append([]byte{pglogrepl.XLogDataByteID}, make([]byte, 24)...), wal...)
}

// Whatever the server sends, the tailer goes on or ends the stream with an error; no row ends it.
func FuzzTailer(f *testing.F) {
	begin := xlog(append([]byte{'B'}, make([]byte, 20)...))
	commit := xlog(append([]byte{'C'}, make([]byte, 25)...))
	events := xlog(relationMessage(7, "outbox", "events", wantedColumns["events"]...))
	changes := xlog(relationMessage(8, "outbox", "subscription_changes", wantedColumns["subscription_changes"]...))
	event := xlog(insertMessage("01a20937-d599-7c9e-8834-6847acbc5108", "a.b", "default", nil, "1", "2026-01-02 03:04:05+00"))
	change := insertMessage("1", "01a20937-d599-7c9e-8834-6847acbc5108",
		`{"id": "01a20937-d599-7c9e-8834-6847acbc5108", "tenant": "default", "active": true, "event_types": ["*"]}`, "2026-01-02 03:04:05+00")
	change[4] = 8
	keepalive := append([]byte{pglogrepl.PrimaryKeepaliveMessageByteID}, make([]byte, 17)...)
	whole := inStream(events, begin, event, commit, keepalive, changes, begin, xlog(change), event, commit)
	f.Add(whole)
	for n := 1; n < len(whole); n += 7 {
		f.Add(whole[:n])
	}
	for kind := byte('A'); kind <= 'z'; kind++ {
		f.Add(inStream(events, begin, xlog([]byte{kind}), xlog([]byte{kind, 0, 0, 0, 7, 'N', 0, 1, 'u'}), []byte{kind}, commit))
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		b := newTailerBench()
		b.router.db, b.router.log, b.router.metrics = newFakeDB(), testLog(), testMetrics()
		b.router.record = newRecorder(nil, testLog(), testMetrics(), time.Second)
		b.router.dispatch = &dispatcher{
			limit: 1, laneLimit: 1, newClient: func() *Client { return nil }, room: make(chan struct{}, 1),
			lanes: make(map[uuid.UUID]*lane), stopped: true, // What is routed waits.
		}
		b.router.envelope = func(row eventRow) []byte { return append([]byte(nil), row.payload...) }
		full := errors.New("there is no room")
		b.router.pause = func(context.Context, time.Duration) error { return full }
		for len(stream) >= 2 {
			size := min(int(binary.BigEndian.Uint16(stream)), len(stream)-2)
			data := stream[2 : 2+size : 2+size]
			stream = stream[2+size:]
			inside := b.tx != nil
			err := b.handle(context.Background(), &pgproto3.CopyData{Data: data})
			if err == nil {
				continue
			}
			if inside && len(data) > 25 && data[0] == pglogrepl.XLogDataByteID && data[25] == 'I' {
				require.ErrorIs(t, err, full, "a row ended the stream")
			}
			return
		}
	})
}
