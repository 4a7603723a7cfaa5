// Package failpoint names the moments at which dying matters, so that a campaign can kill the relay at each of them.
//
//	failpoint.Hit("recorder/after-commit")
//
// Without the build tag failpoints, Hit is empty and inlined away: not a byte of it is in the program, the names neither.
// With the tag, the environment variable FAILPOINT says where the process dies by SIGKILL, at the n-th hit:
//
//	FAILPOINT=recorder/after-commit@3
//	FAILPOINT=sender/after-answer@1:2s   # waits there for two seconds instead, once
//
// All points stand in points.go. To add one, add it there, put the call in the code, and run `make faults`: the campaign
// fails where a point is never reached.
package failpoint
