package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/internal/store"
	"github.com/outboxrelay/relay/outbox"
)

func TestSubscriptions(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	db := database(t)
	bare, err := store.AddSubscription(ctx, db, store.NewSubscription{URL: "https://example.com", EventTypes: []string{"*"}})
	require.NoError(t, err)
	require.Nil(t, bare.Name)
	require.Equal(t, "default", bare.Tenant)
	require.Empty(t, bare.Headers)
	require.True(t, bare.Active)
	require.False(t, bare.Declared)
	require.Regexp(t, "^whsec_", bare.Secret)
	full, err := store.AddSubscription(ctx, db, store.NewSubscription{
		Tenant: "acme", Name: "crm", URL: "https://example.com", EventTypes: []string{"a", "b.*"}, Secret: secretA, Headers: map[string]string{"x-key": `"é"`},
	})
	require.NoError(t, err)
	require.Equal(t, secretA, full.Secret)
	require.Equal(t, map[string]string{"x-key": `"é"`}, full.Headers)
	// Named as the other's id is: an id wins over names.
	alias, err := store.AddSubscription(ctx, db, store.NewSubscription{Name: bare.ID.String(), URL: "https://b.example.com", EventTypes: []string{"*"}})
	require.NoError(t, err)

	for constraint, bad := range map[string]store.NewSubscription{
		"subscriptions_name_key":          {Tenant: "acme", Name: "crm", URL: "https://example.com", EventTypes: []string{"*"}},
		"subscriptions_url_check":         {URL: "https://u:p@example.com", EventTypes: []string{"*"}},
		"subscriptions_event_types_check": {URL: "https://example.com", EventTypes: []string{}},
		"subscriptions_secret_check":      {URL: "https://example.com", EventTypes: []string{"*"}, Secret: "s3cret"},
		"subscriptions_headers_check":     {URL: "https://example.com", EventTypes: []string{"*"}, Headers: map[string]string{"webhook-id": "1"}},
	} {
		_, err := store.AddSubscription(ctx, db, bad)
		var refused *pgconn.PgError
		require.ErrorAs(t, err, &refused)
		require.Equal(t, constraint, refused.ConstraintName)
		require.NotContains(t, err.Error(), "s3cret")
	}

	find := func(which, tenant string) []uuid.UUID {
		found, err := store.FindSubscriptions(ctx, db, which, tenant)
		require.NoError(t, err)
		return idsOf(found)
	}
	require.Equal(t, []uuid.UUID{full.ID, bare.ID}, find("https://example.com", ""))
	require.Equal(t, []uuid.UUID{full.ID}, find("https://example.com", "acme"))
	require.Equal(t, []uuid.UUID{full.ID}, find("crm", ""))
	require.Empty(t, find("crm", "default"))
	require.Equal(t, []uuid.UUID{bare.ID}, find(bare.ID.String(), ""))
	require.Empty(t, find(bare.ID.String(), "acme"))
	require.Empty(t, find("", ""))
	require.Empty(t, find("%", ""))

	all, err := store.ListSubscriptions(ctx, db, "")
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{full.ID, alias.ID, bare.ID}, idsOf(all), "by tenant and name, the nameless last")
	all, err = store.ListSubscriptions(ctx, db, "acme")
	require.NoError(t, err)
	require.Equal(t, []outbox.Subscription{*full}, all)

	off, err := store.SwitchSubscription(ctx, db, full.ID, false)
	require.NoError(t, err)
	require.False(t, off.Active)
	require.NotNil(t, off.DisabledAt)
	removed, err := store.RemoveSubscription(ctx, db, full.ID)
	require.NoError(t, err)
	require.Equal(t, off, removed)

	for _, gone := range []func() error{
		func() error { _, err := store.RemoveSubscription(ctx, db, full.ID); return err },
		func() error { _, err := store.SwitchSubscription(ctx, db, full.ID, true); return err },
		func() error { _, err := store.RotateSecret(ctx, db, full.ID, "", 0); return err },
	} {
		require.ErrorIs(t, gone(), store.ErrNoSubscription)
	}
}

func idsOf(all []outbox.Subscription) []uuid.UUID {
	var ids []uuid.UUID
	for _, s := range all {
		ids = append(ids, s.ID)
	}
	return ids
}

func TestRotateSecret(t *testing.T) {
	t.Parallel()

	ctx := t.Context()
	db := database(t)
	s, err := store.AddSubscription(ctx, db, store.NewSubscription{URL: "https://example.com", EventTypes: []string{"*"}, Secret: secretA})
	require.NoError(t, err)

	rotated, err := store.RotateSecret(ctx, db, s.ID, secretB, 24*time.Hour)
	require.NoError(t, err)
	require.Equal(t, secretB, rotated.Secret)
	require.Equal(t, secretA, *rotated.PreviousSecret)
	require.Equal(t, 24*time.Hour, rotated.PreviousSecretExpiresAt.Sub(rotated.UpdatedAt))

	rotated, err = store.RotateSecret(ctx, db, s.ID, "", 0)
	require.NoError(t, err)
	require.NotContains(t, []string{secretA, secretB}, rotated.Secret, "made by the database")
	require.Nil(t, rotated.PreviousSecret)
	require.Nil(t, rotated.PreviousSecretExpiresAt)

	_, err = store.RotateSecret(ctx, db, s.ID, "s3cret", time.Hour)
	require.ErrorContains(t, err, "subscriptions_secret_check")
	require.NotContains(t, err.Error(), "s3cret")
}
