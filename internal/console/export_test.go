package console

// Refusals are the constraints that have a field.
func Refusals() map[string]bool {
	all := make(map[string]bool)
	for name := range refusals {
		all[name] = true
	}
	return all
}

// Snippets are the pieces of code that the docs show.
func Snippets() []string {
	var all []string
	for _, s := range snippets {
		all = append(all, s.Code)
	}
	return all
}
