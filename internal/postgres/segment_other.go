//go:build unix && !linux && !(darwin && !ios)

package postgres

// removeSegment does nothing: Go has no call for it here. The next server on the same data folder would take it over.
func removeSegment(string) error { return nil }
