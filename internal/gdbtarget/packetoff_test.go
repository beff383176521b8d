package gdbtarget_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"guestcore/internal/rsp"
	"guestcore/test/crashed"
	"guestcore/test/testkit"
)

// session is asked with every packet in turn switched off, in gdb or in the
// stub: it must come out the same but for what explained says.
var packetSession = []string{
	"info threads", "thread apply all bt", "info registers", "p $xmm0", "info sharedlibrary", "p global", "p my_tls",
	"info auxv", "p $_siginfo.si_signo", "x/4i $pc", "find &haystack, +sizeof haystack, 'f', 'r', 'o', 'n', 't'",
	"info proc cmdline",
}

// used are the packets, by gdb's names, that gdb sends and the stub answers, or
// that one of them promises the other. Those of newer gdbs are among them.
var used = strings.Fields("binary-download binary-upload error-message fetch-register get-thread-local-storage-address " +
	"hostio-close hostio-fstat hostio-lstat hostio-open hostio-pread hostio-readlink hostio-setfs hostio-stat kill " +
	"multiprocess-feature noack pid-to-exec-file query-attached read-aux-vector read-siginfo-object search-memory " +
	"set-register software-breakpoint supported-packets symbol-lookup target-features threads verbose-resume " +
	"verbose-resume-supported")

// explained are the commands whose answer may differ without a packet, by
// gdb's name of that and by ours.
var explained = func() map[string][]string {
	threads := []string{"info threads", "thread apply all bt"}   // have numbers for names
	files := []string{"info proc cmdline", "info sharedlibrary"} // and the range of the vDSO is not known
	// A program that was moved is not found where it is.
	auxv := []string{"info auxv", "info sharedlibrary", "info threads", "thread apply all bt", "info registers", "find", "p global", "p my_tls", "x/4i $pc"}
	registers := []string{"info registers"} // as far as an x86-64 without SSE's successors has them
	siginfo := []string{"p $_siginfo.si_signo"}
	tls := []string{"p my_tls"} // gdb 17 and later find it themselves
	return map[string][]string{
		"multiprocess-feature": slices.Concat(threads, files),
		"supported-packets":    packetSession, // no object is offered then, the auxiliary vector among them
		"qXfer":                packetSession,
		"threads":              threads, "qXfer:threads": threads,
		"read-aux-vector": auxv, "qXfer:auxv": auxv,
		"read-siginfo-object": siginfo, "qXfer:siginfo": siginfo,
		"target-features": registers, "qXfer:features": registers,
		"get-thread-local-storage-address": tls, "qGetTLSAddr": tls,
		"hostio-open": files, "hostio-pread": files, "vFile:open": files, "vFile:pread": files,
	}
}()

// valueNumber counts the values printed so far.
var valueNumber = regexp.MustCompile(`(?m)^\$\d+ =`)

// answers gives each command a line of its own before its answer, so that
// they can be compared one by one.
func answers(t *testing.T, gdb string, open []string) map[string]string {
	t.Helper()
	var marked []string
	for _, c := range packetSession {
		marked = append(marked, "echo == "+strings.ReplaceAll(c, "'", `\'`)+`\n`, c)
	}
	_, text := ask(t, gdb, open, append(marked, `echo == end\n`))
	got := map[string]string{}
	for _, c := range packetSession {
		_, rest, ok := strings.Cut(text, "== "+c+"\n")
		if !ok {
			t.Fatalf("gdb did not come to %q:\n%s", c, text)
		}
		rest, _, _ = strings.Cut(rest, "\n== ")
		got[c] = valueNumber.ReplaceAllString(normal(rest), "$ =")
	}
	return got
}

// sameBut compares a session with one of all packets.
func sameBut(t *testing.T, packet string, want, got map[string]string) {
	t.Helper()
	for _, c := range packetSession {
		if want[c] != got[c] && !slices.ContainsFunc(explained[packet], func(e string) bool { return strings.HasPrefix(c, e) }) {
			t.Errorf("without %s, %q is answered\n%s\nand with it\n%s", packet, c, got[c], want[c])
		}
	}
}

// TestPacketsOff switches off each packet in gdb.
func TestPacketsOff(t *testing.T) {
	program := crashed.Run(t)
	open := []string{"set sysroot /", "file " + program.Exe, "target remote " + serve(t, program.Core)}
	for _, g := range testkit.GDBs(t) {
		t.Run(g.Name, func(t *testing.T) {
			shown := testkit.GDB(t, g.Path, "-ex", "show remote").Output
			packets := regexp.MustCompile(`(?m)^([A-Za-z-]+)-packet: `).FindAllStringSubmatch(shown, -1)
			if len(packets) < 70 {
				t.Fatalf("gdb shows only %d packets:\n%s", len(packets), shown)
			}
			want := answers(t, g.Path, open)
			if !strings.Contains(want["p my_tls"], "= 102") || !strings.Contains(want["info threads"], "die (a=") {
				t.Fatalf("the session with all packets is wrong: %q", want)
			}
			var unused []string
			for _, p := range packets {
				off := "set remote " + p[1] + "-packet off"
				if slices.Contains(used, p[1]) {
					sameBut(t, p[1], want, answers(t, g.Path, append([]string{off}, open...)))
				} else {
					unused = append(unused, off)
				}
			}
			sameBut(t, "all that are not used", want, answers(t, g.Path, append(unused, open...)))
		})
	}
}

// TestPacketsDisabled has the stub not know each packet but those that every
// stub must know: ?, g, H, m and T.
func TestPacketsDisabled(t *testing.T) {
	program := crashed.Run(t)
	for _, g := range testkit.GDBs(t) {
		t.Run(g.Name, func(t *testing.T) {
			open := func(disabled ...string) []string {
				target := serveWith(t, program.Core, rsp.Options{DisablePackets: disabled})
				return []string{"set sysroot /", "file " + program.Exe, "target remote " + target}
			}
			want := answers(t, g.Path, open())
			for _, p := range []string{
				"vCont", "x", "p", "qC", "qfThreadInfo", "qsThreadInfo", "qThreadExtraInfo", "qAttached", "qSymbol", "qGetTLSAddr",
				"qSearch", "qCRC", "qXfer", "qXfer:features", "qXfer:threads", "qXfer:auxv", "qXfer:siginfo", "qXfer:exec-file",
				"vFile:open", "vFile:pread", "vFile:fstat", "vFile:setfs", "vFile:readlink", "vFile:stat", "vFile:lstat", "Z", "!", "vKill",
			} {
				sameBut(t, p, want, answers(t, g.Path, open(p)))
			}
		})
	}
}
