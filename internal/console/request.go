package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/outboxrelay/relay/internal/access"
	"github.com/outboxrelay/relay/internal/store"
)

// request is one that a handler answers.
type request struct {
	*http.Request
	viewer access.Viewer
}

// handler answers a request, or returns an error that is shown as a page; it has written nothing then.
type handler func(http.ResponseWriter, *request) error

func (c *Console) handle(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), requestTimeout+c.cfg.Delivery.Timeout)
		defer cancel()
		req := &request{Request: r.WithContext(ctx)}
		err := req.readForm()
		if err == nil {
			err = h(w, req)
		}
		if err != nil {
			c.showError(w, req, err)
		}
	})
}

// readForm reads the query and, of a POST, the form; what no text column can hold is refused at once.
func (r *request) readForm() error {
	if err := r.ParseForm(); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return &pageError{status: http.StatusRequestEntityTooLarge, title: "This is too much for one form", text: "Shorten what you entered."}
		}
		return errBadRequest
	}
	for _, values := range r.Form {
		for _, value := range values {
			if !isText(value) {
				return errBadRequest
			}
		}
	}
	return nil
}

// isText says whether Postgres can hold a text.
func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// withViewer lets in who may come in, and sends others to the login.
func (c *Console) withViewer(h handler) handler {
	return func(w http.ResponseWriter, r *request) error {
		viewer, err := c.gate.Who(r.Request)
		switch {
		case errors.Is(err, access.ErrUnknown):
			return c.askToSignIn(w, r)
		case errors.Is(err, access.ErrRefused):
			w.Header().Set("WWW-Authenticate", `Basic realm="relay", charset="UTF-8"`)
			return &pageError{status: http.StatusUnauthorized, title: "That login is not valid", text: "Check the name and password, or the token."}
		case err != nil:
			return err
		}
		r.viewer = viewer
		return h(w, r)
	}
}

func (c *Console) askToSignIn(w http.ResponseWriter, r *request) error {
	if r.Method != http.MethodGet || !c.gate.HasPasswords() || r.Header.Get("X-Fragment") != "" {
		return &pageError{status: http.StatusUnauthorized, title: "You are not signed in", text: "Your session may have ended. Sign in and try again.",
			link: "/sign-in", linkText: "Sign in"}
	}
	http.Redirect(w, r.Request, "/sign-in?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
	return nil
}

func onlyOperators(h handler) handler {
	return func(w http.ResponseWriter, r *request) error {
		if !r.viewer.Operator {
			return errNoPage
		}
		return h(w, r)
	}
}

// scope is whose rows the viewer may see and change.
func (r *request) scope() store.Scope {
	switch {
	case r.viewer.Operator:
		return store.AllTenants()
	case r.viewer.Tenant != "":
		return store.OneTenant(r.viewer.Tenant)
	}
	return store.Scope{}
}

// pathID reads the id in the path. What is no id belongs to nothing.
func (r *request) pathID() (uuid.UUID, error) {
	id, err := parseID(r.PathValue("id"))
	if err != nil {
		return uuid.Nil, errNoPage
	}
	return id, nil
}

// parseID takes an id in its usual form alone, so that it has one address.
func parseID(text string) (uuid.UUID, error) {
	if len(text) != 36 {
		return uuid.Nil, errBadRequest
	}
	return uuid.Parse(text)
}

// isFragment says whether a script of ours asks for a part of a page.
func (r *request) isFragment() bool { return r.Header.Get("X-Fragment") != "" }
