//go:build !failpoints

package failpoint

// Hit does nothing in a program that is built without the tag failpoints.
func Hit(string) {}
