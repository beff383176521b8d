package qemu

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"guestcore/internal/ctype"
)

// Arrays are put together of what QEMU's tables name of them.
func TestJoinArrays(t *testing.T) {
	for name, c := range map[string]struct {
		list []vmstateMember
		want map[string]ctype.Place
	}{
		"x86's control registers": {
			[]vmstateMember{{"cr[0]", ctype.Place{Offset: 552, Size: 8}}, {"cr[2]", ctype.Place{Offset: 568, Size: 8}}, {"cr[3]", ctype.Place{Offset: 576, Size: 8}}},
			map[string]ctype.Place{"cr": {Offset: 552, Size: 8, Count: 4}},
		},
		"arm's control registers of floating point, from the third on": {
			[]vmstateMember{{"xregs[0]", ctype.Place{Offset: 100, Size: 4}}, {"xregs", ctype.Place{Offset: 108, Size: 4, Count: 14}}},
			map[string]ctype.Place{"xregs": {Offset: 100, Size: 4, Count: 16}},
		},
		"arm's vectors, in parts": {
			[]vmstateMember{
				{"z", ctype.Place{Offset: 512, Size: 256, Count: 32}}, {"z[].d", ctype.Place{Offset: 528, Size: 8, Count: 30}},
				{"z[0].d", ctype.Place{Offset: 512, Size: 8, Count: 2}}, {"z[1].d", ctype.Place{Offset: 768, Size: 8, Count: 2}},
			},
			map[string]ctype.Place{"z": {Offset: 512, Size: 256, Count: 32}, "z[].d": {Offset: 512, Size: 8, Count: 32}},
		},
		"s390's vectors, half by half": {
			[]vmstateMember{{"v[0][0]", ctype.Place{Offset: 128, Size: 8}}, {"v[0][1]", ctype.Place{Offset: 136, Size: 8}}, {"v[16][0]", ctype.Place{Offset: 384, Size: 8}}},
			map[string]ctype.Place{"v": {Offset: 128, Size: 16, Count: 17}, "v[]": {Offset: 128, Size: 8, Count: 2}},
		},
		"one element tells nothing of the others": {
			[]vmstateMember{{"a[3]", ctype.Place{Offset: 100, Size: 4}}},
			map[string]ctype.Place{"a[3]": {Offset: 100, Size: 4}},
		},
		"elements that are none": {
			[]vmstateMember{{"a[0]", ctype.Place{Offset: 0, Size: 4}}, {"a[1]", ctype.Place{Offset: 4, Size: 4}}, {"a[2]", ctype.Place{Offset: 100, Size: 4}}},
			map[string]ctype.Place{"a[0]": {Offset: 0, Size: 4}, "a[1]": {Offset: 4, Size: 4}, "a[2]": {Offset: 100, Size: 4}},
		},
		"a member twice": {
			[]vmstateMember{{"efer", ctype.Place{Offset: 8, Size: 8}}, {"efer", ctype.Place{Offset: 16, Size: 8}}},
			map[string]ctype.Place{"efer": {Offset: 8, Size: 8}},
		},
	} {
		if d := cmp.Diff(c.want, joinArrays(c.list)); d != "" {
			t.Errorf("%s (-want +got):\n%s", name, d)
		}
	}
}
