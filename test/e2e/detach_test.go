package e2e

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"guestcore/test/rig"
	"guestcore/test/testkit"
)

// pipe makes a FIFO: a dump into it goes on exactly as long as the test wants.
func pipe(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func connect(t *testing.T, server *rig.Server) *rig.Client {
	t.Helper()
	client, err := server.Connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

// monitor runs a monitor command that has to go well and to print some texts.
func monitor(t *testing.T, client *rig.Client, line string, says ...string) string {
	t.Helper()
	text, err := client.Monitor(line)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range says {
		if !strings.Contains(text, want) {
			t.Fatalf("monitor %s does not say %q:\n%s", line, want, text)
		}
	}
	return text
}

// eventually waits for something that takes a moment.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 1000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("it did not come to this: %s", what)
}

// TestDetach has a dump go on while gdb reads memory, asks how far it is, is refused a second one, leaves and comes back.
func TestDetach(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare)
	server, fifo := serve(t, "", fixture.Core), pipe(t)
	client := connect(t, server)
	monitor(t, client, "info dump", "status         none\n")
	monitor(t, client, "dump-guest-memory -d "+fifo, "target_start", fifo+" is being written")
	monitor(t, client, "info dump", "status         active\n", fifo, "nothing is written yet", "cancel-dump")

	reader, err := os.Open(fifo)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	out := filepath.Join(t.TempDir(), "vmcore")
	copied, err := os.Create(out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(copied, reader, 64<<20); err != nil {
		t.Fatal(err)
	}
	progress := regexp.MustCompile(`progress +[1-9][0-9.]* [KM]iB of 1\.0 GiB \([0-9] %\), .*/s, .* left\n`)
	eventually(t, "some memory is written", func() bool { return progress.MatchString(monitor(t, client, "info dump", "active")) })

	stack, err := client.Ask("p7") // rsp
	if err != nil || len(stack) != 16 {
		t.Fatalf("p7: %q, %v", stack, err)
	}
	before, err := client.Ask("m" + bigEndian(stack) + ",40")
	if err != nil || len(before) != 0x80 {
		t.Errorf("memory cannot be read meanwhile: %q, %v", before, err)
	}
	if text, err := client.Monitor("dump-guest-memory " + out); err == nil || !strings.Contains(text, fifo+" is being written") {
		t.Errorf("a second dump: %v:\n%s", err, text)
	}
	monitor(t, client, "info machine", "vCPUs") // looks at QEMU's structures
	client.Close()

	again := connect(t, server)
	monitor(t, again, "info dump", "active")
	if _, err := io.Copy(copied, reader); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the dump is complete", func() bool { return strings.Contains(monitor(t, again, "info dump"), "status         completed\n") })
	monitor(t, again, "info dump", fifo+": 1.0 GiB of guest memory in ")
	if after, err := again.Ask("m" + bigEndian(stack) + ",40"); err != nil || after != before {
		t.Errorf("memory has changed: %q, %q, %v", before, after, err)
	}
	if err := copied.Close(); err != nil {
		t.Fatal(err)
	}
	testkit.Equal(t, testkit.Open(t, out), testkit.Open(t, fixture.QMPDump))
	monitor(t, again, "dump-guest-memory "+out+" 0 4096", "4.0 KiB of guest memory") // another one may follow
}

// bigEndian is a little-endian register in the form of an address.
func bigEndian(hex string) string {
	var b strings.Builder
	for i := len(hex) - 2; i >= 0; i -= 2 {
		b.WriteString(hex[i : i+2])
	}
	return b.String()
}

// TestDetachCancelled ends a dump that has a while to go, in the ways there are. No file may be left.
func TestDetachCancelled(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.Q35)
	const slow = "dump-guest-memory -d --format kdump-zstd --level 4 "
	start := func(t *testing.T, args ...string) (*rig.Server, *rig.Client, string) {
		server := serve(t, "", append(args, fixture.Core)...)
		client, dir := connect(t, server), t.TempDir()
		monitor(t, client, slow+filepath.Join(dir, "vmcore"), "is being written")
		monitor(t, client, "info dump", "active", "format         kdump-zstd")
		return server, client, dir
	}
	t.Run("cancel-dump", func(t *testing.T) {
		_, client, dir := start(t)
		monitor(t, client, "cancel-dump", "not written: cancelled")
		monitor(t, client, "info dump", "status         failed\n", "not written: cancelled")
		empty(t, dir)
		if _, err := client.Monitor("cancel-dump"); err == nil {
			t.Error("it was cancelled twice")
		}
	})
	t.Run("no directory", func(t *testing.T) { // is told at once: a script in gdb ends there
		client := connect(t, serve(t, "", fixture.Core))
		if _, err := client.Monitor(slow + "/nonexistent/vmcore"); err == nil {
			t.Error("a dump into a folder that is not there was begun")
		}
	})
	t.Run("Ctrl-C", func(t *testing.T) {
		server, _, dir := start(t)
		server.Signal(syscall.SIGINT)
		if result := server.Wait(); result.Status != 130 || !strings.Contains(result.Output, "vmcore not written: interrupted\n") {
			t.Errorf("status %d:\n%s", result.Status, result.Output)
		}
		empty(t, dir)
	})
	t.Run("SIGTERM when gdb has left", func(t *testing.T) {
		server, client, dir := start(t, "--once")
		client.Close()
		eventually(t, "the server waits", func() bool {
			return strings.Contains(server.Output(), "vmcore is still being written, Ctrl-C cancels it")
		})
		server.Signal(syscall.SIGTERM)
		if result := server.Wait(); result.Status != 143 || !strings.Contains(result.Output, "vmcore not written: interrupted\n") {
			t.Errorf("status %d:\n%s", result.Status, result.Output)
		}
		empty(t, dir)
	})
}

// TestDetachOnce has the server stay for the dump that its only gdb left behind.
func TestDetachOnce(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.Bare)
	server, fifo := serve(t, "", "--once", fixture.Core), pipe(t)
	client := connect(t, server)
	monitor(t, client, "dump-guest-memory --detach "+fifo+" 0 1M", "is being written")
	client.Close()
	eventually(t, "the server waits", func() bool { return strings.Contains(server.Output(), fifo+" is still being written") })
	out := filepath.Join(t.TempDir(), "vmcore")
	text, err := os.ReadFile(fifo)
	if err == nil {
		err = os.WriteFile(out, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if result := server.Wait(); result.Status != 0 || !strings.Contains(result.Output, fifo+": 1.0 MiB of guest memory in ") {
		t.Errorf("status %d:\n%s", result.Status, result.Output)
	}
	if r := testkit.Open(t, out).Ranges(); len(r) != 1 || r[0].Addr != 0 || r[0].End != 1<<20 {
		t.Errorf("the dump holds %v", r)
	}
}

// TestGDBDetaches is the same in gdb.
func TestGDBDetaches(t *testing.T) {
	fixture := testkit.Boot(t, testkit.StockQEMU(t), rig.PC)
	out := filepath.Join(t.TempDir(), "vmcore")
	server := serve(t, "", "--once", fixture.Core)
	result := testkit.GDB(t, testkit.MinimalGDB(t), commands("target remote "+server.Address,
		"monitor dump-guest-memory -d -z "+out, "monitor info dump", "info threads", "x/2xg $sp", "monitor info dump", "echo the end\\n")...)
	if result.Status != 0 || strings.Count(result.Output, "status         ") != 2 || !strings.Contains(result.Output, "\nformat         kdump-zlib\n") ||
		!regexp.MustCompile(`(?m)^\* 1 +Thread `).MatchString(result.Output) || !strings.Contains(result.Output, "\nthe end\n") {
		t.Errorf("status %d:\n%s", result.Status, result.Output)
	}
	if ended := server.Wait(); ended.Status != 0 {
		t.Errorf("the server ended with status %d:\n%s", ended.Status, ended.Output)
	}
	head := make([]byte, 8)
	f, err := os.Open(out)
	if err == nil {
		_, err = io.ReadFull(f, head)
		f.Close()
	}
	if err != nil || string(head) != "KDUMP   " {
		t.Errorf("the dump begins with %q, %v", head, err)
	}
}
