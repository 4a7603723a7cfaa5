package config

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// otherVariables begin with the prefix and set no key: where to find Postgres for the demo, what tests set.
var otherVariables = []string{"RELAY_POSTGRES_", "RELAY_TEST_", "RELAY_E2E_", "RELAY_BENCH_"}

// serviceLink is what Kubernetes sets in every pod for a Service that is called relay or relay-…: RELAY_SERVICE_HOST,
// RELAY_PORT_8080_TCP_ADDR and so on. servicePort is one of them only where its value is a link's: RELAY_PORT=tcp://….
var (
	serviceLink = regexp.MustCompile(`^RELAY(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)
	servicePort = regexp.MustCompile(`^RELAY(_[A-Z0-9_]+)?_PORT=(tcp|udp|sctp)://`)
)

// judge says what to make of a variable that sets no key: whether it is wrong, as it was meant for one, and what to say
// of it; nothing: it is known to be another's.
func judge(name, value string) (wrong bool, what string) {
	// Capitals are all that a slip may have missed.
	upper := strings.ToUpper(name)
	if !strings.HasPrefix(upper, environmentPrefix) || isOther(name) ||
		serviceLink.MatchString(name) || servicePort.MatchString(name+"="+value) {
		return false, ""
	}
	var names []string
	for _, path := range Keys() {
		names = append(names, Variable(path))
	}
	if below := keysBelow(upper); len(below) > 0 {
		return true, "has keys below it, each with a variable of its own: " + strings.Join(below, ", ")
	}
	if near := nearest(upper, names); near != "" {
		return true, "no key has this name; the nearest is " + near
	}
	switch near, exact := nearSection(upper); {
	case exact:
		return true, "no key has this name"
	case near != "":
		return true, "no key has this name; the nearest is " + near
	}
	return false, "no key has this name, so it sets nothing"
}

// keysBelow returns the variables of the keys below one that holds others: of RELAY_DELIVERY_RETRY, for delivery.retry.
func keysBelow(name string) []string {
	var below []string
	for _, path := range Keys() {
		for end, r := range path {
			if r == '.' && Variable(path[:end]) == name {
				below = append(below, Variable(path))
			}
		}
	}
	return below
}

func isOther(name string) bool {
	return slices.ContainsFunc(otherVariables, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// mostEdits is how far a slip may be from what was meant: more would take other programs' names for ours.
const mostEdits = 2

// nearSection returns what a variable's name begins with, or nearly so: RELAY_DELIVERY_… for RELAY_DELIVRY_TIME.
func nearSection(name string) (near string, exact bool) {
	words := strings.Split(name, "_")
	least := mostEdits + 1
	for _, f := range fieldsOf(reflect.TypeFor[Config]()) {
		key := keyOf(f)
		section := Variable(key)
		begin := strings.Join(words[:min(len(words), 1+strings.Count(section, "_"))], "_")
		// A third of the word: every other word of four letters, such as SMTP, is two edits from HTTP.
		if d := distance(begin, section); d < least && d <= len(key)/3 {
			near, least = section, d
			if f.Type.Kind() == reflect.Struct {
				near += "_…"
			}
		}
	}
	return near, least == 0
}

// nearest returns the name that takes the fewest edits to reach; empty: none is near.
func nearest(name string, names []string) string {
	best, least := "", mostEdits+1
	for _, other := range names {
		if d := distance(name, other); d < least {
			best, least = other, d
		}
	}
	return best
}

// distance is the Levenshtein distance of two names.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
