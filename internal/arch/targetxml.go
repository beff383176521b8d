package arch

import (
	"fmt"
	"strings"
)

// regType is a type that a feature defines for its registers.
type regType struct {
	kind   string // "vector", "union" or "flags"
	id     string
	elem   string // of a vector
	count  int    // of a vector: elements
	size   int    // of flags: bytes
	fields []typeField
}

// typeField is a member of a union, or a field of flags.
type typeField struct {
	name       string
	typ        string
	start, end int // bits, of flags
}

func vector(id, elem string, count int) regType {
	return regType{kind: "vector", id: id, elem: elem, count: count}
}

// union takes pairs of name and type.
func union(id string, pairs ...string) regType {
	t := regType{kind: "union", id: id}
	for i := 0; i < len(pairs); i += 2 {
		t.fields = append(t.fields, typeField{name: pairs[i], typ: pairs[i+1]})
	}
	return t
}

// bit is a flag of one bit; an empty name is a reserved bit that is shown.
func bit(name string, at int) typeField {
	return typeField{name: name, typ: "bool", start: at, end: at}
}

func flags(id string, fields ...typeField) regType {
	return regType{kind: "flags", id: id, size: 4, fields: fields}
}

// TargetXML is the target description for gdb (gdb manual, "Target
// Description Format").
func (h *Host) TargetXML() []byte {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n<target version=\"1.0\">\n")
	fmt.Fprintf(&b, "  <architecture>%s</architecture>\n  <osabi>GNU/Linux</osabi>\n", h.gdbName)
	for _, f := range h.features {
		fmt.Fprintf(&b, "  <feature name=%q>\n", f.name)
		for _, t := range f.types {
			t.writeXML(&b)
		}
		for _, r := range f.regs {
			fmt.Fprintf(&b, "    <reg name=%q bitsize=\"%d\" type=%q", r.name, r.bits, r.typ)
			if r.group != "" {
				fmt.Fprintf(&b, " group=%q", r.group)
			}
			b.WriteString("/>\n")
		}
		b.WriteString("  </feature>\n")
	}
	b.WriteString("</target>\n")
	return []byte(b.String())
}

func (t regType) writeXML(b *strings.Builder) {
	switch t.kind {
	case "vector":
		fmt.Fprintf(b, "    <vector id=%q type=%q count=\"%d\"/>\n", t.id, t.elem, t.count)
		return
	case "flags":
		fmt.Fprintf(b, "    <flags id=%q size=\"%d\">\n", t.id, t.size)
		for _, f := range t.fields {
			fmt.Fprintf(b, "      <field name=%q start=\"%d\" end=\"%d\" type=%q/>\n", f.name, f.start, f.end, f.typ)
		}
	case "union":
		fmt.Fprintf(b, "    <union id=%q>\n", t.id)
		for _, f := range t.fields {
			fmt.Fprintf(b, "      <field name=%q type=%q/>\n", f.name, f.typ)
		}
	}
	fmt.Fprintf(b, "    </%s>\n", t.kind)
}
