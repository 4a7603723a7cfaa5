// The program relay delivers what host apps commit to outbox.events as webhooks. See relay --help.
package main

import "os"

func main() { os.Exit(execute(os.Args[1:], os.Stdout, os.Stderr)) }
