package relay

import "regexp"

// traceparentText is version 00 of the header (W3C Trace Context, section 3.2.2), and what later versions may append.
var traceparentText = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]{0,64})?$`)

// traceparent returns the header's value that an event was stored with, or nothing where that is none: a receiver could
// do nothing with it.
func traceparent(stored string) string {
	if stored == "" || !traceparentText.MatchString(stored) {
		return ""
	}
	return stored
}
