package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/outboxrelay/relay/internal/check"
)

func newCheckCommand(p *program) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say whether this database will work, and what mends each fault",
		Long: "Say, item by item, whether this database and configuration will work. Each fault\n" +
			"comes with the statement or the setting that mends it. Nothing is changed. The\n" +
			"exit code is 1 where a fault is found; warnings do not count.",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := p.settings()
			if err != nil {
				return err
			}
			print := p.printItem
			if asJSON {
				out := newEncoder(p.stdout)
				print = func(i check.Item) { _ = out.Encode(i) }
			}
			faults, warnings := 0, 0
			check.Run(cmd.Context(), cfg, func(i check.Item) {
				switch i.Status {
				case check.Fault:
					faults++
				case check.Warning:
					warnings++
				}
				print(i)
			})
			if err := cmd.Context().Err(); err != nil {
				return err
			}
			if !asJSON {
				_, _ = fmt.Fprintf(p.stdout, "\n%s, %s\n", count(faults, "fault"), count(warnings, "warning"))
			}
			if faults > 0 {
				return errSaid
			}
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

func count(n int, what string) string {
	switch n {
	case 0:
		return "no " + what + "s"
	case 1:
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// printItem prints an item as it is found: a line, and where it is not well a second one that says what mends it.
func (p *program) printItem(i check.Item) {
	word, shade := "ok     ", green
	switch i.Status {
	case check.Fault:
		word, shade = "FAULT  ", red
	case check.Warning:
		word, shade = "warning", yellow
	}
	const indent = "         "
	what := wrap(printable(i.Name)+": "+printable(i.What), terminalWidth(p.stdout), indent)
	_, _ = fmt.Fprintf(p.stdout, "%s  %s\n", paintIf(inColor(p.stdout), shade, word), what)
	if mend := i.Mend.String(); mend != "" {
		_, _ = fmt.Fprintf(p.stdout, "%smend: %s\n", indent, printable(mend)) // Whole, to be copied.
	}
}
