package relay

import "math"

const (
	// ownFiles is what the relay keeps for itself: connections to Postgres, the console's visitors, the log.
	ownFiles = 64
	// fewestConnections are made to receivers however few files there are.
	fewestConnections = 16
)

// connectionsWithin returns how many connections to receivers a limit on open files allows. Each takes two: while one is made, the
// name server's answer for the other family of addresses, or the connection to the other address, is waited for too.
func connectionsWithin(files uint64) int {
	if files > math.MaxInt32 {
		return math.MaxInt32
	}
	return max(fewestConnections, (int(files)-ownFiles)/2)
}

// warnOfFewFiles tells the operator where the limit on open files allows less than the configuration: requests that don't hang have
// half of the connections, so that those that do never have all.
func (r *Relay) warnOfFewFiles() {
	if allowed := r.dispatch.limit; allowed < r.cfg.Delivery.Concurrency {
		r.log.Warn("the limit on open files allows fewer requests in flight than delivery.concurrency; raise it (ulimit -n, LimitNOFILE)",
			"files", openFilesLimit(), "in_flight", allowed, "concurrency", r.cfg.Delivery.Concurrency)
	}
}
