package windows

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Offsets in DBGKD_GET_VERSION64, which the kernel gives a debugger that asks
// for its version (Windows' wdbgexts.h; contrib/elf2dmp/main.c, QEMU 7.2).
const (
	versionMajor   = 0x0 // u16
	versionMinor   = 0x2 // u16
	versionKD      = 0x5 // u8
	versionMachine = 0x8 // u16
	versionBase    = 0x10
	versionModules = 0x18
	versionSize    = 0x28
)

// version finds KdVersionBlock, which is in the kernel's image and names the
// kernel and its list of modules. The build's number is in NtBuildLab too.
func (f *finder) version() {
	lab := f.buildLab()
	build, _, _ := strings.Cut(lab, ".")
	minor, _ := strconv.ParseUint(build, 10, 32)
	v := f.versionBlock()
	if v == nil {
		f.header.Put(MajorVersion, 15)
		f.header.Put(MinorVersion, minor)
		f.header.Put(KdSecondaryVersion, 0)
		if minor == 0 {
			f.remark("the kernel's version is not known: neither KdVersionBlock nor NtBuildLab was found")
		} else {
			f.remark("KdVersionBlock was not found: the version is that of NtBuildLab, %s", lab)
		}
		return
	}
	f.header.Put(MajorVersion, number(v[versionMajor:][:2]))
	f.header.Put(MinorVersion, number(v[versionMinor:][:2]))
	f.header.Put(KdSecondaryVersion, number(v[versionKD:][:1]))
	if had := f.header.Uint(MinorVersion); had != minor {
		f.remark("KdVersionBlock says that this is build %d, and NtBuildLab says %q", had, lab)
	}
}

// versionBlock is the bytes of KdVersionBlock, nil if it was not found.
func (f *finder) versionBlock() []byte {
	modules, err := f.kdbg.pointer(kdbgPsLoadedModuleList)
	if err != nil {
		return nil
	}
	var base [8]byte
	for _, wide := range []uint64{f.kernel.base, uint64(int64(int32(f.kernel.base)))} { // of 32 bits with its sign or without
		putNumber(base[:], wide)
		all := f.kernel.bytes
		for from := 0; ; {
			i := bytes.Index(all[from:], base[:])
			if i < 0 {
				break
			}
			i += from
			from = i + 1
			at := i - versionBase
			if at < 0 || at+versionSize > len(all) {
				continue
			}
			v := all[at:][:versionSize]
			if f.at(number(v[versionModules:][:8])) == modules && number(v[versionMachine:][:2]) == f.header.Uint(MachineImageType) {
				return v
			}
		}
		if f.word == 8 {
			break
		}
	}
	return nil
}

// buildLab is the kernel's build in words, such as 7601.17514.amd64fre.…, "" if
// it cannot be read.
func (f *finder) buildLab() string {
	at, err := f.kdbg.pointer(kdbgNtBuildLab)
	if err != nil || !f.kernel.has(at) {
		return ""
	}
	return f.kernel.text(f.at(at) - f.kernel.base)
}

// Offsets in KUSER_SHARED_DATA, the page that the kernel shares with programs
// (Windows' ntddk.h).
const (
	sharedUpTime     = 0x8   // InterruptTime: low, high, high again; 100 ns
	sharedSystemTime = 0x14  // likewise, since 1601
	sharedBuild      = 0x260 // NtBuildNumber, since Windows 10
	sharedProduct    = 0x264
	sharedMajor      = 0x26c // NtMajorVersion
	sharedMinor      = 0x270
	sharedSuite      = 0x2d0
	sharedProcessors = 0x3c0 // ActiveProcessorCount, since Windows 7

	shared64, shared32 = 0xfffff780_00000000, 0xffdf0000 // where it is, always
)

func (s space) sharedAt() uint64 {
	if s.word == 8 {
		return shared64
	}
	return shared32
}

// shared reads the page that the kernel shares with programs.
func (f *finder) shared() {
	at := f.sharedAt()
	page := make([]byte, sharedProcessors+4)
	if err := f.read(page, at); err != nil {
		f.remark("the header has no time, product and suites: reading KUSER_SHARED_DATA: %v", err)
		return
	}
	time := func(off int) uint64 { return number(page[off:][:8]) }
	f.header.Put(SystemTime, time(sharedSystemTime))
	f.header.Put(SystemUpTime, time(sharedUpTime))
	f.header.Put(ProductType, number(page[sharedProduct:][:4]))
	f.header.Put(SuiteMask, number(page[sharedSuite:][:4]))
}

// lists takes the heads of the lists of modules and processes. Either must be
// in the kernel's image; what else is wrong with it is a remark.
func (f *finder) lists() error {
	for _, l := range []struct {
		field Field
		at    uint64
	}{{PsLoadedModuleList, kdbgPsLoadedModuleList}, {PsActiveProcessHead, kdbgPsActiveProcessHead}} {
		head, err := f.kdbg.pointer(l.at)
		if err != nil {
			return fmt.Errorf("reading %v: %w", l.field, err)
		}
		if !f.kernel.has(head) {
			return fmt.Errorf("KDBG has %v at %#x, and the kernel's image is at %#x to %#x: what was taken for KDBG is not",
				l.field, head, f.kernel.base, f.kernel.base+uint64(len(f.kernel.bytes)))
		}
		f.header.Put(l.field, head)
		first, err := f.space.pointer(head)
		var back uint64
		if err == nil {
			back, err = f.space.pointer(first + uint64(f.word))
		}
		switch {
		case err != nil:
			f.remark("the list %v cannot be followed: %v", l.field, err)
			continue
		case back != head:
			f.remark("the list %v is broken: its first entry at %#x leads back to %#x, not to %#x", l.field, first, back, head)
			continue
		}
		if l.field == PsLoadedModuleList {
			// LDR_DATA_TABLE_ENTRY: three lists, then DllBase.
			if base, err := f.space.pointer(first + 6*uint64(f.word)); err != nil || base != f.kernel.base {
				f.remark("the first loaded module is not the kernel at %#x, but at %#x", f.kernel.base, base)
			}
		}
	}
	return nil
}
