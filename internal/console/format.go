package console

import (
	"fmt"
	"html"
	"html/template"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/outboxrelay/relay/outbox"
)

// functions are what templates call.
var functions = template.FuncMap{
	"static":    func(file string) string { return "/static/" + staticVersion + "/" + file },
	"stamp":     stamp,
	"iso":       func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
	"millis":    millis,
	"number":    func(n any) string { return number(toInt64(n)) },
	"bytes":     bytesText,
	"percent":   percent,
	"host":      func(text string) string { host, _ := splitURL(text); return host },
	"rest":      func(text string) string { _, rest := splitURL(text); return rest },
	"breakable": breakable,
	"user":      userPath,
	"plural":    func(n int, one, many string) string { return plural(n == 1, one, many) },
	"phrase":    statusPhrase,
	"deref":     func(s *string) string { return derefOr(s, "") },
	"join":      strings.Join,
	"gone":      func(ago time.Duration) bool { return ago > relayGone },
	"seconds":   durationText,
	"prose":     prose,
}

const (
	stampFormat = "2 Jan 2006, 15:04:05 UTC"
	// stampISO keeps what Postgres does, so that a script can show fractions.
	stampISO = "2006-01-02T15:04:05.000000Z"
)

// stamp is a point in time: in UTC, until a script puts it into the viewer's zone.
func stamp(at any) template.HTML {
	var t time.Time
	switch at := at.(type) {
	case time.Time:
		t = at
	case *time.Time:
		if at == nil {
			return "–"
		}
		t = *at
	}
	t = t.UTC()
	return template.HTML(`<time datetime="` + t.Format(stampISO) + `">` + t.Format(stampFormat) + `</time>`) //nolint:gosec // Digits and names of months.
}

// prose is a text in which commands stand between backticks.
func prose(text string) template.HTML {
	var b strings.Builder
	for i, part := range strings.Split(text, "`") {
		if part = html.EscapeString(part); i%2 == 1 {
			part = "<code>" + part + "</code>"
		}
		b.WriteString(part)
	}
	return template.HTML(b.String()) //nolint:gosec // Escaped.
}

// millis says a number of milliseconds.
func millis(ms int) string { return durationText(time.Duration(ms) * time.Millisecond) }

// durationText says a duration with two or three figures, in one piece.
func durationText(d time.Duration) string {
	switch {
	case d < time.Millisecond && d > 0:
		return strconv.FormatFloat(float64(d)/float64(time.Millisecond), 'g', 2, 64) + "\u00a0ms"
	case d < time.Second:
		return strconv.FormatInt(d.Milliseconds(), 10) + "\u00a0ms"
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', -1, 64)[:min(4, len(strconv.FormatFloat(d.Seconds(), 'f', -1, 64)))] + "\u00a0s"
	case d < 2*time.Minute:
		return strconv.Itoa(int(d.Seconds())) + "\u00a0s"
	case d < 2*time.Hour:
		return strconv.Itoa(int(d.Minutes())) + "\u00a0min"
	case d < 48*time.Hour:
		return strconv.Itoa(int(d.Hours())) + "\u00a0h"
	}
	return strconv.Itoa(int(d.Hours()/24)) + "\u00a0days"
}

// number groups the digits of a number by thousands.
func number[N int | int64](n N) string {
	digits := strconv.FormatInt(int64(n), 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

func toInt64(n any) int64 {
	if small, ok := n.(int); ok {
		return int64(small)
	}
	large, _ := n.(int64)
	return large
}

func bytesText(n int64) string {
	const step = 1024
	if n < step {
		return fmt.Sprintf("%d B", n)
	}
	size, unit := float64(n), 0
	for size >= step && unit < 4 {
		size, unit = size/step, unit+1
	}
	return fmt.Sprintf("%.3g %s", size, []string{"B", "KiB", "MiB", "GiB", "TiB"}[unit])
}

// percent is a part of a whole; never 100 % or 0 % of something that is not quite so.
func percent(part, whole int64) string {
	switch {
	case whole <= 0:
		return "–"
	case part == whole:
		return "100 %"
	case part == 0:
		return "0 %"
	}
	share := float64(part) / float64(whole) * 100
	return strconv.FormatFloat(min(max(share, 0.1), 99.9), 'f', 1, 64) + " %"
}

// splitURL parts a URL into host and the rest, which a page can show with less weight.
func splitURL(text string) (host, rest string) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return text, ""
	}
	host = u.Host
	if u.Scheme == "http" {
		host = "http://" + host
	}
	_, after, _ := strings.Cut(text, "://")
	return host, strings.TrimPrefix(after, u.Host)
}

// breakable lets a browser end a line where people would: before what parts a URL or an event type.
func breakable(text string) template.HTML {
	return template.HTML(partsOfURL.ReplaceAllString(html.EscapeString(text), "<wbr>$0")) //nolint:gosec // Escaped.
}

// partsOfURL are the marks that part the rest of a URL, or a long name, as HTML has it.
var partsOfURL = regexp.MustCompile(`/+|[?._]|&amp;`)

// userPath is the page of a user. What a path would lose is put into the query.
func userPath(id string) string {
	if strings.Trim(id, "./") != id || strings.Contains(id, "/") || id == "" {
		return "/users?id=" + url.QueryEscape(id)
	}
	return "/users/" + url.PathEscape(id)
}

func plural(single bool, one, many string) string {
	if single {
		return one
	}
	return many
}

// statusPhrase says what a status means.
func statusPhrase(s outbox.Status) string {
	switch s {
	case outbox.StatusPending:
		return "Not sent yet, or on its way"
	case outbox.StatusRetrying:
		return "Could not be reached; another attempt comes"
	case outbox.StatusAccepted:
		return "The receiver took it"
	case outbox.StatusRejected:
		return "The receiver answered otherwise; not tried again"
	case outbox.StatusFailed:
		return "Could not be reached, at any attempt"
	case outbox.StatusCancelled:
		return "Its webhook was removed or switched off before it was done"
	}
	return string(s)
}

func derefOr(s *string, otherwise string) string {
	if s == nil {
		return otherwise
	}
	return *s
}
