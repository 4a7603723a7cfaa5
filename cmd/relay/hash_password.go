package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/outboxrelay/relay/internal/access"
)

func newHashPasswordCommand(p *program) *cobra.Command {
	var token bool
	cmd := &cobra.Command{
		Use:   "hash-password",
		Short: "Hash a password for http.auth.users",
		Long: "Read a password from the terminal, without showing it, or a line of standard\n" +
			"input, and print its bcrypt hash for password_hash in http.auth.users.\n\n" +
			"With --token, make a random token instead and print it with its hash for\n" +
			"http.auth.tokens; the token is not shown again.",
		Example: "  relay hash-password\n  pass show relay | relay hash-password\n  relay hash-password --token",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if token {
				text, hash := access.NewToken()
				printFields(p.stdout, []field{{"token", text}, {"hash", hash}})
				return nil
			}
			password, err := p.readPassword(cmd.InOrStdin())
			if err != nil {
				return err
			}
			hash, err := access.HashPassword(password)
			if err != nil {
				return usageError{err}
			}
			_, err = fmt.Fprintln(p.stdout, hash)
			return err
		},
	}
	cmd.Flags().BoolVar(&token, "token", false, "make a token for programs, in place of a password's hash")
	return cmd
}

// readPassword asks twice on a terminal, so that a mistyped password is not hashed; elsewhere it reads one line.
func (p *program) readPassword(in io.Reader) (string, error) {
	file, ok := in.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		line, err := bufio.NewReader(in).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("read the password: %w", err)
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	first, err := p.askHidden(file, "Password: ")
	if err != nil {
		return "", err
	}
	again, err := p.askHidden(file, "Again: ")
	if err != nil {
		return "", err
	}
	if first != again {
		return "", usagef("the two passwords differ")
	}
	return first, nil
}

func (p *program) askHidden(file *os.File, prompt string) (string, error) {
	_, _ = fmt.Fprint(p.stderr, prompt)
	text, err := term.ReadPassword(int(file.Fd()))
	_, _ = fmt.Fprintln(p.stderr)
	if err != nil {
		return "", fmt.Errorf("read the password: %w", err)
	}
	return string(text), nil
}
