package windows

import (
	"debug/elf"
	"fmt"
	"slices"

	"guestcore/internal/guest"
)

// Recognize reports whether all vCPUs that have page tables enter the kernel of
// Windows, and then sets m.Kernel. It reads little memory, whatever the guest
// is. One with other entries on x64, as where Hyper-V has them all, is not
// recognized.
func Recognize(m *guest.Machine) bool {
	if m.Arch.Machine != elf.EM_X86_64 && m.Arch.Machine != elf.EM_386 {
		return false
	}
	var kernel *image
	who := ""
	for _, cpu := range m.CPUs {
		own := viewsOf(m, cpu)
		switch {
		case len(own) == 0:
			continue
		case kernel == nil:
			kernel, who = enteredBy(own), own[0].who
			if kernel == nil {
				return false
			}
		case !slices.ContainsFunc(own, kernel.isEnteredBy):
			return false
		}
	}
	if kernel == nil {
		return false
	}
	m.Kernel = &guest.Kernel{System: "Windows", Release: kernel.release(), Remarks: []string{
		fmt.Sprintf("the kernel of Windows is at %#x, found from %s: VMCOREINFO, which Linux has, was not searched for", kernel.base, who), forWinDbg}}
	return true
}

// enteredBy is the kernel that a vCPU enters, as one of its views shows it; nil
// if none does.
func enteredBy(own []view) *image {
	for _, v := range own {
		if !slices.ContainsFunc(v.entries, v.mayHaveKernel) {
			continue // it takes many reads to find nothing
		}
		if kernel, _ := v.entered(); kernel != nil {
			return kernel
		}
	}
	return nil
}

// isEnteredBy reports whether a vCPU that has a view enters the image, too.
func (im *image) isEnteredBy(v view) bool {
	there, _ := v.mayBeImage(im.base)
	return there && slices.ContainsFunc(v.entries, im.has)
}

// mayHaveKernel reports whether Windows' kernel, rather than Linux's, may be at
// an address: x86's has page tables where Linux lies.
func (s space) mayHaveKernel(va uint64) bool {
	if s.word == 8 {
		return va >= kernelsFrom && va < kernelsTo
	}
	return va < 0xc000_0000 || va >= 0xe000_0000
}

// forWinDbg is what users of Windows guests should know.
const forWinDbg = "a dump for WinDbg is one of --format win-dmp"

// release is the version that the kernel tells programs, "" if that cannot be
// read: "6.1" or, since Windows 10, "10.0 build 19045".
func (s space) release() string {
	at := s.sharedAt()
	major, err := s.number(at+sharedMajor, 4)
	if err != nil || major == 0 || major > 99 {
		return ""
	}
	minor, err := s.number(at+sharedMinor, 4)
	if err != nil || minor > 99 {
		return ""
	}
	version := fmt.Sprintf("%d.%d", major, minor)
	if build, err := s.number(at+sharedBuild, 4); err == nil && major >= 10 {
		version += fmt.Sprintf(" build %d", build&^0xf000_0000) // the rest tells free and checked builds apart
	}
	return version
}
