package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// parse returns what a YAML text holds; nil: nothing. not begins the error where it is no YAML.
func parse(text []byte, not string) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var root, second yaml.Node
	err := d.Decode(&root)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err == nil {
		if err = d.Decode(&second); err == nil {
			return nil, fmt.Errorf("holds a second document, from line %d: only one can be read", second.Line)
		}
	}
	if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %s", not, syntaxError(text, err))
	}
	return follow(&root), nil
}

// syntaxError names the line. The library counts lines from 0 and leaves out a 0: what has no line, and has one when a
// line is put before it, is on the first.
func syntaxError(text []byte, err error) string {
	const line = "line "
	what := yamlError(err)
	if strings.HasPrefix(what, line) {
		return what
	}
	var moved yaml.Node
	if err := yaml.Unmarshal(append([]byte("#\n"), text...), &moved); err != nil && strings.HasPrefix(yamlError(err), line) {
		return line + "1: " + what
	}
	return what
}

// yamlError shortens an error of the YAML library: "yaml: line 3: …" and lists of them.
func yamlError(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	text = strings.ReplaceAll(text, "unmarshal errors:\n  ", "")
	return strings.Join(strings.Fields(text), " ")
}

// follow returns what a document or an alias stands for.
func follow(n *yaml.Node) *yaml.Node {
	switch n.Kind {
	case yaml.AliasNode:
		return n.Alias
	case yaml.DocumentNode:
		return n.Content[0]
	}
	return n
}

// rewritten are the tags of what YAML reads as something else than text: 0042 as 34, 1.10 as 1.1.
var rewritten = []string{"!!int", "!!float", "!!bool", "!!timestamp"}

// ambiguous says whether a number begins with a 0 that YAML 1.1 takes for octal, as the library does, and YAML 1.2 for decimal.
func ambiguous(number string) bool {
	digits := strings.TrimLeft(number, "+-")
	return len(digits) > 1 && digits[0] == '0' && strings.Trim(digits, "0123456789_") == ""
}

// value turns a node into what viper keeps: keys in lower case, text as it is written. t is the type of the field that it
// is for; unknown keys and keys that are there twice are faults. Cycles end with the type.
func (l *loader) value(n *yaml.Node, t reflect.Type, path string) any {
	n = follow(n)
	switch kind := t.Kind(); {
	case t == reflect.TypeFor[JSONSchema]():
		return l.schema(n, path)
	case n.Kind == yaml.ScalarNode && (kind == reflect.String || t == reflect.TypeFor[time.Duration]()):
		if slices.Contains(rewritten, n.ShortTag()) {
			return n.Value
		}
	case n.ShortTag() == "!!int" && ambiguous(n.Value):
		l.fault(path, "%s is octal to some programs and decimal to others: leave out the leading 0", n.Value)
		return nil
	case n.Kind == yaml.SequenceNode && kind == reflect.Slice:
		items := make([]any, len(n.Content))
		for i, item := range n.Content {
			items[i] = l.value(item, t.Elem(), fmt.Sprintf("%s[%d]", path, i))
		}
		return items
	case n.Kind == yaml.MappingNode && (kind == reflect.Struct || kind == reflect.Map):
		m := mapping{loader: l, t: t, path: path, values: make(map[string]any), seen: make(map[*yaml.Node]bool)}
		m.read(n)
		return m.values
	}
	return l.decode(n, path)
}

// decode leaves a node to YAML's own rules; nil: it can't be read.
func (l *loader) decode(n *yaml.Node, path string) any {
	var value any
	if err := n.Decode(&value); err != nil {
		l.fault(path, "is not usable: %s", yamlError(err))
		return nil
	}
	return value
}

// mapping reads the keys of one struct or map.
type mapping struct {
	*loader
	t      reflect.Type
	path   string
	values map[string]any
	seen   map[*yaml.Node]bool
}

// read takes over a mapping's keys, and those of what it merges (<<). What is there already wins.
func (m mapping) read(n *yaml.Node) {
	if m.seen[n] {
		return
	}
	m.seen[n] = true
	own := make(map[string]*yaml.Node)
	var merged []*yaml.Node
	for pair := range slices.Chunk(n.Content, 2) {
		key, item := follow(pair[0]), pair[1]
		if key.ShortTag() == "!!merge" {
			merged = append(merged, item)
			continue
		}
		name, ok := m.name(key)
		if !ok {
			continue
		}
		if first := own[name]; first != nil {
			m.fault(join(m.path, name), "is there twice, %s", places(first, key))
			continue
		}
		own[name] = key
		m.take(name, item)
	}
	for _, n := range merged {
		m.merge(n)
	}
}

// name returns a key's name.
func (m mapping) name(key *yaml.Node) (string, bool) {
	if key.Kind != yaml.ScalarNode {
		m.fault(join(m.path, "?"), "a list or a mapping is no key, at line %d", key.Line)
		return "", false
	}
	if key.ShortTag() == "!!null" {
		m.fault(join(m.path, "~"), "null is no key, at line %d", key.Line)
		return "", false
	}
	return strings.ToLower(key.Value), true
}

// places says where a key is there twice.
func places(a, b *yaml.Node) string {
	text := ""
	if a.Value != b.Value {
		text = fmt.Sprintf("as %s and %s, ", a.Value, b.Value)
	}
	if a.Line == b.Line {
		return fmt.Sprintf("%sat line %d", text, a.Line)
	}
	return fmt.Sprintf("%sat lines %d and %d", text, a.Line, b.Line)
}

func (m mapping) take(name string, item *yaml.Node) {
	if _, ok := m.values[name]; ok {
		return
	}
	at := join(m.path, name)
	if m.t.Kind() == reflect.Map {
		m.values[name] = m.value(item, m.t.Elem(), at)
		return
	}
	var known []string
	for _, f := range fieldsOf(m.t) {
		if keyOf(f) == name {
			m.values[name] = m.value(item, f.Type, at)
			return
		}
		known = append(known, keyOf(f))
	}
	m.fault(at, "unknown key; known here: %s", strings.Join(known, ", "))
}

// merge takes over the keys of a mapping, or of each in a list.
func (m mapping) merge(n *yaml.Node) {
	switch n = follow(n); {
	case n.Kind == yaml.MappingNode:
		m.read(n)
	case n.Kind == yaml.SequenceNode && !m.seen[n]:
		m.seen[n] = true
		for _, item := range n.Content {
			m.merge(item)
		}
	case n.Kind == yaml.ScalarNode:
		m.fault(join(m.path, "<<"), "takes over the keys of a mapping, and this is none")
	}
}
