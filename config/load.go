package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/viper"
)

// DefaultFile is read where Load is given no path and the file is there.
const DefaultFile = "relay.yaml"

const delimiter = "\x00"

// Load reads path and the environment over the defaults. An empty path means relay.yaml in the current folder, where
// there is one. The environment wins: RELAY_ and the key's path in capitals with _ for dots.
//
// Everything that is wrong is returned at once, as an *Error: an unknown key, a bad value, an unreadable file, a RELAY_
// variable that looks like a key's and is none (a typing mistake would pass silently otherwise). Other RELAY_ variables
// are somebody else's: see Config.Warnings.
func Load(path string) (*Config, error) {
	l := &loader{
		cfg: Default(),
		// An own instance, and a delimiter that no key holds: viper would split header names at dots. It lower-cases keys,
		// which is all the same to header names; event types and samples are therefore values, never keys.
		v:    viper.NewWithOptions(viper.KeyDelimiter(delimiter)),
		from: make(map[string]string),
	}
	l.readFile(path)
	l.readEnvironment()
	l.validate()
	if len(l.faults) > 0 {
		return nil, &Error{Faults: l.faults}
	}
	return l.cfg, nil
}

// RequireDatabase returns an *Error where no database is configured.
func (c *Config) RequireDatabase() error {
	if c.Database.URL != "" {
		return nil
	}
	return &Error{Faults: []Fault{{
		Path: "database.url",
		What: "missing: set it in relay.yaml, or RELAY_DATABASE_URL=postgres://user:password@host:5432/database",
	}}}
}

// loader gathers faults while it fills a Config.
type loader struct {
	cfg    *Config
	v      *viper.Viper
	from   map[string]string // The variable that set a key, by the key's path.
	faults faults
}

// fault notes the first thing that is wrong with a key: the rest would follow from it.
func (l *loader) fault(path, format string, args ...any) {
	f := Fault{Path: path, Variable: l.variable(path), What: fmt.Sprintf(format, args...)}
	if !slices.ContainsFunc(l.faults, func(g Fault) bool { return g.Path == f.Path && g.Variable == f.Variable }) {
		l.faults = append(l.faults, f)
	}
}

// variable returns the variable that a path's value is from; empty: none.
func (l *loader) variable(path string) string {
	for key, name := range l.from {
		if within(path, key) {
			return name
		}
	}
	return ""
}

// validate adds what is wrong with the values that were read.
func (l *loader) validate() {
	read := l.faults
	for _, f := range l.cfg.Validate() {
		if f.Variable = l.variable(f.Path); !read.hides(f) {
			l.faults = append(l.faults, f)
		}
	}
	// By section; within one, in the order in which they were found.
	slices.SortStableFunc(l.faults, func(a, b Fault) int { return strings.Compare(section(a.Path), section(b.Path)) })
}

func section(path string) string {
	if end := strings.IndexAny(path, ".["); end >= 0 {
		return path[:end]
	}
	return path
}

// readFile lays a file's values over the configuration.
func (l *loader) readFile(path string) {
	given := path != ""
	if !given {
		path = DefaultFile
		if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
			return // A link to nothing is there, and can't be read.
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		var pathError *os.PathError
		if errors.As(err, &pathError) {
			err = pathError.Err
		}
		l.fault("", "%s cannot be read: %v", path, err)
		return
	}
	l.cfg.file = true
	root, err := parse(text, "is not YAML")
	if err != nil {
		l.fault("", "%s %v", path, err)
		return
	}
	if root == nil {
		return
	}
	cfg := reflect.ValueOf(l.cfg).Elem()
	values, ok := l.value(root, cfg.Type(), "").(map[string]any)
	if !ok {
		l.fault("", "%s must hold keys and values, such as `database:`", path)
		return
	}
	_ = l.v.MergeConfigMap(values) // Never fails.
	l.fill(cfg, "", l.v.AllSettings())
}
