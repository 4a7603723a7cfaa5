package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// keyOf returns a field's key: URL is url, RequireHTTPS require_https.
func keyOf(f reflect.StructField) string {
	words := wordEnd.ReplaceAllString(f.Name, "${1}_${2}")
	return strings.ToLower(words)
}

var wordEnd = regexp.MustCompile(`([a-z0-9])([A-Z])`)

// fieldsOf returns the fields of a struct that are keys, in order.
func fieldsOf(t reflect.Type) []reflect.StructField {
	return slices.DeleteFunc(reflect.VisibleFields(t), func(f reflect.StructField) bool { return !f.IsExported() })
}

// fill lays values over a struct.
func (l *loader) fill(dst reflect.Value, path string, values map[string]any) {
	for _, f := range fieldsOf(dst.Type()) {
		key := keyOf(f)
		if value := values[key]; value != nil { // "key:" with nothing behind it keeps the default.
			l.set(dst.FieldByIndex(f.Index), join(path, key), value)
		}
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
	if key == "" {
		key = `""`
	}
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
		field.SetString(l.text(path, value))
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

// text returns a value that is text; another is a fault.
func (l *loader) text(path string, value any) string {
	text, ok := value.(string)
	if !ok {
		l.fault(path, "must be text, not %s", kindOf(value))
	}
	return text
}

var (
	plainNumber  = regexp.MustCompile(`^\+?[0-9]*\.?[0-9]+$`)
	durationText = regexp.MustCompile(`^[-+]?(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`)
)

func (l *loader) setDuration(field reflect.Value, path string, value any) {
	text, ok := value.(string)
	d, err := time.ParseDuration(text)
	switch {
	case !ok:
		l.fault(path, "must be a duration, such as 15s, not %s", kindOf(value))
	case err == nil:
		field.SetInt(int64(d))
	case plainNumber.MatchString(text):
		l.fault(path, "%s has no unit: write %ss, or with ms, m or h", text, text)
	case durationText.MatchString(text):
		l.fault(path, "%s is too long: there is room for 292 years", text)
	default:
		l.fault(path, "%q is not a duration: write 15s, 1m30s or 720h", text)
	}
}

func (l *loader) setList(field reflect.Value, path string, value any) {
	items, ok := value.([]any)
	if !ok {
		l.fault(path, "must be a list, such as [a, b], not %s", kindOf(value))
		return
	}
	list := make([]string, len(items))
	for i, item := range items {
		list[i] = l.text(fmt.Sprintf("%s[%d]", path, i), item)
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
		out[key] = l.text(join(path, key), values[key])
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

// setSchema takes JSON text as it is, and what was written as a mapping as JSON.
func (l *loader) setSchema(field reflect.Value, path string, value any) {
	switch v := value.(type) {
	case JSONSchema:
		field.SetString(string(v))
	case string:
		field.SetString(v)
	default:
		l.fault(path, "must be a JSON Schema: a mapping, or JSON text, not %s", kindOf(value))
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
	case int, uint64:
		return fmt.Sprint(v)
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return "text"
}
