package outbox

import "strings"

// arrayLiteral builds the text form of a one-dimensional Postgres array: {"a","b"}. Elements are quoted always,
// so that none can be taken for NULL.
type arrayLiteral struct {
	text strings.Builder
}

// add appends an element, quoted: a backslash before each quote and backslash is all the escaping there is.
func (a *arrayLiteral) add(s string) {
	if a.text.Len() == 0 {
		a.text.WriteString(`{"`)
	} else {
		a.text.WriteString(`,"`)
	}
	for {
		i := strings.IndexAny(s, `"\`)
		if i < 0 {
			break
		}
		a.text.WriteString(s[:i])
		a.text.WriteByte('\\')
		a.text.WriteByte(s[i])
		s = s[i+1:]
	}
	a.text.WriteString(s)
	a.text.WriteByte('"')
}

// end closes the array, which must have an element, and returns it.
func (a *arrayLiteral) end() string {
	a.text.WriteByte('}')
	return a.text.String()
}
