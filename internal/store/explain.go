package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
)

// ExplainConnect says in plain words why a connection could not be opened, and what to do about it. The text holds no
// password. key is the setting that the URL came from.
func ExplainConnect(err error, key string) (what, mend string) {
	err = telling(err)
	var pg *pgconn.PgError
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	text := err.Error()
	switch {
	case errors.Is(err, ErrSimpleProtocol):
		return ErrSimpleProtocol.Error(), fmt.Sprintf(SimpleProtocolMend, key)
	case errors.As(err, &pg):
		return explainRefusal(pg, key)
	case errors.Is(err, pgconn.ErrReadOnlyConnection), errors.Is(err, pgconn.ErrStandbyConnection):
		return "the server takes no writes, and target_session_attrs asks for one that does",
			"point " + key + " at the primary, or `ALTER DATABASE … SET default_transaction_read_only = off`"
	case errors.Is(err, pgconn.ErrReadWriteConnection), errors.Is(err, pgconn.ErrPrimaryConnection):
		return "the server takes writes, and target_session_attrs asks for one that does not",
			"set target_session_attrs=read-write in " + key
	case errors.As(err, &dns):
		return "no host of the name " + dns.Name, "correct the host in " + key
	case errors.As(err, &cert):
		return "the server's certificate is not trusted", "set sslrootcert in " + key + ", or sslmode to what the server offers"
	case strings.Contains(text, refusedTLS):
		return "the server does not speak TLS", "set sslmode=disable in " + key + ", or switch ssl on in the server"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nothing listens there: connection refused", "start the server, or correct host and port in " + key
	case errors.Is(err, fs.ErrNotExist):
		return "no server on this machine: there is no socket", "start the server, or name its host and port in " + key
	case errors.Is(err, context.DeadlineExceeded), strings.Contains(text, "timeout"):
		return "the server does not answer", "correct host and port in " + key + ", or open the firewall"
	}
	return strings.Join(strings.Fields(text), " "), "start the server, or correct " + key
}

// explainRefusal is ExplainConnect for what the server itself said.
func explainRefusal(pg *pgconn.PgError, key string) (what, mend string) {
	switch pg.Code {
	case "28P01":
		return "the server refuses the password", "correct user and password in " + key
	case "28000":
		return pg.Message, "correct the user in " + key + ", or allow it in the server's pg_hba.conf"
	case "3D000":
		return pg.Message, "create the database, or name another in " + key
	case "42501":
		return pg.Message, "`GRANT CONNECT ON DATABASE … TO …`, or name another database or user in " + key
	case "53300":
		if strings.Contains(pg.Message, "max_wal_senders") {
			return pg.Message, "raise max_wal_senders and restart the server, or end a replication connection nobody uses"
		}
		return "the server has no free connection", "raise max_connections, or close connections nobody uses"
	case "57P03":
		return "the server is starting up or shutting down", "try again in a moment"
	}
	return pg.Message + " (SQLSTATE " + pg.Code + ")", "see what the server says; " + key + " names it"
}

// refusedTLS is how pgconn says that a server answered, and has no TLS.
const refusedTLS = "server refused TLS connection"

// telling finds the error that tells most among those of a connection, which has one for each address and way that was
// tried: with sslmode=prefer, the default, the first is of TLS wherever the server has none.
func telling(err error) error {
	var refused *pgconn.ConnectError
	if !errors.As(err, &refused) {
		return err
	}
	tried, ok := refused.Unwrap().(interface{ Unwrap() []error })
	if !ok {
		return refused.Unwrap()
	}
	best, most := err, -1
	for _, e := range tried.Unwrap() {
		if n := tells(e); n >= most { // Of those that tell as much the last: the server that was asked last is as good as any.
			best, most = e, n
		}
	}
	return best
}

// tells ranks errors by how far the connection came.
func tells(err error) int {
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg), errors.Is(err, pgconn.ErrReadOnlyConnection), errors.Is(err, pgconn.ErrReadWriteConnection),
		errors.Is(err, pgconn.ErrPrimaryConnection), errors.Is(err, pgconn.ErrStandbyConnection):
		return 2
	case strings.Contains(err.Error(), refusedTLS):
		return 0
	}
	return 1
}
