package arch

// GDBSignal translates a signal number of Linux into gdb's own numbering,
// which is that of no kernel (gdb manual, "Stop Reply Packets"; the numbers
// are in gdb's include/gdb/signals.def). The numbers of Linux are those of all
// architectures but MIPS, SPARC, Alpha and PA-RISC.
func GDBSignal(linux int) uint8 {
	const unknown = 143
	switch {
	case linux >= 0 && linux < len(gdbSignals):
		return gdbSignals[linux]
	case linux == 32:
		return 77 // gdb put 33 to 63 first, then 32, then 64 to 127
	case linux >= 33 && linux <= 63:
		return uint8(45 + linux - 33)
	case linux >= 64 && linux <= 127:
		return uint8(78 + linux - 64)
	}
	return unknown
}

// gdbSignals are gdb's numbers for Linux's signals from 0 on.
var gdbSignals = [...]uint8{
	0,
	1,   // SIGHUP
	2,   // SIGINT
	3,   // SIGQUIT
	4,   // SIGILL
	5,   // SIGTRAP
	6,   // SIGABRT
	10,  // SIGBUS
	8,   // SIGFPE
	9,   // SIGKILL
	30,  // SIGUSR1
	11,  // SIGSEGV
	31,  // SIGUSR2
	13,  // SIGPIPE
	14,  // SIGALRM
	15,  // SIGTERM
	143, // SIGSTKFLT: gdb has none
	20,  // SIGCHLD
	19,  // SIGCONT
	17,  // SIGSTOP
	18,  // SIGTSTP
	21,  // SIGTTIN
	22,  // SIGTTOU
	16,  // SIGURG
	24,  // SIGXCPU
	25,  // SIGXFSZ
	26,  // SIGVTALRM
	27,  // SIGPROF
	28,  // SIGWINCH
	23,  // SIGIO
	32,  // SIGPWR
	12,  // SIGSYS
}
