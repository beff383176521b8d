// Command guestcore takes the guest out of a QEMU process that died: it
// serves the core to gdb, or writes the guest's memory to a file.
package main

import (
	"os"

	"guestcore/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }
