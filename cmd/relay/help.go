package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// The groups of commands, in the order in which a newcomer meets them.
const (
	groupStart = "start"
	groupRun   = "run"
	groupLook  = "look"
	groupRest  = "rest"
)

const rootLong = `relay delivers what your app commits to the table outbox.events as webhooks. It
tails Postgres logical replication, POSTs each event to every URL subscribed to
it, and keeps status and attempts in the same database. Committed means
delivered or accounted for; rolled back means never seen.

From nothing to the first delivery:

  export RELAY_DATABASE_URL=postgres://relay:…@localhost:5432/app
  relay check                   # will it work? says what mends each fault
  relay init                    # schema, publication, replication slot
  relay subscriptions add --name crm --event-types 'user.*' \
    --url https://crm.example.com/hooks
  relay test crm                # sends a sample, logs nothing
  relay run                     # until SIGTERM or Ctrl-C

The app inserts, in the transaction that makes it true:

  INSERT INTO outbox.events (type, user_id, payload)
  VALUES ('user.invited', '42', '{"email": "ada@example.com"}');

and what was sent about that user is seen with

  relay log --user 42`

// usage is cobra's, in fewer words and within 80 columns.
const usage = `Usage:
  {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND{{else}}{{.UseLine}}{{end}}
{{- if .HasExample}}

Examples:
{{.Example}}{{end}}
{{- if .HasAvailableSubCommands}}{{$commands := .Commands}}
{{- if not .Groups}}

Commands:
{{- range $commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}}  {{.Short}}{{end}}{{end}}{{end}}
{{- range $group := .Groups}}

{{.Title}}
{{- range $commands}}{{if and (eq .GroupID $group.ID) (or .IsAvailableCommand (eq .Name "help"))}}
  {{rpad .Name .NamePadding}}  {{.Short}}{{end}}{{end}}{{end}}{{end}}
{{- if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsagesWrapped 80 | trimTrailingWhitespaces}}{{end}}
{{- if .HasAvailableInheritedFlags}}

Of every command:
{{.InheritedFlags.FlagUsagesWrapped 80 | trimTrailingWhitespaces}}{{end}}
{{- if .HasAvailableSubCommands}}

{{.CommandPath}} COMMAND --help says more about a command.{{end}}
`

// setHelp gives the root command its help: what to do first comes first.
func setHelp(root *cobra.Command) {
	root.SetUsageTemplate(usage)
	root.AddGroup(
		&cobra.Group{ID: groupStart, Title: "To begin:"},
		&cobra.Group{ID: groupRun, Title: "To relay:"},
		&cobra.Group{ID: groupLook, Title: "To see what was sent:"},
		&cobra.Group{ID: groupRest, Title: "Besides:"},
	)
	groups := map[string]string{
		"demo": groupStart, "check": groupStart, "init": groupStart,
		"subscriptions": groupRun, "test": groupRun, "run": groupRun,
		"log": groupLook, "show": groupLook, "replay": groupLook, "status": groupLook,
	}
	for _, cmd := range root.Commands() {
		if cmd.GroupID = groups[cmd.Name()]; cmd.GroupID == "" {
			cmd.GroupID = groupRest
		}
	}
	root.SetHelpCommand(newHelpCommand(root))
	root.SetHelpCommandGroupID(groupRest)
	root.SetFlagErrorFunc(explainFlag)
}

// newHelpCommand is cobra's, but for a command that is not there: that one answers with help and success.
func newHelpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Say more about a command",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err == nil {
				err = noSuchCommand(cmd, rest)
			}
			if err != nil {
				return usageError{err}
			}
			cmd.InitDefaultHelpFlag()
			return cmd.Help()
		},
	}
}

// noArgs is the Args of commands that take none.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fmt.Errorf("%s takes no arguments, and was given %s; see %s --help", nameOf(cmd), quoted(args), cmd.CommandPath())
}

// oneArg is the Args of commands that take one; missing says which, and where to find it.
func oneArg(missing string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch len(args) {
		case 0:
			return fmt.Errorf("%s: %s", nameOf(cmd), missing)
		case 1:
			return nil
		}
		return fmt.Errorf("%s takes one argument, and was given %s", nameOf(cmd), quoted(args))
	}
}

// nameOf is a command without the program's own name, which begins each error.
func nameOf(cmd *cobra.Command) string { return strings.TrimPrefix(cmd.CommandPath(), "relay ") }

func quoted(args []string) string {
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = fmt.Sprintf("%q", arg)
	}
	return strings.Join(words, " ")
}
