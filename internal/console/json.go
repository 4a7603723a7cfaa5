package console

import (
	"bytes"
	"encoding/json"
	"html"
	"html/template"
	"strings"
)

// maxPretty is how much JSON is set out in lines and colours; beyond, it is shown as it is.
const maxPretty = 128 << 10

// prettyJSON sets JSON text out in lines, with its parts marked for the style sheet. What is no JSON, such as the beginning
// of some, is shown as it is.
func prettyJSON(text string) template.HTML {
	if len(text) > maxPretty {
		return template.HTML(html.EscapeString(text)) //nolint:gosec // Escaped.
	}
	var indented bytes.Buffer
	if json.Indent(&indented, []byte(text), "", "  ") != nil {
		return template.HTML(html.EscapeString(text)) //nolint:gosec // Escaped.
	}
	return markJSON(indented.String())
}

// markJSON marks strings, names, numbers and words of valid JSON text. All of the text is escaped.
func markJSON(text string) template.HTML {
	var out strings.Builder
	mark := func(class, part string) {
		out.WriteString(`<span class="j-` + class + `">` + html.EscapeString(part) + `</span>`)
	}
	for len(text) > 0 {
		switch c := text[0]; {
		case c == '"':
			end := stringEnd(text)
			class := "s"
			if strings.HasPrefix(text[end:], ":") {
				class = "k"
			}
			mark(class, text[:end])
			text = text[end:]
		case c == '-' || c >= '0' && c <= '9':
			end := wordEnd(text)
			mark("n", text[:end])
			text = text[end:]
		case c >= 'a' && c <= 'z':
			end := wordEnd(text)
			mark("w", text[:end])
			text = text[end:]
		default:
			out.WriteString(html.EscapeString(text[:1]))
			text = text[1:]
		}
	}
	return template.HTML(out.String()) //nolint:gosec // Escaped part by part.
}

// stringEnd is where the string ends that text begins with.
func stringEnd(text string) int {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(text)
}

func wordEnd(text string) int {
	if end := strings.IndexAny(text, " ,\n]}:\""); end > 0 {
		return end
	}
	return len(text)
}
