package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Open opens a pool for a command. It does not connect yet, so the address may be that of a server that is down.
//
// Statements are described, not prepared, unless the URL names a default_query_exec_mode: a transaction pooler forgets
// prepared ones. Settle says what is set on a connection. No error contains anything of the URL.
func Open(ctx context.Context, url string) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, explainURL(err)
	}
	prepare(cfg.ConnConfig)
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open the database: %w", err)
	}
	return pool, nil
}

// Connect makes one connection, with the settings of Open. What the URL may say of pools it passes over.
func Connect(ctx context.Context, url string) (*pgx.Conn, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, explainURL(err)
	}
	prepare(cfg.ConnConfig)
	conn, err := pgx.ConnectConfig(ctx, cfg.ConnConfig)
	if err != nil {
		return nil, fmt.Errorf("connect to the database: %w", err)
	}
	return conn, nil
}

// ReplicationConfig reads a URL for a replication connection to one database. What a URL may say of pools and statements
// concerns no such connection.
func ReplicationConfig(url string) (*pgconn.Config, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, explainURL(err)
	}
	Settle(&cfg.ConnConfig.Config)
	cfg.ConnConfig.RuntimeParams["replication"] = "database"
	return &cfg.ConnConfig.Config, nil
}

// ConnectReplication opens a replication connection to one database, as the relay's stream uses it.
func ConnectReplication(ctx context.Context, url string) (*pgconn.PgConn, error) {
	cfg, err := ReplicationConfig(url)
	if err != nil {
		return nil, err
	}
	conn, err := pgconn.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open a replication connection: %w", err)
	}
	return conn, nil
}

func prepare(cfg *pgx.ConnConfig) {
	// pgx's own default: whoever names it in the URL wants the same as who names nothing.
	if cfg.DefaultQueryExecMode == pgx.QueryExecModeCacheStatement {
		cfg.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	SettleConn(cfg)
}

// ErrURL says that a database URL cannot be read.
var ErrURL = errors.New("not a usable Postgres URL: write postgres://user:password@host:5432/database")

// explainURL keeps of pgx's error only what cannot hold a password: the name of a file that the URL refers to.
func explainURL(err error) error {
	var file *fs.PathError
	if errors.As(err, &file) {
		return fmt.Errorf("%w (cannot read %s: %w)", ErrURL, file.Path, file.Err)
	}
	return ErrURL
}
