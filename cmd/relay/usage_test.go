package main

import (
	"io"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// commands returns every command that people see.
func commands(cmd *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{cmd}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() || c.Name() == "help" {
			all = append(all, commands(c)...)
		}
	}
	return all
}

func TestHelpFitsATerminal(t *testing.T) {
	inEmptyFolder(t, "")
	root := newRootCommand(&program{stdout: io.Discard, stderr: io.Discard})
	seen := 0
	for _, cmd := range commands(root) {
		seen++
		path := strings.Fields(cmd.CommandPath())
		line := slices.Concat(path[1:], []string{"--help"})
		help := did(t, line...)
		require.Contains(t, help, "Usage:\n  "+cmd.CommandPath())
		for line := range strings.Lines(help) {
			require.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")), 80, "%s: %s", cmd.CommandPath(), line)
		}
		require.NotContains(t, help, " string ", "%s: each flag says what it takes", cmd.CommandPath())
	}
	require.GreaterOrEqual(t, seen, 18)
}

// The help must tell the way from nothing to the first delivery, in that order.
func TestHelpTellsTheStory(t *testing.T) {
	help, from := did(t, "--help"), 0
	for _, step := range []string{
		"RELAY_DATABASE_URL=postgres://", "relay check", "relay init", "relay subscriptions add", "relay test crm", "relay run",
		"INSERT INTO outbox.events", "relay log --user 42", "Usage:", "\n  demo ", "\n  check ", "\n  init ", "\n  subscriptions ",
		"\n  test ", "\n  run ", "\n  log ", "\n  show ", "\n  replay ", "\n  docs ", "\n  version ", "\n  help ", "--config file",
	} {
		at := strings.Index(help[from:], step)
		require.GreaterOrEqual(t, at, 0, "%q, after %q", step, help[:from])
		from += at
	}
	require.Equal(t, help, did(t), "without a command")
	require.Equal(t, help, did(t, "help"))
	require.Equal(t, did(t, "log", "--help"), did(t, "help", "log"))
	require.Equal(t, did(t, "subscriptions", "add", "--help"), did(t, "help", "subscriptions", "add"))
	require.Equal(t, did(t, "subscriptions"), did(t, "subscriptions", "--help"))
}

func TestBadUsage(t *testing.T) {
	inEmptyFolder(t, "")
	t.Setenv("RELAY_DATABASE_URL", "postgres://postgres@127.0.0.1:1/app") // Nobody must get as far as that.
	for _, c := range []struct{ line, says string }{
		{"nope", `unknown command "nope" for "relay"; see relay --help`},
		{"rnu", `unknown command "rnu" for "relay"; did you mean run?`},
		{"help nope", `unknown command "nope" for "relay"; see relay --help`},
		{"subscriptions lst", `unknown command "lst" for "relay subscriptions"; did you mean list or set?`},
		{"--nope", "unknown flag: --nope; see relay --help"},
		{"log --nope", "unknown flag: --nope; see relay log --help"},
		{"log --limit", "flag needs an argument: --limit; see relay log --help"},
		{"log --limit many", `invalid argument "many" for "--limit" flag: is no whole number; see relay log --help`},
		{"log --limit 99999999999999999999", `invalid argument "99999999999999999999" for "--limit" flag: is too large or too small; see relay log --help`},
		{"log --json=maybe", `invalid argument "maybe" for "--json" flag: is neither true nor false; see relay log --help`},
		{"log --limit 0", "--limit 0: must be 1 or more"},
		{"log --status done", `--status "done": is none of pending, retrying, accepted, rejected, failed, cancelled`},
		{"log 42", `log takes no arguments, and was given "42"; see relay log --help`},
		{"run now", `run takes no arguments, and was given "now"; see relay run --help`},
		{"run --log-level loud", `--log-level "loud": is none of debug, info, warn, error`},
		{"run --log-format xml", `--log-format "xml": is neither text nor json`},
		{"show", "show: which delivery? `relay log` shows their ids"},
		{"show a b", `show takes one argument, and was given "a" "b"`},
		{"show 42", "\"42\" is not the id of a delivery; `relay log` shows them"},
		{"replay", "replay: which delivery? `relay log` shows their ids"},
		{"replay 42", "\"42\" is not the id of a delivery; `relay log` shows them"},
		{"test", "test: which subscription or URL? `relay subscriptions list` shows names and ids"},
		{"subscriptions remove", "subscriptions remove: which subscription? `relay subscriptions list` shows names and ids"},
		{"subscriptions add", "--url is missing: where are the events to be sent?"},
		{"subscriptions add --url https://example.com", "--event-types is missing: user.invited, user.* (everything under user.) or '*' (everything)"},
		{"subscriptions add --url https://example.com --event-types * --header secret", "--header number 1: write 'Name: value'"},
		{"subscriptions add --url https://example.com --event-types * --header A:1 --header a:2", "--header a: is given twice"},
		{"demo --rate 0", "--rate 0: is not between 1 and 10000"},
	} {
		t.Run(c.line, func(t *testing.T) {
			require.Equal(t, "relay: "+c.says+"\n", refused(t, exitUsage, strings.Fields(c.line)...))
		})
	}
}

// A script whose variable is not set must not be taken to mean all there is.
func TestFlagsThatAreGivenButEmpty(t *testing.T) {
	inEmptyFolder(t, "")
	t.Setenv("RELAY_DATABASE_URL", "postgres://postgres@127.0.0.1:1/app") // Nobody must get as far as that.
	for line, flags := range map[string][]string{
		"log": {"user", "status", "type", "tenant"},
		"replay --subscription crm --since 1h --yes": {"user", "type", "until", "tenant", "subscription", "since"},
		"test crm":                 {"type", "tenant"},
		"subscriptions list":       {"tenant"},
		"subscriptions add":        {"tenant"},
		"subscriptions remove crm": {"tenant"},
	} {
		for _, flag := range flags {
			args := strings.Fields(line)
			require.Equal(t, `relay: invalid argument "" for "--`+flag+`" flag: is empty; give a value, or leave the flag out; see relay `+
				strings.Join(commandOf(args), " ")+" --help\n", refused(t, exitUsage, append(args, "--"+flag, "")...))
		}
	}
}

// commandOf is the name of the command that a line begins with.
func commandOf(args []string) []string {
	if args[0] == "subscriptions" {
		return args[:2]
	}
	return args[:1]
}

func TestVersion(t *testing.T) {
	version = "1.2.3"
	defer func() { version = "" }()
	require.Regexp(t, `^relay 1\.2\.3\ncommit \S+\ngo1\.\S+ \w+/\w+\n$`, did(t, "version"))
	require.Equal(t, did(t, "version"), did(t, "--version"))
	this := jsonLines[build](t, did(t, "version", "--json"))
	require.Len(t, this, 1)
	require.Equal(t, "1.2.3", this[0].Version)
}
