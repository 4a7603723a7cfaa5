package outbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/outboxrelay/relay/internal/pgtest"
	"github.com/outboxrelay/relay/outbox"
)

// What Insert refuses is what Postgres would have refused, and the rest arrives as it was.
func TestInsertAgreesWithPostgres(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	conn := connect(t, pgtest.Migrated(t))
	rapid.Check(t, func(t *rapid.T) {
		event := outbox.Event{
			ID:      uuid.New(),
			Type:    drawType(t),
			Tenant:  drawText(t, "tenant"),
			UserID:  drawText(t, "user_id"),
			Payload: json.RawMessage(drawJSON(t)),
			// Any microsecond that an envelope can express; the first is the zero time.
			CreatedAt: time.UnixMicro(rapid.Int64Range(-62135596800_000000, 253402300799_999999).Draw(t, "created_at")),
		}

		tx, err := conn.Begin(ctx)
		require.NoError(t, err)
		defer tx.Rollback(ctx) //nolint:errcheck // each check leaves the table empty
		_, err = outbox.Insert(ctx, tx, event)
		if errors.As(err, new(*outbox.EventError)) {
			require.Error(t, insertBytes(ctx, tx, event), "Postgres takes what was refused: %v", err)
			return
		}
		require.NoError(t, err)

		rows, err := tx.Query(ctx, selectEvents)
		require.NoError(t, err)
		got, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[row])
		require.NoError(t, err)
		want := row{ID: event.ID, Type: event.Type, Tenant: event.Tenant, Payload: string(event.Payload.(json.RawMessage))}
		if want.Tenant == "" {
			want.Tenant = outbox.DefaultTenant
		}
		if event.UserID != "" {
			want.UserID = &event.UserID
		}
		if !event.CreatedAt.IsZero() {
			require.True(t, event.CreatedAt.Equal(got.CreatedAt), "%v is not %v", got.CreatedAt, event.CreatedAt)
		}
		want.CreatedAt = got.CreatedAt
		require.Equal(t, want, got)
	})
}

// insertBytes has Postgres judge the very bytes of an event, with nothing of ours or of the driver's in between.
func insertBytes(ctx context.Context, tx pgx.Tx, e outbox.Event) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO outbox.events (type, tenant, user_id, payload)
		SELECT convert_from($1, 'UTF8'), convert_from($2, 'UTF8'), convert_from($3, 'UTF8'), convert_from($4, 'UTF8')::json`,
		[]byte(e.Type), []byte(e.Tenant), []byte(e.UserID), []byte(e.Payload.(json.RawMessage)))
	if pgErr := (*pgconn.PgError)(nil); err != nil && !errors.As(err, &pgErr) {
		panic(err) // Postgres was not even asked
	}
	return err
}

func drawType(t *rapid.T) string {
	return rapid.OneOf(
		rapid.StringMatching(`[A-Za-z0-9_-]{1,5}(\.[A-Za-z0-9_-]{1,5}){0,3}`),
		rapid.StringMatching(`[a-c.*_ \n@\[é-]{0,5}`),
	).Draw(t, "type")
}

func drawText(t *rapid.T, label string) string {
	return rapid.OneOf(
		rapid.StringN(0, 20, -1),
		rapid.StringMatching(`(["'\\{},$1; \n\x00é]|NULL){0,8}`),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 4), func(b []byte) string { return string(b) }),
	).Draw(t, label)
}

// drawJSON is JSON text, or very nearly so.
func drawJSON(t *rapid.T) string {
	if rapid.IntRange(0, 2).Draw(t, "scrap") == 0 {
		return rapid.StringMatching(
			`([\[\]{},:" \t\n]|"a"|"\\u00[0-9a-g]0"|"\\[ntu"\\/x]"|-|0|1\.?|e5|\.5|E\+|null|true|fals|é|\x00|\x7f){0,6}`,
		).Draw(t, "payload")
	}
	text, err := json.Marshal(drawValue(t, 3))
	require.NoError(t, err)
	if rapid.Bool().Draw(t, "damage") {
		damage := rapid.OneOf(rapid.SampledFrom([]byte("\x00\x1f\x7f\xc3\xff\"\\")), rapid.Byte())
		text[rapid.IntRange(0, len(text)-1).Draw(t, "at")] = damage.Draw(t, "byte")
	}
	space := rapid.StringMatching(`[ \t\r\n]{0,3}`)
	return space.Draw(t, "before") + string(text) + space.Draw(t, "after")
}

func drawValue(t *rapid.T, depth int) any {
	kinds := 4
	if depth > 0 {
		kinds = 6
	}
	switch rapid.IntRange(0, kinds-1).Draw(t, "kind") {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return rapid.Float64().Draw(t, "number")
	case 3:
		return rapid.String().Draw(t, "string")
	case 4:
		list := make([]any, rapid.IntRange(0, 3).Draw(t, "length"))
		for i := range list {
			list[i] = drawValue(t, depth-1)
		}
		return list
	default:
		object := map[string]any{}
		for range rapid.IntRange(0, 3).Draw(t, "size") {
			object[rapid.String().Draw(t, "key")] = drawValue(t, depth-1)
		}
		return object
	}
}
