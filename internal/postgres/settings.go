package postgres

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// settingsName is a file that postgresql.conf includes at its end, so that it wins.
const settingsName = "relay.conf"

// defaultSettings are those of every cluster: ready for many replication slots, small, and quick to start.
var defaultSettings = map[string]string{
	"wal_level":             "logical",
	"max_wal_senders":       "64",
	"max_replication_slots": "64",
	"max_connections":       "300",
	"shared_buffers":        "64MB",
	"timezone":              "UTC",
	"log_timezone":          "UTC",
	"log_line_prefix":       "%m [%p] %a ",
	// Under /dev/shm (the default) a killed server leaves files behind; these go with the data folder.
	"dynamic_shared_memory_type": "mmap",
}

// unsafeSettings are added with FsyncOff. A crash of the server loses nothing by them, a crash of the machine does.
var unsafeSettings = map[string]string{"fsync": "off", "full_page_writes": "off"}

var settingName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_$.]*$`)

// settingsText is the content of the settings file.
func settingsText(settings map[string]string) (string, error) {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if !settingName.MatchString(name) {
			return "", fmt.Errorf("%q is not the name of a setting", name)
		}
		fmt.Fprintf(&b, "%s = '%s'\n", name, escapeSetting.Replace(settings[name]))
	}
	return b.String(), nil
}

var escapeSetting = strings.NewReplacer(`\`, `\\`, `'`, `''`, "\n", `\n`)

// writeSettings puts the settings in place for the next start or reload.
func (c *Cluster) writeSettings() error {
	text, err := settingsText(c.settings)
	if err != nil {
		return err
	}
	path := filepath.Join(c.folder.data(), settingsName)
	next := path + ".new"
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		return err
	}
	if err := c.account.own(next); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// includeSettings makes postgresql.conf read the settings file.
func (c *Cluster) includeSettings() error {
	f, err := os.OpenFile(filepath.Join(c.folder.data(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "\ninclude '%s'\n", settingsName)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
