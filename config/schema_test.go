package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const schemaAsMapping = `
event_types:
  - type: user.invited
    sample: '{"userName": "ada", "plan": {"seats": 3}}'
    schema: &user
      type: object
      required: [userName]
      additionalProperties: false
      properties:
        userName: {type: string, minLength: 1}
        plan: {$ref: '#/$defs/Plan'}
      $defs:
        Plan:
          type: object
          properties: {seats: {type: integer, minimum: 1}, since: {enum: [2020-01-01]}}
  - type: user.removed
    sample: '{"userName": "ada"}'
    schema: *user
`

const schemaAsText = `{
  "type": "object",
  "required": [
    "userName"
  ],
  "additionalProperties": false,
  "properties": {
    "userName": {
      "type": "string",
      "minLength": 1
    },
    "plan": {
      "$ref": "#/$defs/Plan"
    }
  },
  "$defs": {
    "Plan": {
      "type": "object",
      "properties": {
        "seats": {
          "type": "integer",
          "minimum": 1
        },
        "since": {
          "enum": [
            "2020-01-01"
          ]
        }
      }
    }
  }
}`

func TestASchemaMayBeAMapping(t *testing.T) {
	loaded, err := Load(write(t, schemaAsMapping))
	require.NoError(t, err)
	for _, eventType := range loaded.EventTypes { // The second has an alias.
		require.Equal(t, splitLines(schemaAsText), splitLines(string(eventType.Schema)), "case and order of the keys are kept")
	}
}

func TestASchemaByEnvironment(t *testing.T) {
	t.Chdir(t.TempDir())
	t.Setenv("RELAY_EVENT_TYPES", `[{"type": "a", "sample": "{\"minLength\": 1}", "schema": {"required": ["minLength"], "minProperties": 1}}]`)
	loaded, err := Load("")
	require.NoError(t, err)
	require.JSONEq(t, `{"required": ["minLength"], "minProperties": 1}`, string(loaded.EventTypes[0].Schema))

	t.Setenv("RELAY_EVENT_TYPES", `[{"type": "a", "sample": "{}", "schema": {"required": ["minLength"]}}]`)
	_, err = Load("")
	require.EqualError(t, err, "event_types[0].sample (RELAY_EVENT_TYPES): does not satisfy its schema: missing property 'minLength'")
}

func TestASchemaMayTakeOverKeys(t *testing.T) {
	loaded, err := Load(write(t, `
event_types:
  - {type: a, sample: '{}', schema: &a {type: object, maxProperties: 5}}
  - {type: b, sample: '{}', schema: {<<: *a, minProperties: 0}}
  - {type: c, sample: '1', schema: true}
  - {type: d, sample: '1', schema: }
`))
	require.NoError(t, err)
	require.JSONEq(t, `{"type": "object", "maxProperties": 5, "minProperties": 0}`, string(loaded.EventTypes[1].Schema))
	require.Equal(t, JSONSchema("true"), loaded.EventTypes[2].Schema)
	require.Empty(t, loaded.EventTypes[3].Schema)
}

func TestBadSchemas(t *testing.T) {
	const sample = `event_types: [{type: a, sample: '{"user": {"age": "3", "a/b": 1}}', schema: `
	tests := []struct{ name, text, want string }{
		{"no JSON", sample + `'{'}]`, "event_types[0].schema: is not JSON: unexpected end of JSON input, at byte 1"},
		{"no schema", sample + `'{"properties": {"user": {"type": "strng"}}}'}]`,
			"event_types[0].schema: is not a JSON Schema: at /properties/user/type: 'anyOf' failed (at /properties/user/type: value must be one of 'array', 'boolean', 'integer', 'null', 'number', 'object', 'string'; at /properties/user/type: got string, want array)"},
		{"a number", sample + `5}]`, "event_types[0].schema: must be a JSON Schema: a mapping, or JSON text, not 5"},
		{"a list", sample + `[a]}]`, "event_types[0].schema: is not a JSON Schema: got array, want boolean or object"},
		{"infinite", sample + `{maximum: .inf}}]`, "event_types[0].schema: is nothing that JSON can express: json: unsupported value: +Inf"},
		{"elsewhere", sample + `{$ref: 'https://example.com/user.json'}}]`,
			"event_types[0].schema: refers to https://example.com/user.json: only what stands in the schema itself can be referred to"},
		{"a file", sample + `{$ref: 'file:///etc/passwd'}}]`,
			"event_types[0].schema: refers to file:///etc/passwd: only what stands in the schema itself can be referred to"},
		{"pattern", sample + `{pattern: '('}}]`, "event_types[0].schema: is not a JSON Schema: at /pattern: '(' is not valid regex: error parsing regexp: missing closing ): `(`"},
		{"the sample", sample + `{properties: {user: {properties: {age: {type: integer}, a/b: {minimum: 2}}}}, required: [id]}}]`,
			"event_types[0].sample: does not satisfy its schema: missing property 'id'\n" +
				"event_types[0].sample: does not satisfy its schema: at /user/age: got string, want integer\n" +
				"event_types[0].sample: does not satisfy its schema: at /user/a~1b: minimum: got 1, want 2"},
		{"alternatives", sample + `{anyOf: [{required: [id]}, {type: 'null'}]}}]`,
			"event_types[0].sample: does not satisfy its schema: 'anyOf' failed (missing property 'id'; got object, want null)"},
		{"nowhere", sample + `{$ref: '#/$defs/User'}}]`, "event_types[0].schema: json-pointer in \"#/$defs/User\" not found"},
		{"dialect", sample + `{$schema: 'https://example.com/dialect'}}]`,
			"event_types[0].schema: refers to https://example.com/dialect: only what stands in the schema itself can be referred to"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Load(write(t, tt.text))
			require.Error(t, err)
			require.ElementsMatch(t, splitLines(tt.want), splitLines(err.Error()))
		})
	}
}

func splitLines(s string) []string {
	var lines []string
	for line := range strings.SplitSeq(s, "\n") {
		lines = append(lines, line)
	}
	return lines
}
