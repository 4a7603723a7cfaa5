package config

import (
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// environmentPrefix begins the name of every variable that sets a key.
const environmentPrefix = "RELAY_"

// key is a key of relay.yaml that the environment can set.
type key struct {
	path  string
	field reflect.Value
}

// keys returns every key below a struct, in order.
func keys(v reflect.Value, path string) []key {
	var all []key
	for _, f := range fieldsOf(v.Type()) {
		at, field := join(path, keyOf(f)), v.FieldByIndex(f.Index)
		if field.Kind() == reflect.Struct {
			all = append(all, keys(field, at)...)
			continue
		}
		all = append(all, key{at, field})
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
	for _, k := range keys(reflect.ValueOf(l.cfg).Elem(), "") {
		name := Variable(k.path)
		known[name] = k
		_ = l.v.BindEnv(viperKey(k.path), name) // Fails only without a key.
	}
	l.v.AllowEmptyEnv(true)
	environ := os.Environ()
	slices.Sort(environ)
	for _, pair := range environ {
		name, value, _ := strings.Cut(pair, "=")
		if k, ok := known[name]; ok {
			l.from[k.path] = name
			l.setFromText(k.field, k.path, l.v.GetString(viperKey(k.path)))
			continue
		}
		switch wrong, what := judge(name, value); {
		case wrong:
			l.fault(name, "%s", what)
		case what != "":
			l.cfg.warnings = append(l.cfg.warnings, Fault{Path: name, What: what}.String())
		}
	}
}

func viperKey(path string) string { return strings.ReplaceAll(path, ".", delimiter) }

// setFromText sets a field from a variable: lists are split at commas, lists of entries and maps are YAML or JSON. White
// space around a value is nobody's intention, but the indentation of YAML.
func (l *loader) setFromText(field reflect.Value, path, text string) {
	switch field.Interface().(type) {
	case string, Body, time.Duration:
		l.set(field, path, strings.TrimSpace(text))
		return
	case []string:
		l.setList(field, path, splitList(text))
		return
	case bool:
		b, err := strconv.ParseBool(strings.TrimSpace(text))
		if err != nil {
			l.fault(path, "must be true or false, not %q", text)
			return
		}
		field.SetBool(b)
		return
	}
	root, err := parse([]byte(text), "is neither YAML nor JSON")
	if err != nil {
		l.fault(path, "%v", err)
		return
	}
	var value any
	if root != nil {
		value = l.value(root, field.Type(), path)
	}
	if value == nil && field.Kind() == reflect.Slice {
		value = []any{}
	}
	l.set(field, path, value)
}

// splitList splits at commas; [a, b] and ["a", "b"] are lists too. No item of any list has a comma or a quotation mark.
func splitList(text string) []any {
	items := []any{}
	for item := range strings.SplitSeq(strings.Trim(strings.TrimSpace(text), "[]"), ",") {
		if item = unquote(strings.TrimSpace(item)); item != "" {
			items = append(items, item)
		}
	}
	return items
}

func unquote(text string) string {
	if n := len(text); n >= 2 && (text[0] == '"' || text[0] == '\'') && text[n-1] == text[0] {
		return text[1 : n-1]
	}
	return text
}
