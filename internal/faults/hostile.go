package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
)

var hostile = &campaign{
	name: "hostile",
	doc:  "hostile receivers, hostile name servers, and addresses that must not be reached: the tests in relay/hostile_test.go, ssrf_test.go and guard_test.go",
	run: func(ctx context.Context, r *rig) error {
		ctx, cancel := context.WithTimeout(ctx, mostTime)
		defer cancel()
		cmd := exec.CommandContext(ctx, "go", "test", "-count=1", "-json", "-run", "^Test(Hostile|SSRF|Guard)", "github.com/outboxrelay/relay/relay")
		out, err := cmd.Output()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			return err
		}
		counts := make(map[string]int)
		for line := range bytes.Lines(out) {
			var e struct{ Action, Test string }
			if json.Unmarshal(line, &e) != nil || e.Test == "" {
				continue
			}
			top, _, sub := strings.Cut(e.Test, "/")
			switch {
			case e.Action == "fail":
				r.problem("%s fails", e.Test)
			case e.Action == "pass" && sub && strings.HasPrefix(top, "TestHostile"):
				counts["hostile"]++
			case e.Action == "pass" && sub:
				counts["addresses"]++
			case e.Action == "pass":
				counts["tests"]++
			}
		}
		if err != nil && len(r.result.Problems) == 0 {
			r.problem("go test: %v", err)
		}
		if counts["tests"] == 0 {
			r.problem("no test ran")
		}
		r.result.Did = "ran " + thousands(counts["tests"]) + " tests: " + thousands(counts["hostile"]) + " hostile receivers and name servers, " +
			thousands(counts["addresses"]) + " cases of addresses"
		return nil
	},
}
