package ingdb

import (
	"os"
	"testing"
)

func TestCurrentInferior(t *testing.T) {
	const head = "  Num  Description       Connection           Executable        \n"
	for _, test := range []struct {
		name, text string
		want       inferior
	}{
		{"core", head + "* 1    process 22200     1 (core)             /usr/bin/qemu-system-x86_64 \n", inferior{pid: 22200, connection: "core"}},
		{"core file", head + "* 1    process 22200     1 (core)             \nLocal core dump file:\n\t`/tmp/a b/core', file type elf64-x86-64.\n",
			inferior{pid: 22200, connection: "core", core: "/tmp/a b/core"}},
		{"native", head + "* 1    process 7          1 (native)           /usr/bin/qemu \n", inferior{pid: 7, connection: "native"}},
		{"server", head + "* 1    process 7          1 (remote localhost:1234) /usr/bin/qemu \n", inferior{pid: 7, connection: "remote", peer: "localhost:1234"}},
		{"program", head + "* 1    process 7 1 (extended-remote | gdbserver --attach - 7)  \n",
			inferior{pid: 7, connection: "extended-remote", peer: "| gdbserver --attach - 7"}},
		{"QEMU's own stub", head + "* 1    process 1         1 (remote :1234)  \n", inferior{pid: 1, connection: "remote", peer: ":1234"}},
		{"no process", head + "* 1    <null>                                 \n", inferior{}},
		{"second of two", head + "  1    process 7         1 (core)  /a \n* 2    process 8         2 (native)  /b \n", inferior{pid: 8, connection: "native"}},
		{"path with parentheses", head + "* 1    process 7          1 (core)    /tmp/x 2 (native) \n", inferior{pid: 7, connection: "core"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, err := currentInferior(test.text); err != nil || got != test.want {
				t.Errorf("%+v, %v, want %+v", got, err, test.want)
			}
		})
	}
	for _, text := range []string{"", "No inferiors.\n", "  1    process 7         1 (core)  /a \n"} {
		if got, err := currentInferior(text); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}

func TestIsLocal(t *testing.T) {
	for peer, want := range map[string]bool{
		"localhost:1234": true, ":1234": true, "127.0.0.1:1": true, "tcp:localhost:1": true, "[::1]:2": true, "| ssh host gdbserver": true,
		"/tmp/socket": true, "host:1234": false, "192.168.0.1:1234": false, "tcp:host:1": false, "": false,
	} {
		if got := isLocal(peer); got != want {
			t.Errorf("%q: %v", peer, got)
		}
	}
}

func TestTracer(t *testing.T) {
	if name := tracer(1 << 30); name != "" {
		t.Errorf("a process that is not there is traced by %q", name)
	}
	for _, i := range []inferior{
		{pid: os.Getpid(), connection: "remote", peer: ":1"}, {pid: os.Getpid(), connection: "core"}, {connection: "remote", peer: ":1"},
	} {
		if i.isGDBServers() {
			t.Errorf("%+v is taken for a gdbserver's", i)
		}
	}
}
