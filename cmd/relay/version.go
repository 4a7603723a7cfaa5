package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version is set by a release build: -ldflags "-X main.version=1.2.3".
var version string

// build says what this program was made from.
type build struct {
	Version string `json:"version"` // dev, where it is no release.
	Commit  string `json:"commit"`  // Empty where unknown; "+changes" at its end where files were changed since.
	Go      string `json:"go"`
	System  string `json:"system"`
}

// thisBuild reads what the linker left. A module version that stands for a commit, not for a release, counts as dev.
func thisBuild() build {
	b := build{Version: version, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	settings := make(map[string]string)
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	if b.Commit = settings["vcs.revision"]; b.Commit != "" && settings["vcs.modified"] == "true" {
		b.Commit += "+changes"
	}
	if release := info.Main.Version; b.Version == "" && strings.HasPrefix(release, "v") && !strings.ContainsAny(release, "-+") {
		b.Version = release
	}
	if b.Version = strings.TrimPrefix(b.Version, "v"); b.Version == "" {
		b.Version = "dev"
	}
	return b
}

// logged is what the log says at the start.
func (b build) logged() []any {
	said := []any{"version", b.Version}
	if b.Commit != "" {
		said = append(said, "commit", b.Commit)
	}
	return append(said, "go", b.Go)
}

// String is what people are shown.
func (b build) String() string {
	if b.Commit == "" {
		b.Commit = "unknown"
	}
	return fmt.Sprintf("relay %s\ncommit %s\n%s %s\n", b.Version, b.Commit, b.Go, b.System)
}

func newVersionCommand(p *program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Say which version this is",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
			if asJSON {
				return json.NewEncoder(p.stdout).Encode(b)
			}
			_, err := fmt.Fprint(p.stdout, b)
			return err
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}
