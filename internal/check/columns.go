package check

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	outboxrelay "github.com/outboxrelay/relay"
)

// column is a column of a table as schema.sql makes it.
type column struct {
	table, name string
	definition  string // Behind the name: its type and the rest.
}

var (
	tableStart = regexp.MustCompile(`^CREATE (?:UNLOGGED )?TABLE IF NOT EXISTS outbox\.(\w+) \($`)
	columnLine = regexp.MustCompile(`^  ([a-z]\w*) +(.+?),?$`)
	spaces     = regexp.MustCompile(` +`)
)

// schemaColumns reads schema.sql, a line a column, so that there is no second list to keep.
func schemaColumns(schema string) (all []column) {
	table := ""
	for line := range strings.Lines(schema) {
		line, _, _ = strings.Cut(strings.TrimRight(line, "\n"), " --")
		if match := tableStart.FindStringSubmatch(line); match != nil {
			table = match[1]
		} else if line == ");" {
			table = ""
		} else if match := columnLine.FindStringSubmatch(line); match != nil && table != "" {
			all = append(all, column{table, match[1], spaces.ReplaceAllString(match[2], " ")})
		}
	}
	return all
}

// fills returns what gives a column a value by itself, as ALTER COLUMN wants it; empty: nothing does.
func (c column) fills() string {
	if _, expression, found := strings.Cut(c.definition, "DEFAULT "); found {
		return "SET DEFAULT " + expression
	}
	if _, identity, found := strings.Cut(c.definition, "GENERATED "); found {
		return "ADD GENERATED " + identity
	}
	return ""
}

// columns looks whether the tables that are there have all their columns and defaults. Setting up brings back neither: in a
// schema of this version somebody has taken them away.
func (c *checker) columns(ctx context.Context) (bool, error) {
	there, err := c.foundColumns(ctx)
	if err != nil {
		return false, err
	}
	var lost, mends []string
	for _, want := range schemaColumns(outboxrelay.Schema) {
		if !slices.Contains(there.tables, want.table) {
			continue // Said by objects.
		}
		name, alter := "outbox."+want.table+"."+want.name, "ALTER TABLE outbox."+want.table
		switch hasValue, known := there.columns[want.table+"."+want.name]; {
		case !known:
			lost = append(lost, "column "+name)
			mends = append(mends, alter+" ADD COLUMN "+want.name+" "+want.definition+";")
		case !hasValue && want.fills() != "":
			lost = append(lost, "default of "+name)
			mends = append(mends, alter+" ALTER COLUMN "+want.name+" "+want.fills()+";")
		}
	}
	if lost != nil {
		c.fault("schema", strings.Join(mends, " ")+" -- then relay init", "missing: %s", list(lost))
	}
	return lost == nil, nil
}

// found are the columns of schema outbox.
type found struct {
	tables  []string
	columns map[string]bool // By table.name, whether something gives it a value.
}

func (c *checker) foundColumns(ctx context.Context) (found, error) {
	all := found{columns: make(map[string]bool)}
	rows, err := c.db.Query(ctx, `
		SELECT c.relname::text, a.attname::text, a.atthasdef OR a.attidentity <> ''
		  FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		 WHERE c.relnamespace = 'outbox'::regnamespace AND c.relkind IN ('r', 'p')`)
	if err != nil {
		return all, err
	}
	var table, name string
	var hasValue bool
	_, err = pgx.ForEachRow(rows, []any{&table, &name, &hasValue}, func() error {
		if !slices.Contains(all.tables, table) {
			all.tables = append(all.tables, table)
		}
		all.columns[table+"."+name] = hasValue
		return nil
	})
	return all, err
}
