package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// JSONSchema is a JSON Schema as JSON text; empty: there is none. relay.yaml may hold it as a mapping too.
type JSONSchema string

// schemaURL is what a schema is called while it is compiled; it is not shown.
const schemaURL = "relay:///schema"

// validateSchema says whether a schema compiles and the sample satisfies it. The sample is JSON.
func validateSchema(f *faults, at string, t EventType) {
	if t.Schema == "" {
		return
	}
	schema, err := t.Schema.compile()
	if err != nil {
		addSchemaFaults(f, at+".schema", err)
		return
	}
	sample, err := jsonschema.UnmarshalJSON(strings.NewReader(t.Sample))
	if err != nil {
		return // Said already.
	}
	if err := schema.Validate(sample); err != nil {
		addSchemaFaults(f, at+".sample", err)
	}
}

func (s JSONSchema) compile() (*jsonschema.Schema, error) {
	var value json.RawMessage
	if err := json.Unmarshal([]byte(s), &value); err != nil {
		return nil, fmt.Errorf("is not JSON: %s", jsonError(err))
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(s)))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	c.UseLoader(noLoader{})
	if err := c.AddResource(schemaURL, doc); err != nil {
		return nil, err
	}
	return c.Compile(schemaURL)
}

// noLoader refuses references to files and other servers: what a payload may be must not depend on them.
type noLoader struct{}

var errElsewhere = errors.New("only what stands in the schema itself can be referred to")

// Load always fails.
func (noLoader) Load(string) (any, error) { return nil, errElsewhere }

// addSchemaFaults adds a fault for each thing that is wrong, with its place: JSON pointers into the sample or the schema.
func addSchemaFaults(f *faults, path string, err error) {
	var invalid *jsonschema.ValidationError
	var bad *jsonschema.SchemaValidationError
	var load *jsonschema.LoadURLError
	switch {
	case errors.As(err, &load):
		f.add(path, "refers to %s: %v", load.URL, load.Err)
	case errors.As(err, &bad) && errors.As(bad.Err, &invalid):
		addLeaves(f, path, "is not a JSON Schema", invalid)
	case errors.As(err, &invalid):
		addLeaves(f, path, "does not satisfy its schema", invalid)
	default:
		f.add(path, "%s", strings.ReplaceAll(err.Error(), schemaURL, ""))
	}
}

var english = message.NewPrinter(language.English)

// addLeaves descends to what is wrong, and adds a fault for each.
func addLeaves(f *faults, path, what string, e *jsonschema.ValidationError) {
	for _, leaf := range leaves(e) {
		f.add(path, "%s: %s", what, describeLeaf(leaf))
	}
}

// leaves are the errors that are no mere frame of others. Alternatives of which none fits are one.
func leaves(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	switch e.ErrorKind.(type) {
	case *kind.Schema, *kind.Group, *kind.Reference, *kind.AllOf:
		if len(e.Causes) == 0 {
			break
		}
		var all []*jsonschema.ValidationError
		for _, cause := range e.Causes {
			all = append(all, leaves(cause)...)
		}
		return all
	}
	return []*jsonschema.ValidationError{e}
}

func describeLeaf(e *jsonschema.ValidationError) string {
	text := e.ErrorKind.LocalizedString(english)
	if len(e.Causes) > 0 {
		var why []string
		for _, cause := range e.Causes {
			for _, leaf := range leaves(cause) {
				why = append(why, describeLeaf(leaf))
			}
		}
		text += " (" + strings.Join(why, "; ") + ")"
	}
	if len(e.InstanceLocation) == 0 {
		return text
	}
	var place strings.Builder
	for _, step := range e.InstanceLocation {
		place.WriteString("/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(step))
	}
	return "at " + place.String() + ": " + text
}

// indentJSON lays JSON text out for people; text that is none is returned as it is.
func indentJSON(text []byte) []byte {
	var out bytes.Buffer
	if json.Indent(&out, text, "", "  ") != nil {
		return text
	}
	return out.Bytes()
}
