package config

import (
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// environmentPrefix begins the name of every variable that sets a key.
const environmentPrefix = "RELAY_"

// otherVariables begin with the prefix and set no key: where to find Postgres for the demo, what tests set.
var otherVariables = []string{"RELAY_POSTGRES_", "RELAY_TEST_", "RELAY_E2E_", "RELAY_BENCH_"}

// key is a key of relay.yaml that the environment can set.
type key struct {
	path  string
	field reflect.Value
}

// keys returns every key below a struct, in order.
func keys(v reflect.Value, path string) []key {
	var all []key
	for i := range v.NumField() {
		at := join(path, keyOf(v.Type().Field(i)))
		if v.Field(i).Kind() == reflect.Struct {
			all = append(all, keys(v.Field(i), at)...)
			continue
		}
		all = append(all, key{at, v.Field(i)})
	}
	return all
}

// Variable returns the name of the environment variable that sets a key: RELAY_DATABASE_URL for database.url.
func Variable(path string) string {
	return environmentPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// Keys returns the path of every key, in the order of Config.
func Keys() []string {
	var paths []string
	for _, k := range keys(reflect.ValueOf(Default()).Elem(), "") {
		paths = append(paths, k.path)
	}
	return paths
}

// readEnvironment lays variables over what the file says. One that is set but empty counts: RELAY_HTTP_LISTEN= switches
// the server off.
func (l *loader) readEnvironment() {
	known := make(map[string]key)
	var names []string
	for _, k := range keys(reflect.ValueOf(l.cfg).Elem(), "") {
		name := Variable(k.path)
		known[name] = k
		names = append(names, name)
		_ = l.v.BindEnv(viperKey(k.path), name) // Fails only without a key.
	}
	l.v.AllowEmptyEnv(true)
	environ := os.Environ()
	slices.Sort(environ)
	for _, pair := range environ {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, environmentPrefix) || isOther(name) {
			continue
		}
		k, ok := known[name]
		if !ok {
			l.fault(name, "no key has this name; the nearest is %s", nearest(name, names))
			continue
		}
		l.setFromText(k.field, name, l.v.GetString(viperKey(k.path)))
	}
}

func viperKey(path string) string { return strings.ReplaceAll(path, ".", delimiter) }

func isOther(name string) bool {
	return slices.ContainsFunc(otherVariables, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// setFromText sets a field from a variable: lists are split at commas, lists of entries and maps are YAML or JSON.
func (l *loader) setFromText(field reflect.Value, name, text string) {
	switch field.Interface().(type) {
	case string, Body:
		field.SetString(text)
		return
	case time.Duration:
		l.setDuration(field, name, text)
		return
	case []string:
		l.setList(field, name, splitList(text))
		return
	case bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			l.fault(name, "must be true or false, not %q", text)
			return
		}
		field.SetBool(b)
		return
	}
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		l.fault(name, "is neither YAML nor JSON: %s", yamlError(err))
		return
	}
	if value == nil {
		value = []any{}
	}
	if _, ok := field.Interface().([]EventType); ok {
		var node yaml.Node
		if yaml.Unmarshal([]byte(text), &node) == nil {
			l.noteSchemas(&node, name)
		}
	}
	l.set(field, name, value)
}

func splitList(text string) []any {
	items := []any{}
	for item := range strings.SplitSeq(strings.Trim(text, "[] "), ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// nearest returns the name that takes the fewest edits to reach.
func nearest(name string, names []string) string {
	best, least := "", len(name)+100
	for _, other := range names {
		if d := distance(name, other); d < least {
			best, least = other, d
		}
	}
	return best
}

// distance is the Levenshtein distance of two names.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
