package outbox

// Status is where a delivery stands.
type Status string

// Where a delivery can stand. Pending and retrying ones are still to be sent; the others are final.
const (
	StatusPending   Status = "pending"   // Not attempted yet, or its first attempt is under way.
	StatusRetrying  Status = "retrying"  // Could not be reached; another attempt comes.
	StatusAccepted  Status = "accepted"  // The receiver took it.
	StatusRejected  Status = "rejected"  // The receiver answered otherwise; not tried again.
	StatusFailed    Status = "failed"    // Could not be reached, at any attempt.
	StatusCancelled Status = "cancelled" // Its subscription was removed or switched off before it was done.
)

// ErrorClass says why an attempt got no answer.
type ErrorClass string

// What can go wrong before there is an answer.
const (
	ClassDNS      ErrorClass = "dns"      // The host name has no address.
	ClassConnect  ErrorClass = "connect"  // The connection was refused, or there is no route.
	ClassTLS      ErrorClass = "tls"      // The TLS handshake or the certificate failed.
	ClassTimeout  ErrorClass = "timeout"  // No answer within delivery.timeout.
	ClassReset    ErrorClass = "reset"    // The connection ended before the answer.
	ClassBlocked  ErrorClass = "blocked"  // The address is one that network refuses.
	ClassProtocol ErrorClass = "protocol" // The answer is not HTTP.
	ClassOther    ErrorClass = "other"    // Anything else.
)
