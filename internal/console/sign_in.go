package console

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/outboxrelay/relay/internal/access"
)

// signInView is the login.
type signInView struct {
	Name, Next string
	Fault      string
	NoUsers    bool
}

func (c *Console) signInPage(w http.ResponseWriter, r *request) error {
	next := r.Form.Get("next")
	if !isLocal(next) {
		next = "/"
	}
	if !c.gate.Required() {
		http.Redirect(w, r.Request, next, http.StatusSeeOther)
		return nil
	}
	c.render(w, r, http.StatusOK, "sign_in", page{Title: "Sign in", Body: signInView{Next: next, NoUsers: !c.gate.HasPasswords()}})
	return nil
}

func (c *Console) signIn(w http.ResponseWriter, r *request) error {
	view := signInView{Name: r.PostForm.Get("name"), Next: r.PostForm.Get("next")}
	if !isLocal(view.Next) {
		view.Next = "/"
	}
	viewer, err := c.gate.SignIn(r.Context(), r.RemoteAddr, view.Name, r.PostForm.Get("password"))
	var wait *access.WaitError
	status := http.StatusUnauthorized
	switch {
	case errors.As(err, &wait):
		status = http.StatusTooManyRequests
		w.Header().Set("Retry-After", strconv.Itoa(int(wait.Wait.Seconds())+1))
		view.Fault = "Too many passwords were wrong. Wait " + durationText(wait.Wait.Round(time.Second)+time.Second) + " and try again."
	case errors.Is(err, access.ErrRefused):
		c.log.Warn("console: wrong password", "from", r.RemoteAddr)
		view.Fault = "Name or password is wrong."
	case err != nil:
		return err
	default:
		c.gate.Begin(w, r.Request, viewer, time.Time{})
		http.Redirect(w, r.Request, view.Next, http.StatusSeeOther)
		return nil
	}
	c.render(w, r, status, "sign_in", page{Title: "Sign in", Body: view})
	return nil
}

func (c *Console) signOut(w http.ResponseWriter, r *request) error {
	c.gate.End(w, r.Request)
	viewer, err := c.gate.Who(r.Request)
	if err == nil && !viewer.Operator { // There is nothing for them without a link.
		c.render(w, r, http.StatusOK, "signed_out", page{Title: "Signed out"})
		return nil
	}
	http.Redirect(w, r.Request, "/", http.StatusSeeOther)
	return nil
}

// enterView is the door that a link leads to. The session begins by POST, so that no GET changes anything, and the cookie,
// which is not sent along with what comes from another site, is there on the next page.
type enterView struct{ Token, Tenant string }

var errBadLink = &pageError{status: http.StatusForbidden, title: "This link does not hold any more",
	text: "Links end after a while. Open the webhooks again from where you had the link."}

func (c *Console) enterPage(w http.ResponseWriter, r *request) error {
	token := r.Form.Get("token")
	viewer, _, err := c.gate.Enter(token)
	if err != nil {
		return errBadLink
	}
	c.render(w, r, http.StatusOK, "enter", page{Title: "Webhooks", Body: enterView{token, viewer.Tenant}})
	return nil
}

func (c *Console) enter(w http.ResponseWriter, r *request) error {
	viewer, until, err := c.gate.Enter(r.PostForm.Get("token"))
	if err != nil {
		return errBadLink
	}
	c.gate.Begin(w, r.Request, viewer, until)
	http.Redirect(w, r.Request, "/", http.StatusSeeOther)
	return nil
}
