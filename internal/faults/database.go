package main

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// connect opens a connection without detours.
func (r *rig) connect(ctx context.Context) (*pgx.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return pgx.Connect(ctx, r.url)
}

// exec runs one statement.
func (r *rig) exec(ctx context.Context, sql string, args ...any) error {
	return r.with(ctx, func(conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, sql, args...)
		return err
	})
}

// query reads one row.
func (r *rig) query(ctx context.Context, sql string, args []any, into ...any) error {
	return r.with(ctx, func(conn *pgx.Conn) error { return conn.QueryRow(ctx, sql, args...).Scan(into...) })
}

// disconnect gives up the connection that with keeps: it leads to where nobody is to be connected, or nobody is any more.
func (r *rig) disconnect() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn != nil {
		_ = r.conn.Close(context.Background()) // Nothing is lost with it.
		r.conn = nil
	}
}

// with lends a connection that is kept, and made anew after an error. The campaign's other goroutines wait.
func (r *rig) with(ctx context.Context, do func(*pgx.Conn) error) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn == nil {
		if r.conn, err = r.connect(ctx); err != nil {
			r.conn = nil
			return err
		}
	}
	if err = do(r.conn); err != nil {
		_ = r.conn.Close(context.WithoutCancel(ctx))
		r.conn = nil
	}
	return err
}
