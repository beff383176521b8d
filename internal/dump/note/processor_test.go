package note

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"guestcore/internal/arch"
	"guestcore/internal/dump"
	"guestcore/internal/guest"
)

// parsed is a note as read back.
type parsed struct {
	Name string
	Type uint32
	Desc []byte
}

// parse splits notes, sharing nothing with what makes them.
func parse(t *testing.T, b []byte, order binary.ByteOrder) []parsed {
	t.Helper()
	var out []parsed
	for r := bytes.NewReader(b); r.Len() > 0; {
		var head struct{ Name, Desc, Type uint32 }
		if err := binary.Read(r, order, &head); err != nil {
			t.Fatal(err)
		}
		body := make([]byte, (head.Name+3)&^3+(head.Desc+3)&^3)
		if n, _ := r.Read(body); n != len(body) {
			t.Fatalf("note of %d and %d bytes passes the end", head.Name, head.Desc)
		}
		at := (head.Name + 3) &^ 3
		out = append(out, parsed{string(body[:head.Name-1]), head.Type, body[at : at+head.Desc]})
	}
	return out
}

// machine is a guest of an architecture with processors.
func machine(t *testing.T, name string, cpus ...guest.CPU) *guest.Machine {
	t.Helper()
	g, err := arch.GuestByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return &guest.Machine{Arch: g, CPUs: cpus}
}

// headings are name, type and size of each note, and for NT_PRSTATUS of 64
// bits the process id.
func headings(notes []parsed) string {
	var out []string
	for _, n := range notes {
		s := fmt.Sprintf("%s %d %d", n.Name, n.Type, len(n.Desc))
		if len(n.Desc) == 336 {
			s += fmt.Sprintf(" pid %d", binary.LittleEndian.Uint32(n.Desc[32:]))
		}
		if n.Name != "GUESTCORE" {
			out = append(out, s)
		}
	}
	return strings.Join(out, ", ")
}

func TestProcessors(t *testing.T) {
	state := func(rip uint64) *arch.X86 { return &arch.X86{RIP: rip} }
	valid := func(i int) guest.CPU { return guest.CPU{Index: i, State: state(uint64(i) + 0x10), Trust: guest.Valid} }
	stale := func(i int) guest.CPU {
		return guest.CPU{Index: i, State: state(uint64(i) + 0x10), Trust: guest.Stale, Reason: "KVM had newer ones"}
	}
	unknown := func(i int) guest.CPU { return guest.CPU{Index: i, Reason: "not in the core"} }
	const two = "CORE 1 336 pid 1, CORE 1 336 pid 2, QEMU 0 440, QEMU 0 440"
	for _, tt := range []struct {
		name    string
		cpus    []guest.CPU
		options dump.Options
		want    string
		rips    []uint64
		label   string
		remark  string
	}{
		{name: "none"},
		{name: "valid", cpus: []guest.CPU{valid(0), valid(1)}, want: two, rips: []uint64{0x10, 0x11}, label: "CPU0=valid\nCPU1=valid\n"},
		{name: "stale", cpus: []guest.CPU{stale(0), stale(1)}, label: "CPU0=stale, KVM had newer ones\nCPU1=stale, KVM had newer ones\n",
			remark: "the registers of CPU 0-1 are stale, KVM had newer ones: they are not in the file, --stale-registers writes"},
		{name: "stale, asked for", cpus: []guest.CPU{stale(0), stale(1)}, options: dump.Options{StaleRegisters: true}, want: two, rips: []uint64{0x10, 0x11},
			label: "CPU0=stale, KVM had newer ones\nCPU1=stale, KVM had newer ones\n", remark: "the registers of CPU 0-1 are stale, KVM had newer ones"},
		{name: "one stale", cpus: []guest.CPU{stale(0), valid(1)}, want: two, rips: []uint64{0, 0x11}, remark: "the registers of CPU 0 are stale, KVM had newer ones: zeros stand for them, --stale-registers"},
		{name: "one unknown", cpus: []guest.CPU{valid(0), unknown(1)}, want: two, rips: []uint64{0x10, 0},
			label: "CPU0=valid\nCPU1=unknown, not in the core\n", remark: "the registers of CPU 1 are unknown, not in the core: zeros stand for them"},
		{name: "unknown", cpus: []guest.CPU{unknown(0)}, label: "CPU0=unknown, not in the core\n", remark: "the registers of CPU 0 are unknown, not in the core: they are not in the file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := Of(machine(t, "X86_64", tt.cpus...), &dump.Content{}, tt.options)
			notes := parse(t, n.Bytes, binary.LittleEndian)
			if got := headings(notes); got != tt.want {
				t.Errorf("notes %s, want %s", got, tt.want)
			}
			for i, want := range tt.rips {
				if got := binary.LittleEndian.Uint64(notes[i].Desc[112+16*8:]); got != want {
					t.Errorf("rip of CPU %d in NT_PRSTATUS %#x, want %#x", i, got, want)
				}
				if got := binary.LittleEndian.Uint64(notes[len(tt.cpus)+i].Desc[136:]); got != want {
					t.Errorf("rip of CPU %d in QEMU's note %#x, want %#x", i, got, want)
				}
			}
			if label := string(notes[len(notes)-1].Desc); !strings.Contains(label, tt.label) {
				t.Errorf("label %q lacks %q", label, tt.label)
			}
			if remarks := strings.Join(n.Remarks, "\n"); !strings.Contains(remarks, tt.remark) || tt.remark == "" && strings.Contains(remarks, "registers") {
				t.Errorf("remarks %q, want %q", remarks, tt.remark)
			}
		})
	}
}

func TestNumbers(t *testing.T) {
	if got := Numbers([]int{0, 2, 3, 4, 7, 8}); got != "0, 2-4, 7-8" {
		t.Error(got)
	}
}

// numbered is a state of which each value tells its place.
func numbered() *arch.X86 {
	s := &arch.X86{RIP: 0x1111111122222222, RFLAGS: 0x246, CR: [5]uint64{0xc0, 0xc1, 0xc2, 0xc3, 0xc4}, KernelGSBase: 0xfeed}
	for i := range s.Regs {
		s.Regs[i] = 0x100000000 + uint64(i)
	}
	seg := func(n uint64) arch.X86Segment {
		return arch.X86Segment{Selector: uint32(0x10*n + 3), Base: 0xb00000000 + n, Limit: 0x11110000 + uint32(n), Flags: 0xf000 + uint32(n)}
	}
	for i := range s.Segs {
		s.Segs[i] = seg(uint64(i))
	}
	s.LDT, s.TR, s.GDT, s.IDT = seg(6), seg(7), seg(8), seg(9)
	return s
}

// The offsets are those of the kernel's headers and of QEMU's, not of the code.
func TestX86Notes(t *testing.T) {
	cpu := guest.CPU{Index: 4, State: numbered(), Trust: guest.Valid}
	wide := parse(t, Of(machine(t, "X86_64", cpu), &dump.Content{}, dump.Options{}).Bytes, binary.LittleEndian)
	narrow := parse(t, Of(machine(t, "386", cpu), &dump.Content{}, dump.Options{}).Bytes, binary.LittleEndian)
	long := numbered()
	long.EFER = arch.EFERLMA
	for name, want := range map[string]bool{"386": true, "X86_64": false} {
		n := Of(machine(t, name, guest.CPU{Index: 4, State: long, Trust: guest.Valid}), &dump.Content{}, dump.Options{})
		if got := strings.Contains(strings.Join(n.Remarks, "\n"), "CPU 4 is in long mode"); got != want {
			t.Errorf("%s: remarks %q", name, n.Remarks)
		}
	}
	if len(narrow[0].Desc) != 144 || narrow[1].Name != "QEMU" || !bytes.Equal(narrow[1].Desc, wide[1].Desc) {
		t.Errorf("notes of a 386: %s", headings(narrow))
	}
	if m := machine(t, "386").Arch; m.Machine != elf.EM_386 {
		t.Errorf("386 is %v", m.Machine)
	}
	for _, tt := range []struct {
		name string
		desc []byte
		at   int
		size int
		want uint64
	}{
		{"pid", wide[0].Desc, 32, 4, 5}, {"r15", wide[0].Desc, 112, 8, 0x10000000f}, {"rbp", wide[0].Desc, 144, 8, 0x100000005},
		{"rax", wide[0].Desc, 192, 8, 0x100000000}, {"orig_rax", wide[0].Desc, 232, 8, 0}, {"rip", wide[0].Desc, 240, 8, 0x1111111122222222},
		{"cs", wide[0].Desc, 248, 8, 0x13}, {"eflags", wide[0].Desc, 256, 8, 0x246}, {"rsp", wide[0].Desc, 264, 8, 0x100000004},
		{"ss", wide[0].Desc, 272, 8, 0x23}, {"fs_base", wide[0].Desc, 280, 8, 0xb00000004}, {"gs_base", wide[0].Desc, 288, 8, 0xb00000005},
		{"gs", wide[0].Desc, 320, 8, 0x53}, {"fpvalid", wide[0].Desc, 328, 4, 0},
		{"pid 32", narrow[0].Desc, 24, 4, 5}, {"ebx", narrow[0].Desc, 72, 4, 3}, {"eax", narrow[0].Desc, 96, 4, 0}, {"ds", narrow[0].Desc, 100, 4, 0x33},
		{"gs 32", narrow[0].Desc, 112, 4, 0x53}, {"eip", narrow[0].Desc, 120, 4, 0x22222222}, {"cs 32", narrow[0].Desc, 124, 4, 0x13},
		{"eflags 32", narrow[0].Desc, 128, 4, 0x246}, {"esp", narrow[0].Desc, 132, 4, 4}, {"ss 32", narrow[0].Desc, 136, 4, 0x23},
		{"version", wide[1].Desc, 0, 4, 1}, {"size", wide[1].Desc, 4, 4, 440}, {"qemu rbx", wide[1].Desc, 16, 8, 0x100000003},
		{"qemu rbp", wide[1].Desc, 64, 8, 0x100000005}, {"qemu r8", wide[1].Desc, 72, 8, 0x100000008}, {"qemu rip", wide[1].Desc, 136, 8, 0x1111111122222222},
		{"qemu cs", wide[1].Desc, 152, 4, 0x13}, {"qemu cs limit", wide[1].Desc, 156, 4, 0x11110001}, {"qemu cs flags", wide[1].Desc, 160, 4, 0xf001},
		{"qemu cs base", wide[1].Desc, 168, 8, 0xb00000001}, {"qemu ss", wide[1].Desc, 272, 4, 0x23}, {"qemu ldt", wide[1].Desc, 296, 4, 0x63},
		{"qemu idt base", wide[1].Desc, 384, 8, 0xb00000009}, {"qemu cr3", wide[1].Desc, 416, 8, 0xc3}, {"qemu kernel_gs_base", wide[1].Desc, 432, 8, 0xfeed},
	} {
		var got uint64
		for i := tt.size - 1; i >= 0; i-- {
			got = got<<8 | uint64(tt.desc[tt.at+i])
		}
		if got != tt.want {
			t.Errorf("%s at %d: %#x, want %#x", tt.name, tt.at, got, tt.want)
		}
	}
}
