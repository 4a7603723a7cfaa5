// Package postgres finds the server binaries of PostgreSQL, or fetches them, and runs private, throw-away clusters with
// them: for the demo, for benchmarks and for tests.
//
// A cluster lives in a folder of its own and listens on loopback alone. Close removes all of it. Where that can't happen,
// because this process was killed, the server ends by itself, and the next Start removes what it left behind.
package postgres
