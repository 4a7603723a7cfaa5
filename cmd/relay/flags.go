package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// filled is a flag that must not be empty where it is given: a script whose variable is not set would else choose all
// there is.
type filled string

// String is the value.
func (f *filled) String() string { return string(*f) }

// Set refuses an empty value.
func (f *filled) Set(text string) error {
	if text == "" {
		return errors.New("is empty; give a value, or leave the flag out")
	}
	*f = filled(text)
	return nil
}

// Type is what help would say of a flag whose usage does not.
func (f *filled) Type() string { return "string" }

// explainFlag says in plain words what is wrong with a flag, and where to read on.
func explainFlag(cmd *cobra.Command, err error) error {
	said := err.Error()
	var number *strconv.NumError
	if errors.As(err, &number) {
		what := "is no whole number"
		switch {
		case errors.Is(err, strconv.ErrRange):
			what = "is too large or too small"
		case number.Func == "ParseBool":
			what = "is neither true nor false"
		}
		said = strings.TrimSuffix(said, number.Error()) + what
	}
	return fmt.Errorf("%s; see %s --help", said, cmd.CommandPath())
}
