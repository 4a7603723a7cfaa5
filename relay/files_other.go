//go:build !unix

package relay

import "math"

// openFilesLimit leaves other systems to their own limits.
func openFilesLimit() uint64 { return math.MaxUint64 }
