package cli

import "errors"

var serveCommand = &command{
	name: "serve", usage: "[flags] CORE", summary: "serve the QEMU process in CORE to gdb",
	run: func(*env, *command, []string) error { return errors.New("serve arrives with package rsp") },
}
