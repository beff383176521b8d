# dump-guest-memory for gdb 10 and later, with or without Python: it takes the place of QEMU's dump-guest-memory.py.
#
# Source this file; "make install" leaves one that knows where libguestcore.so is. gdb loads that library, which reads what
# gdb has open. Commands reach it through file descriptors of gdb (internal/ingdb says which): a request is a byte 1, what
# "info inferiors" and "info files" print, the command line, and the process that shows the answer, with a byte 0 behind each
# of the three. An argument may hold any quote: it is typed into a comment, and the shell finds it in its own command line.

define guestcore-begin
  dont-repeat
  shell test -e /proc/$PPID/fd/902 && exit 1; test -e '@LIBRARY@' && exit 2; test -e /usr/local/lib/guestcore/libguestcore.so && exit 3; test -e /usr/lib/guestcore/libguestcore.so && exit 4; echo 'libguestcore.so is not installed: use "make install", or source the script that "make lib" leaves in lib/'
  if $_shell_exitcode == 0
    guestcore-library-not-found
  end
  if $_shell_exitcode == 2
    jit-reader-load @LIBRARY@
  end
  if $_shell_exitcode == 3
    jit-reader-load /usr/local/lib/guestcore/libguestcore.so
  end
  if $_shell_exitcode == 4
    jit-reader-load /usr/lib/guestcore/libguestcore.so
  end
  shell printf '\1' >/proc/$PPID/fd/902
  pipe info inferiors | cat >/proc/$PPID/fd/902
  pipe info files | cat >/proc/$PPID/fd/902
  shell printf '\0' >/proc/$PPID/fd/902
end
document guestcore-begin
Load guestcore's library into gdb, unless it is there, and begin a request to
it. Part of other commands.
end

define guestcore-end
  dont-repeat
  shell exec 3</proc/$PPID/fd/903; printf '\0%s\0' $$ >/proc/$PPID/fd/902; exec cat <&3
  source /proc/self/fd/901
end
document guestcore-end
End a request to guestcore's library, and show its answer. Part of other
commands.
end

define guestcore-load
  dont-repeat
  guestcore-begin
  shell printf guestcore-load >/proc/$PPID/fd/902
  guestcore-end
end
document guestcore-load
Load guestcore's library into gdb, and have it keep the core file that gdb has
open: "target remote /proc/self/fd/900" then shows it as guestcore serves it.
end

define dump-guest-memory
  dont-repeat
  guestcore-begin
  shell printf dump-guest-memory >/proc/$PPID/fd/902
  set $guestcore_argument = 0
  while $guestcore_argument < $argc
    eval "shell sed -zn 's/^[^\\x23]*\\x23//p' /proc/$$/cmdline | tr -d '\\000' >/proc/$PPID/fd/902 # $arg%d", $guestcore_argument
    set $guestcore_argument = $guestcore_argument + 1
  end
  guestcore-end
end
document dump-guest-memory
Write the memory of a QEMU guest to a file, as a vmcore.

dump-guest-memory FILE ARCH

QEMU may be a core file, a process that gdb has attached to, or on the other
side of "target remote": of guestcore, or of a gdbserver on this machine.

FILE becomes an ELF vmcore with the guest's memory, its kernel's VMCOREINFO
note, and what is known of its processors' registers; crash, drgn,
makedumpfile and gdb read it.

ARCH is one of aarch64-be, aarch64-le, X86_64, 386, s390, ppc64-be, ppc64-le,
arm, arm-be, riscv64, riscv32, loongarch64, or auto, which may be left out.
"dump-guest-memory" alone lists the flags.

Ctrl-C ends the command and leaves no file.
end
