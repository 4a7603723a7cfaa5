package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// noteSchemas keeps the schemas that are written as mappings, as JSON text in the order of their keys: viper lower-cases
// keys, and Go's maps forget the order. root is a document's node that yaml has decoded before, so it holds no cycles;
// path is where its event types are, or name the variable whose whole text they are.
func (l *loader) noteSchemas(types *yaml.Node, path string) {
	if types = follow(types); types == nil || types.Kind != yaml.SequenceNode {
		return
	}
	for i, item := range types.Content {
		schema := valueOf(follow(item), "schema")
		if schema == nil || schema.Kind == yaml.ScalarNode && schema.ShortTag() != "!!bool" {
			continue
		}
		at := fmt.Sprintf("%s[%d].schema", path, i)
		text, err := nodeJSON(schema)
		if err != nil {
			l.fault(at, "is nothing that JSON can express: %v", err)
			l.schemas[at] = ""
			continue
		}
		l.schemas[at] = string(indentJSON(text))
	}
}

// follow returns what a document or an alias stands for.
func follow(n *yaml.Node) *yaml.Node {
	for n != nil {
		switch {
		case n.Kind == yaml.AliasNode:
			n = n.Alias
		case n.Kind == yaml.DocumentNode && len(n.Content) > 0:
			n = n.Content[0]
		case n.Kind == yaml.DocumentNode:
			return nil
		default:
			return n
		}
	}
	return nil
}

// valueOf returns what a mapping holds under a key, in any case as elsewhere; nil: nothing.
func valueOf(n *yaml.Node, key string) *yaml.Node {
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if strings.EqualFold(n.Content[i].Value, key) {
			return follow(n.Content[i+1])
		}
	}
	return nil
}

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
			key, err := json.Marshal(follow(n.Content[i]).Value)
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
