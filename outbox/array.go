package outbox

import "strings"

// arrayLiteral builds the text form of a one-dimensional Postgres array: {"a","b",NULL}.
type arrayLiteral struct {
	text strings.Builder
}

// add appends an element, quoted: a backslash before each quote and backslash is all the escaping there is.
func (a *arrayLiteral) add(s string) {
	a.next()
	a.text.WriteByte('"')
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

// addOrNull appends an element, or NULL where it is empty.
func (a *arrayLiteral) addOrNull(s string) {
	if s != "" {
		a.add(s)
		return
	}
	a.next()
	a.text.WriteString("NULL")
}

func (a *arrayLiteral) next() {
	if a.text.Len() == 0 {
		a.text.WriteByte('{')
	} else {
		a.text.WriteByte(',')
	}
}

// end closes the array, which must have an element, and returns it.
func (a *arrayLiteral) end() string {
	a.text.WriteByte('}')
	return a.text.String()
}
