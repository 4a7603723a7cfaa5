package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

// DefaultFile is read where Load is given no path and the file is there.
const DefaultFile = "relay.yaml"

const delimiter = "\x00"

// Fault is one thing that is wrong with the configuration.
type Fault struct {
	Path string // delivery.timeout, subscriptions[1].url; empty: the file as a whole.
	What string // What is wrong and what to write instead.
}

// String returns the fault in one line.
func (f Fault) String() string {
	if f.Path == "" {
		return f.What
	}
	return f.Path + ": " + f.What
}

// Error holds everything that is wrong with a configuration.
type Error struct {
	Faults []Fault
}

// Error returns a line for each fault.
func (e *Error) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// Load reads path and the environment over the defaults. An empty path means relay.yaml in the current folder, where
// there is one. The environment wins: RELAY_ and the key's path in capitals with _ for dots.
//
// Everything that is wrong is returned at once, as an *Error: an unknown key, a bad value, an unreadable file, an unknown
// RELAY_ variable (a typing mistake would pass silently otherwise).
func Load(path string) (*Config, error) {
	l := &loader{
		cfg: Default(),
		// An own instance, and a delimiter that no key holds: viper would split header names at dots. It lower-cases keys,
		// which is all the same to header names; event types and samples are therefore values, never keys.
		v:       viper.NewWithOptions(viper.KeyDelimiter(delimiter)),
		schemas: make(map[string]string),
	}
	l.readFile(path)
	l.readEnvironment()
	if len(l.faults) == 0 {
		l.faults = append(l.faults, l.cfg.Validate()...)
	}
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
	return &Error{Faults: []Fault{{"database.url", "missing: set it in relay.yaml, or RELAY_DATABASE_URL=postgres://user:password@host:5432/database"}}}
}

// loader gathers faults while it fills a Config.
type loader struct {
	cfg     *Config
	v       *viper.Viper
	schemas map[string]string // Those written as mappings, as JSON, by path.
	faults  []Fault
}

func (l *loader) fault(path, format string, args ...any) {
	l.faults = append(l.faults, Fault{path, fmt.Sprintf(format, args...)})
}

// readFile lays a file's values over the configuration.
func (l *loader) readFile(path string) {
	given := path != ""
	if !given {
		path = DefaultFile
	}
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) && !given {
		return
	}
	if err != nil {
		var pathError *os.PathError
		if errors.As(err, &pathError) {
			err = pathError.Err
		}
		l.fault("", "%s cannot be read: %v", path, err)
		return
	}
	// The syntax first, so that its error names the line.
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		l.fault("", "%s is not YAML: %s", path, yamlError(err))
		return
	}
	if len(root.Content) == 0 {
		return
	}
	if root.Content[0].Kind != yaml.MappingNode {
		l.fault("", "%s must hold keys and values, such as `database:`", path)
		return
	}
	l.v.SetConfigType("yaml")
	if err := l.v.ReadConfig(bytes.NewReader(text)); err != nil {
		l.fault("", "%s is not usable: %s", path, yamlError(err))
		return
	}
	l.noteSchemas(valueOf(root.Content[0], "event_types"), "event_types")
	l.fill(reflect.ValueOf(l.cfg).Elem(), "", l.v.AllSettings())
}

// yamlError shortens an error of the YAML library: "yaml: line 3: …" and lists of them.
func yamlError(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.ReplaceAll(text, "unmarshal errors:\n  ", "")
	return strings.Join(strings.Fields(text), " ")
}

// keyOf returns a field's key: URL is url, RequireHTTPS require_https.
func keyOf(f reflect.StructField) string {
	words := wordEnd.ReplaceAllString(f.Name, "${1}_${2}")
	return strings.ToLower(words)
}

var wordEnd = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// fill lays values over a struct; unknown keys are faults.
func (l *loader) fill(dst reflect.Value, path string, values map[string]any) {
	known := make(map[string]reflect.Value)
	var names []string
	for i := range dst.NumField() {
		key := keyOf(dst.Type().Field(i))
		known[key] = dst.Field(i)
		names = append(names, key)
	}
	for _, key := range sortedKeys(values) {
		at := join(path, key)
		field, ok := known[key]
		if !ok {
			l.fault(at, "unknown key; known here: %s", strings.Join(names, ", "))
			continue
		}
		if values[key] == nil {
			continue // "key:" with nothing behind it keeps the default.
		}
		l.set(field, at, values[key])
	}
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// set puts a value from YAML or the environment into a field.
func (l *loader) set(field reflect.Value, path string, value any) {
	switch field.Interface().(type) {
	case time.Duration:
		l.setDuration(field, path, value)
		return
	case []string:
		l.setList(field, path, value)
		return
	case map[string]string:
		l.setMap(field, path, value)
		return
	case JSONSchema:
		l.setSchema(field, path, value)
		return
	}
	switch field.Kind() {
	case reflect.Struct:
		values, ok := value.(map[string]any)
		if !ok {
			l.fault(path, "must hold keys and values, not %s", kindOf(value))
			return
		}
		l.fill(field, path, values)
	case reflect.Slice:
		l.setItems(field, path, value)
	case reflect.String:
		l.setString(field, path, value)
	case reflect.Bool:
		b, ok := value.(bool)
		if !ok {
			l.fault(path, "must be true or false, not %s", kindOf(value))
			return
		}
		field.SetBool(b)
	default:
		l.setNumber(field, path, value)
	}
}

func (l *loader) setDuration(field reflect.Value, path string, value any) {
	text := fmt.Sprint(value)
	if text == "0" {
		field.SetInt(0)
		return
	}
	if _, err := strconv.ParseFloat(text, 64); err == nil {
		l.fault(path, "%s has no unit: write %ss, or with ms, m or h", text, text)
		return
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		l.fault(path, "%q is not a duration: write 15s, 1m30s or 720h", text)
		return
	}
	field.SetInt(int64(d))
}

func (l *loader) setList(field reflect.Value, path string, value any) {
	items, ok := value.([]any)
	if !ok {
		l.fault(path, "must be a list, such as [a, b], not %s", kindOf(value))
		return
	}
	list := make([]string, 0, len(items))
	for i, item := range items {
		switch item.(type) {
		case string, int, float64, bool:
			list = append(list, fmt.Sprint(item))
		default:
			l.fault(fmt.Sprintf("%s[%d]", path, i), "must be text, not %s", kindOf(item))
		}
	}
	field.Set(reflect.ValueOf(list))
}

func (l *loader) setMap(field reflect.Value, path string, value any) {
	values, ok := value.(map[string]any)
	if !ok {
		l.fault(path, "must hold names and values, not %s", kindOf(value))
		return
	}
	out := make(map[string]string, len(values))
	for _, key := range sortedKeys(values) {
		switch v := values[key].(type) {
		case string, int, float64, bool:
			out[key] = fmt.Sprint(v)
		default:
			l.fault(join(path, key), "must be text, not %s", kindOf(v))
		}
	}
	field.Set(reflect.ValueOf(out))
}

// setItems fills a list of structs.
func (l *loader) setItems(field reflect.Value, path string, value any) {
	items, ok := value.([]any)
	if !ok {
		l.fault(path, "must be a list of entries that begin with -, not %s", kindOf(value))
		return
	}
	list := reflect.MakeSlice(field.Type(), len(items), len(items))
	for i, item := range items {
		at := fmt.Sprintf("%s[%d]", path, i)
		values, ok := item.(map[string]any)
		if !ok {
			l.fault(at, "must hold keys and values, not %s", kindOf(item))
			continue
		}
		l.fill(list.Index(i), at, values)
	}
	field.Set(list)
}

// setSchema takes JSON text as it is, and what was written as a mapping as noteSchemas kept it.
func (l *loader) setSchema(field reflect.Value, path string, value any) {
	if text, ok := l.schemas[path]; ok {
		field.SetString(text)
		return
	}
	text, ok := value.(string)
	if !ok {
		l.fault(path, "must be a JSON Schema: a mapping, or JSON text, not %s", kindOf(value))
		return
	}
	field.SetString(text)
}

func (l *loader) setString(field reflect.Value, path string, value any) {
	switch v := value.(type) {
	case string:
		field.SetString(v)
	case int, float64, bool:
		field.SetString(fmt.Sprint(v))
	default:
		l.fault(path, "must be text, not %s", kindOf(value))
	}
}

func (l *loader) setNumber(field reflect.Value, path string, value any) {
	switch v := value.(type) {
	case int:
		if field.CanFloat() {
			field.SetFloat(float64(v))
		} else {
			field.SetInt(int64(v))
		}
		return
	case float64:
		if field.CanFloat() {
			field.SetFloat(v)
			return
		}
	}
	if field.CanFloat() {
		l.fault(path, "must be a number, not %s", kindOf(value))
	} else {
		l.fault(path, "must be a whole number, not %s", kindOf(value))
	}
}

// kindOf names a value for people, without showing what may be a secret.
func kindOf(value any) string {
	switch v := value.(type) {
	case nil:
		return "nothing"
	case map[string]any, map[any]any:
		return "keys and values"
	case []any:
		return "a list"
	case bool:
		return strconv.FormatBool(v)
	case int:
		return strconv.Itoa(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return "text"
}
