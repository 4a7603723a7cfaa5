package config

import (
	"bytes"
	"encoding/json"
	"errors"

	"go.yaml.in/yaml/v3"
)

// schema returns what is written as a mapping as JSON text, in the order of its keys: viper lower-cases keys, and Go's
// maps forget the order. JSON text is returned as it is.
func (l *loader) schema(n *yaml.Node, path string) any {
	value := l.decode(n, path) // Refuses cycles, and keys that are there twice.
	if value == nil || n.Kind == yaml.ScalarNode && n.ShortTag() != "!!bool" {
		return value
	}
	text, err := nodeJSON(n)
	if err != nil {
		l.fault(path, "is nothing that JSON can express: %v", err)
		return nil
	}
	return JSONSchema(indentJSON(text))
}

var errNullKey = errors.New("null is no key")

// nodeJSON writes a node as JSON, its keys in their order.
func nodeJSON(n *yaml.Node) ([]byte, error) {
	n = follow(n)
	var out bytes.Buffer
	switch {
	case n.Kind == yaml.MappingNode && !merges(n):
		out.WriteByte('{')
		for i := 0; i+1 < len(n.Content); i += 2 {
			if i > 0 {
				out.WriteByte(',')
			}
			name := follow(n.Content[i])
			if name.ShortTag() == "!!null" {
				return nil, errNullKey
			}
			key, err := json.Marshal(name.Value)
			if err != nil {
				return nil, err
			}
			value, err := nodeJSON(n.Content[i+1])
			if err != nil {
				return nil, err
			}
			out.Write(append(append(key, ':'), value...))
		}
		out.WriteByte('}')
	case n.Kind == yaml.SequenceNode:
		out.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				out.WriteByte(',')
			}
			value, err := nodeJSON(item)
			if err != nil {
				return nil, err
			}
			out.Write(value)
		}
		out.WriteByte(']')
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!timestamp":
		return json.Marshal(n.Value) // A date in a schema is text.
	default:
		var value any
		if err := n.Decode(&value); err != nil {
			return nil, err
		}
		return json.Marshal(value)
	}
	return out.Bytes(), nil
}

// merges says whether a mapping takes over another's keys (<<), which yaml itself resolves best.
func merges(n *yaml.Node) bool {
	for i := 0; i < len(n.Content); i += 2 {
		if n.Content[i].ShortTag() == "!!merge" {
			return true
		}
	}
	return false
}
