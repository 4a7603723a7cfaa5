package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io/fs"
	"net/http"
	"path"
	"strings"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static
var staticFiles embed.FS

// page is what the frame around every page needs.
type page struct {
	Title string // Of the browser's window.
	Tab   string // Which part of the console it belongs to.
	Body  any

	// Filled in by render.
	Who      viewerView
	Notice   string // What was just done.
	Search   string
	Version  string
	Template string
}

// viewerView is what a page shows of who looks at it.
type viewerView struct {
	Operator  bool
	Tenant    string
	Name      string
	CanLeave  bool // There is a session to end.
	IsNobody  bool
	Relations bool // Pages about users, which are for operators.
}

// notices are what the page after a change says, by the word in its address.
var notices = map[string]string{
	"saved":    "Saved. Events from now on are sent accordingly.",
	"on":       "Switched on, for the events from now on.",
	"off":      "Switched off. What had not been sent yet is cancelled.",
	"removed":  "Removed. What had not been sent yet is cancelled; the log keeps what was.",
	"replayed": "Replayed: this is the new delivery of the same event.",
	"added":    "This webhook is there already; its secret was shown when it was added.",
}

// templates are the pages, each with the frame and the parts that they share.
var templates = parseTemplates()

func parseTemplates() map[string]*template.Template {
	shared := template.Must(template.New("").Funcs(functions).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html"))
	all := make(map[string]*template.Template)
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		panic(err) // The pattern is a constant.
	}
	for _, name := range names {
		base := strings.TrimSuffix(path.Base(name), ".html")
		if base != "layout" && base != "parts" {
			all[base] = template.Must(template.Must(shared.Clone()).ParseFS(templateFiles, name))
		}
	}
	return all
}

// render writes a page whole or, where its template fails, not at all.
func (c *Console) render(w http.ResponseWriter, r *request, status int, name string, p page) {
	p.Who = viewerView{
		Operator: r.viewer.Operator, Tenant: r.viewer.Tenant, Name: r.viewer.Name, Relations: r.viewer.Operator,
		CanLeave: r.viewer.Tenant != "" || r.viewer.Name != "", IsNobody: !r.viewer.Operator && r.viewer.Tenant == "",
	}
	p.Version, p.Template = c.version, name
	if r.Form != nil && r.Method == http.MethodGet {
		p.Notice = notices[r.Form.Get("done")]
	}
	c.write(w, status, name, "layout", p)
}

// renderFragment writes a part of a page.
func (c *Console) renderFragment(w http.ResponseWriter, status int, name string, view any) {
	c.write(w, status, name, "fragment", view)
}

// renderLive writes a part of a page that a script asks for again and again, unless it has it as it is.
func (c *Console) renderLive(w http.ResponseWriter, r *request, name string, view any) {
	text, err := execute(name, "fragment", view)
	if err != nil {
		c.showError(w, r, err)
		return
	}
	sum := sha256.Sum256(text)
	tag := `"` + hex.EncodeToString(sum[:16]) + `"`
	w.Header().Set("ETag", tag)
	if r.Header.Get("If-None-Match") == tag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	writeHTML(w, http.StatusOK, text)
}

func (c *Console) write(w http.ResponseWriter, status int, name, part string, view any) {
	text, err := execute(name, part, view)
	if err != nil {
		c.log.Error("console: a template failed", "template", name, "error", err)
		http.Error(w, "Something went wrong; the relay's log says what.", http.StatusInternalServerError)
		return
	}
	writeHTML(w, status, text)
}

func execute(name, part string, view any) ([]byte, error) {
	var text bytes.Buffer
	err := templates[name].ExecuteTemplate(&text, part, view)
	return text.Bytes(), err
}

func writeHTML(w http.ResponseWriter, status int, text []byte) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	// Of a database of encoding SQL_ASCII, text may not be UTF-8.
	_, _ = w.Write(bytes.ToValidUTF8(text, []byte("\uFFFD"))) // Fails where nobody is there any more.
}

// staticVersion is in the address of each static file, so that a browser may keep it for good.
var staticVersion = hashStatic()

func hashStatic() string {
	sum := sha256.New()
	err := fs.WalkDir(staticFiles, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := staticFiles.ReadFile(name)
		sum.Write([]byte(name))
		sum.Write(text)
		return err
	})
	if err != nil {
		panic(err) // The files are part of the program.
	}
	return hex.EncodeToString(sum.Sum(nil)[:6])
}

// staticTypes are not left to the system, which may know others.
var staticTypes = map[string]string{
	".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
}

func serveStatic(w http.ResponseWriter, r *http.Request) {
	text, err := staticFiles.ReadFile("static/" + path.Base(r.PathValue("file")))
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", staticTypes[path.Ext(r.PathValue("file"))])
	if r.PathValue("version") == staticVersion {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, _ = w.Write(text)
}

func serveIcon(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, "/static/"+staticVersion+"/icon.svg", http.StatusFound)
}
