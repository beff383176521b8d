package ctype_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"guestcore/internal/ctype"
	"guestcore/internal/objfile"
	"guestcore/internal/objfile/objtest"
)

// The program says itself where its members lie: a line "M struct path offset size" for each, and for each bit-field "B struct path"
// with the bytes of a structure in which all bits of that field are set.
const (
	headerH = `
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <stdbool.h>
typedef __int128 Wide;
struct pair { uint64_t lo, hi; };
typedef struct Range { Wide start; Wide size; } Range;
typedef struct View View;
struct list { struct node *first; struct node **last; };
struct node { char name[256]; struct { struct node *next, **prev; } link; struct list below; };
typedef enum { NEGATIVE = -5, POSITIVE = 7 } Mood;
enum plain { ZERO, ONE };
typedef struct { int only; double typedefed; } Nameless;
struct flex { uint16_t n; struct pair tail[]; };
union both { uint32_t word; uint8_t byte[4]; };
struct packed { char c; uint64_t u; unsigned a:3, b:11; uint64_t wide:40; } __attribute__((packed));
struct Segment { uint32_t selector; uint64_t base; uint32_t limit, flags; };
typedef struct Everything {
	volatile int volatile_int;
	const char *const text;
	_Bool yes;
	unsigned one:1, three:3, :0, nine:9;
	signed char neg:4;
	uint64_t big:33, rest:31;
	Range range;
	struct pair old;
	struct { int in_anon; union { long deep; struct { short deeper[3]; }; }; };
	union both both;
	struct Segment segs[6], *seg;
	uint64_t cr[5];
	int grid[2][3];
	float f; double d; long double ld; _Complex double cd;
	void *pv; void (*call)(int); View *view; Nameless *nameless;
	Mood mood; enum plain plain;
	struct list list;
	struct hidden *hidden;
	__int128 wide;
	struct empty { } empty;
	char last;
} Everything;
struct big { char pad[100000]; uint64_t far; };
extern struct packed packed;
`
	viewH = `
struct View { unsigned ref; Range *ranges; unsigned nr; };
struct hidden { long secret; struct View view; };
`
	mainC = `
#include "header.h"
#define S(s) printf("S %s %zu\n", #s, sizeof(s))
#define M(s, p) printf("M %s %s %zu %zu\n", #s, #p, offsetof(s, p), sizeof(((s *)0)->p))
#define B(s, p) do { s x; memset(&x, 0, sizeof x); x.p = -1; printf("B %s %s ", #s, #p); \
	for (size_t i = 0; i < sizeof x; i++) printf("%02x", ((unsigned char *)&x)[i]); printf("\n"); } while (0)
extern void show(void), *volatile sink;
Everything everything; Nameless nameless; struct node node; struct packed packed; struct big big; struct flex flex;
static View *volatile file_static;
static inline __attribute__((always_inline)) void inlined(void) { static Everything *volatile in_inlined; in_inlined = &everything; sink = (void *)in_inlined; }
static __attribute__((noinline)) void realize(void) {
	static Everything *volatile state; state = &everything; sink = (void *)state;
	{ static volatile int in_block; in_block++; sink = (void *)&in_block; }
}
static __attribute__((noinline)) void other(void) { static volatile int state; state++; sink = (void *)&state; }
int main(void) {
	sink = (void *)file_static; inlined(); realize(); other(); inlined();
	sink = &nameless; sink = &node; sink = &packed; sink = &big; sink = &flex;
	S(Everything); S(Range); S(struct pair); S(struct node); S(Nameless); S(struct packed); S(struct big); S(struct flex); S(union both);
	M(Everything, volatile_int); M(Everything, text); M(Everything, yes); M(Everything, range); M(Everything, range.size);
	M(Everything, old.hi); M(Everything, in_anon); M(Everything, deep); M(Everything, deeper); M(Everything, deeper[2]);
	M(Everything, both); M(Everything, both.word); M(Everything, both.byte[3]); M(Everything, segs); M(Everything, segs[4].base);
	M(Everything, seg); M(Everything, cr[3]); M(Everything, grid); M(Everything, grid[1]); M(Everything, grid[1][2]);
	M(Everything, f); M(Everything, d); M(Everything, ld); M(Everything, cd); M(Everything, pv); M(Everything, call);
	M(Everything, view); M(Everything, nameless); M(Everything, mood); M(Everything, plain); M(Everything, list.first);
	M(Everything, wide); M(Everything, empty); M(Everything, last);
	M(struct node, name); M(struct node, link.prev); M(struct node, below.last); M(Nameless, typedefed);
	M(struct packed, c); M(struct packed, u); M(struct big, far); M(struct flex, tail[3].hi);
	B(Everything, one); B(Everything, three); B(Everything, nine); B(Everything, neg); B(Everything, big); B(Everything, rest);
	B(struct packed, a); B(struct packed, b); B(struct packed, wide);
	show();
	return 0;
}
`
	otherC = `
#include "header.h"
#include "view.h"
void *volatile sink;
struct hidden hidden;
void show(void) {
	sink = &hidden;
	printf("S struct hidden %zu\nM struct hidden view.ranges %zu 8\nM struct View nr %zu 4\nS View %zu\n", sizeof(struct hidden),
		offsetof(struct hidden, view.ranges), offsetof(View, nr), sizeof(View));
}
`
)

func sources() map[string]string {
	return map[string]string{"header.h": headerH, "view.h": viewH, "main.c": mainC, "other.c": otherC}
}

// compile makes the program. Headers are written beside the sources; gcc is not given them.
func compile(t testing.TB, dir, name string, flags ...string) string {
	t.Helper()
	src := sources()
	for _, h := range []string{"header.h", "view.h"} {
		objtest.Write(t, filepath.Join(dir, name+".src", h), src[h])
		delete(src, h)
	}
	return objtest.Compile(t, dir, name, src, flags...)
}

// open opens the program's layouts and closes it at the end of the test.
func open(t testing.TB, exe string, opts objfile.Options) *ctype.DWARF {
	t.Helper()
	f, err := objfile.Open(exe, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	d, err := ctype.FromDWARF(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range f.Warnings() {
		t.Errorf("warning: %s", w)
	}
	return d
}

// check compares all layouts with what the running program prints, and all variables with what nm printed of the program before it
// was stripped.
func check(t *testing.T, exe string, d *ctype.DWARF, syms map[string]uint64) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(objtest.Run(t, exe)), "\n")
	if len(lines) < 60 {
		t.Fatalf("the program printed only %d lines", len(lines))
	}
	for _, line := range lines {
		kind, rest, _ := strings.Cut(line, " ")
		rest = strings.NewReplacer("struct ", "struct_", "union ", "union_").Replace(rest)
		f := strings.Fields(rest)
		name := strings.NewReplacer("struct_", "struct ", "union_", "union ").Replace(f[0])
		s, err := d.Struct(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if kind == "S" {
			if got := fmt.Sprint(s.Size); got != f[1] {
				t.Errorf("sizeof(%s) = %s, gcc says %s", name, got, f[1])
			}
			continue
		}
		m, err := s.Field(f[1])
		if err != nil {
			t.Error(err)
			continue
		}
		switch kind {
		case "M":
			if got, want := fmt.Sprintf("%d %d", m.Offset, m.Size), f[2]+" "+f[3]; got != want {
				t.Errorf("%s.%s: offset and size %s, gcc says %s", name, f[1], got, want)
			}
		case "B":
			if got := bitsSet(s.Size, m); got != f[2] {
				t.Errorf("%s.%s: bits %s, gcc says %s", name, f[1], got, f[2])
			}
		}
	}
	checkVariables(t, d, syms)
}

// bitsSet prints a little-endian structure in which the bits of one bit-field are set.
func bitsSet(size uint64, m ctype.Field) string {
	b := make([]byte, size)
	if m.Bits == nil {
		return "no bit-field"
	}
	for i := m.Bits.Shift; i < m.Bits.Shift+m.Bits.Width; i++ {
		if i/8 >= m.Size || m.Offset+i/8 >= size {
			return "outside its storage"
		}
		b[m.Offset+i/8] |= 1 << (i % 8)
	}
	return fmt.Sprintf("%x", b)
}

// variables are (function, name) and the start of the symbol that gcc makes of it.
var variables = []struct{ function, name, symbol string }{
	{"", "everything", "everything"},
	{"", "hidden", "hidden"},
	{"", "sink", "sink"},
	{"", "packed", "packed"},
	{"", "file_static", "file_static"},
	{"inlined", "in_inlined", "in_inlined."},
	{"realize", "in_block", "in_block."},
}

func checkVariables(t *testing.T, d *ctype.DWARF, syms map[string]uint64) {
	t.Helper()
	for _, v := range variables {
		got, err := d.Variable(v.function, v.name)
		if err != nil {
			t.Error(err)
			continue
		}
		found := false
		for sym, addr := range syms {
			if sym == v.symbol || strings.HasSuffix(v.symbol, ".") && strings.HasPrefix(sym, v.symbol) {
				found = true
				if got.Addr != addr {
					t.Errorf("&%s = %#x, nm says %s is at %#x", v.name, got.Addr, sym, addr)
				}
			}
		}
		if !found {
			t.Errorf("nm knows no %s", v.symbol)
		}
	}
	// Two functions have a static variable "state": which is which the type tells.
	for function, kind := range map[string]ctype.Kind{"realize": ctype.KindPointer, "other": ctype.KindInt} {
		if v, err := d.Variable(function, "state"); err != nil || v.Kind != kind {
			t.Errorf("%s::state: kind %v, %v; want %v", function, v.Kind, err, kind)
		}
	}
	a, _ := d.Variable("realize", "state")
	b, _ := d.Variable("other", "state")
	states := 0
	for sym, addr := range syms {
		if strings.HasPrefix(sym, "state.") && (addr == a.Addr || addr == b.Addr) {
			states++
		}
	}
	if states != 2 || a.Addr == b.Addr {
		t.Errorf("realize::state at %#x, other::state at %#x: not the two that nm has", a.Addr, b.Addr)
	}
	if a.Target != "Everything" || !strings.Contains(a.Type, "volatile") {
		t.Errorf("realize::state: type %q, target %q", a.Type, a.Target)
	}
}
