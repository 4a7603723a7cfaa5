package store

// Scope says whose rows a statement of the console may see and change. The zero Scope is that of nobody.
type Scope struct {
	all    bool
	tenant string
}

// AllTenants is the scope of an operator.
func AllTenants() Scope { return Scope{all: true} }

// OneTenant is the scope of one tenant's people.
func OneTenant(tenant string) Scope { return Scope{tenant: tenant} }

// All says whether the scope takes in every tenant.
func (s Scope) All() bool { return s.all }

// Tenant is the only tenant of the scope; empty where there are more.
func (s Scope) Tenant() string { return s.tenant }

// args are the first two parameters of every statement that has a scope, and what follows them.
func (s Scope) args(more ...any) []any { return append([]any{s.all, s.tenant}, more...) }
