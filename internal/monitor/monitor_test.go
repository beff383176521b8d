package monitor

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSplit(t *testing.T) {
	for line, want := range map[string][]string{
		"":                             nil,
		" \t\n":                        nil,
		"info flatview":                {"info", "flatview"},
		"  dump   a\tb \n":             {"dump", "a", "b"},
		`dump "a b" c`:                 {"dump", "a b", "c"},
		`dump 'a b' c`:                 {"dump", "a b", "c"},
		`dump a\ b c`:                  {"dump", "a b", "c"},
		`dump pre" mid "post`:          {"dump", "pre mid post"},
		`dump "a \"b\" \\ \n"`:         {"dump", `a "b" \ \n`},
		`dump 'a \ "b'`:                {"dump", `a \ "b`},
		`dump ""`:                      {"dump", ""},
		`dump ''x`:                     {"dump", "x"},
		`dump \"a\'`:                   {"dump", `"a'`},
		`dump /tmp/größe/虚拟 X86_64`:    {"dump", "/tmp/größe/虚拟", "X86_64"},
		"dump \"two\nlines\" one\ntwo": {"dump", "two\nlines", "one", "two"},
	} {
		got, err := split(line)
		if err != nil {
			t.Errorf("%q: %v", line, err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%q (-want +got):\n%s", line, d)
		}
	}
	for line, want := range map[string]string{
		`a "b`:   `a " is not closed`,
		`a 'b"`:  `a ' is not closed`,
		`a b\`:   "nothing is left to escape",
		`a "b\`:  "nothing is left to escape",
		`a "b\"`: `a " is not closed`,
	} {
		if got, err := split(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q, %v; want an error with %q", line, got, err, want)
		}
	}
}

func FuzzSplit(f *testing.F) {
	f.Add(`dump "a b" 'c\d' e\ f`)
	f.Fuzz(func(t *testing.T, line string) {
		words, err := split(line)
		if err != nil {
			return
		}
		// What was split can be quoted and split again.
		var quoted []string
		for _, w := range words {
			quoted = append(quoted, "'"+strings.ReplaceAll(w, "'", `'\''`)+"'")
		}
		again, err := split(strings.Join(quoted, " "))
		if err != nil {
			t.Fatalf("%q: %v", quoted, err)
		}
		if d := cmp.Diff(words, again); d != "" {
			t.Errorf("%q (-want +got):\n%s", quoted, d)
		}
	})
}

func TestFind(t *testing.T) {
	for line, want := range map[string]struct {
		name string
		args []string
	}{
		"dump-guest-memory a b": {"dump-guest-memory", []string{"a", "b"}},
		"dump a":                {"dump-guest-memory", []string{"a"}},
		"cancel":                {"cancel-dump", nil},
		"info d":                {"info dump", nil},
		"info flatview":         {"info flatview", nil},
		"i f":                   {"info flatview", nil},
		"info ram x":            {"info ramblocks", []string{"x"}},
		"h dump":                {"help", []string{"dump"}},
	} {
		c, args, err := find(strings.Fields(line))
		if err != nil || c.name != want.name || strings.Join(args, " ") != strings.Join(want.args, " ") {
			t.Errorf("%q is %q with %q, %v; want %v", line, c.name, args, err, want)
		}
	}
	for line, want := range map[string]string{
		"quit":     `unknown command "quit": there are dump-guest-memory, info dump, cancel-dump, info flatview`,
		"dumpx":    `unknown command "dumpx"`,
		"info":     `unknown command "info": there are info dump, info flatview, info ramblocks, info machine, info kernel, info cpus, info registers, info symbols;`,
		"info foo": `unknown command "info foo": there are info dump, info flatview, info ramblocks, info machine, info kernel, info cpus, info registers, info symbols;`,
		"flatview": `unknown command "flatview": there are dump-guest-memory`,
	} {
		if _, _, err := find(strings.Fields(line)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %q", line, err, want)
		}
	}
	for _, words := range [][]string{{""}, {"", "a"}, {"info", ""}} {
		if c, _, err := find(words); err == nil {
			t.Errorf("%q is taken for %q", words, c.name)
		}
	}
}

func TestHelp(t *testing.T) {
	var m Monitor // help asks for no session
	run := func(line string) (string, error) {
		var out strings.Builder
		err := m.Run(t.Context(), line, &out)
		return out.String(), err
	}
	all, err := run("help")
	if err != nil {
		t.Error(err)
	}
	for _, c := range commands() {
		if !strings.Contains(all, c.synopsis()) || !strings.Contains(all, c.summary) {
			t.Errorf("help says nothing of %q:\n%s", c.name, all)
		}
		one, err := run("help " + c.name)
		if err != nil || !strings.HasPrefix(one, c.synopsis()+"\n") || !strings.Contains(one, strings.TrimSpace(c.help)) {
			t.Errorf("help %s: %v\n%s", c.name, err, one)
		}
	}
	if got, err := run(""); got != all || err != nil {
		t.Errorf("an empty line says %q, %v", got, err)
	}
	if got, err := run("help info"); err != nil || strings.Count(got, "\n") != 8 || !strings.Contains(got, "info symbols") {
		t.Errorf("help info: %v\n%s", err, got)
	}
	for line, want := range map[string]string{
		"help foo":            `unknown command "foo"`,
		"help info foo":       `unknown command "info foo"`,
		"help info machine x": `unknown command "info machine x"`,
		`help "`:              "is not closed",
		"info machine x":      `info machine takes no arguments, not "x"`,
		"info registers 0 1":  `info registers takes the number of one CPU, not "0 1"`,
	} {
		if got, err := run(line); err == nil || !strings.Contains(err.Error(), want) || got != "" {
			t.Errorf("%q: %q, %v; want an error with %q", line, got, err, want)
		}
	}
}
