package console

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/outboxrelay/relay/internal/store"
)

// userView is all that was sent about one user.
type userView struct {
	ID  string
	SQL string // What a host app would ask.
	Go  string
	logRowsView
	First bool
}

func (c *Console) userPage(w http.ResponseWriter, r *request) error {
	id := r.PathValue("user")
	if id == "" {
		id = r.Form.Get("id")
	}
	if !isText(id) {
		return errBadRequest
	}
	place, err := parsePlace(r.Form.Get("from_place"))
	if err != nil {
		return err
	}
	view := &userView{ID: id, First: place == store.LogPlace{}}
	if id == "" {
		c.render(w, r, http.StatusOK, "user", page{Title: "Users", Tab: "log", Body: view})
		return nil
	}
	walk, err := store.Browse(r.Context(), c.db, r.scope(), store.LogFilter{UserID: id}, place, logOnPage)
	if err != nil {
		return err
	}
	view.fill(r, walk)
	view.ByUser = true
	for i := range view.Rows {
		view.Rows[i].ByUser = true
	}
	if walk.More {
		separator := "?"
		if strings.Contains(userPath(id), "?") {
			separator = "&"
		}
		view.Next = userPath(id) + separator + url.Values{"from_place": {placeText(walk.Next)}}.Encode()
	}
	view.SQL = "SELECT event_type, url, status, attempts, response_code, last_attempt_at\n" +
		"  FROM outbox.delivery_log\n" +
		" WHERE user_id = " + quoteSQL(id) + "\n" +
		" ORDER BY created_at DESC LIMIT 50;"
	view.Go = "deliveries, err := outbox.Log(ctx, db, outbox.Filter{UserID: " + strconv.Quote(id) + "})"
	c.render(w, r, http.StatusOK, "user", page{Title: "User " + id, Tab: "log", Body: view})
	return nil
}

// quoteSQL is a text as a literal of standard SQL.
func quoteSQL(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }
