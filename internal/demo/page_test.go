//go:build unix

package demo

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/outboxrelay/relay/config"
	"github.com/outboxrelay/relay/outbox"
)

func TestRenderLine(t *testing.T) {
	l := line{text("a "), green("grün"), faint("  end  ")}
	require.Equal(t, "a grün  end", l.render(0, false))
	require.Equal(t, "a \x1b[32mgrün\x1b[0m\x1b[2m  end  \x1b[0m", l.render(0, true))
	require.Equal(t, "a grü", l.render(5, false))
	require.Equal(t, "a", l.render(2, true))
	require.Empty(t, line(nil).render(10, true))
}

func TestPad(t *testing.T) {
	require.Equal(t, "ü  ", left(text("ü"), 3).text)
	require.Equal(t, "  ü", right(text("ü"), 3).text)
	require.Equal(t, "long", left(text("long"), 3).text)
}

// TestFrameFits keeps the screen to what every terminal shows.
func TestFrameFits(t *testing.T) {
	s := testStage(t)
	s.crm.types, s.mailer.types = "user.*", signedUp
	s.url, s.begun = "postgres://postgres@127.0.0.1:31999/demo?sslmode=disable", time.Now()
	s.relay = &config.Config{HTTP: config.HTTP{Listen: "127.0.0.1:41999"}}
	s.seen.counts = map[string]map[outbox.Status]int{
		"crm":    {outbox.StatusAccepted: 1_234_567},
		"mailer": {outbox.StatusRetrying: 42},
	}
	for range latestEvents {
		s.seen.latest = append(s.seen.latest, happening{
			event: uuid.New(), eventType: signedUp, user: "12345", at: time.Now(),
			outcomes: map[string]outcome{
				"crm":    {outbox.StatusAccepted, http.StatusOK, 1},
				"audit":  {outbox.StatusRejected, http.StatusInternalServerError, 1},
				"mailer": {outbox.StatusRetrying, 0, 2},
			},
		})
	}
	s.mailer.down(time.Now().Add(8*time.Second + 400*time.Millisecond))

	lines := s.frame("")
	require.Less(t, len(lines), 32)
	var all strings.Builder
	for _, l := range lines {
		shown := l.render(0, false)
		require.LessOrEqual(t, len([]rune(shown)), 80, shown)
		all.WriteString(shown + "\n")
	}
	require.Contains(t, all.String(), "\n  crm         user.*           answers 200        1,234,567         0         0\n")
	require.Contains(t, all.String(), "\n  mailer      user.signed_up   down, back in 8 s          0         0        42\n")
	require.Contains(t, all.String(), "  user.signed_up  12345  accepted 200   rejected 500   retrying, 2×\n")
}

func TestPageDrawsInPlace(t *testing.T) {
	var out strings.Builder
	p := &page{out: &out, size: func() (int, int) { return 4, 4 }}
	p.draw([]line{{text("first")}, {text("b")}, {text("c")}, {text("not seen")}})
	require.Equal(t, hideCursor+beginFrame+"\r"+"firs\x1b[K\nb\x1b[K\nc\x1b[K\n"+eraseBelow+endFrame, out.String())

	out.Reset()
	p.draw([]line{{text("2")}})
	require.Equal(t, beginFrame+"\r\x1b[3A"+"2\x1b[K\n"+eraseBelow+endFrame, out.String())

	out.Reset()
	p.print(line{text("stays")})
	p.close()
	p.draw([]line{{text("no more")}})
	p.print(line{text("no more")})
	require.Equal(t, "stays\n"+showCursor, out.String())
}

func TestLastLines(t *testing.T) {
	var l lastLines
	for _, s := range strings.Split("abcdefghijklmnop", "") {
		_, err := l.Write([]byte(s + "\n"))
		require.NoError(t, err)
	}
	require.Equal(t, "g\nh\ni\nj\nk\nl\nm\nn\no\np\n", l.String())

	s := &stage{log: &l}
	require.NoError(t, s.logged(nil))
	require.ErrorContains(t, s.logged(errors.New("no")), "no\nthe relay warned: g\nthe relay warned: h\n")
}

func TestPlanOutage(t *testing.T) {
	require.Equal(t, outage{length: 2 * time.Second}, planOutage(5*time.Second))
	require.Equal(t, outage{length: 8 * time.Second}, planOutage(time.Hour))
	require.Equal(t, outage{length: 8 * time.Second, every: time.Minute}, planOutage(0))
}
