# dump-guest-memory for any gdb from 10 on, with or without Python: source this file, or have gdb find it where
# "make install" puts it. It takes the place of QEMU's dump-guest-memory.py and needs libguestcore.so.

define guestcore-load
  dont-repeat
  shell test -e /proc/$PPID/fd/902
  if $_shell_exitcode != 0
    jit-reader-load @LIBRARY@
  end
end
document guestcore-load
Load guestcore's library into gdb, if it is not there.
end

define dump-guest-memory
  dont-repeat
  guestcore-load
  pipe info inferiors | cat >/proc/$PPID/fd/902
  if $argc == 0
    shell exec 3</proc/$PPID/fd/903; printf '\0%s\0help dump-guest-memory\0' $$ >/proc/$PPID/fd/902; exec cat <&3
  end
  if $argc == 1
    shell exec 3</proc/$PPID/fd/903; printf '\0%s\0dump-guest-memory %s\0' $$ '$arg0' >/proc/$PPID/fd/902; exec cat <&3
  end
  if $argc == 2
    shell exec 3</proc/$PPID/fd/903; printf '\0%s\0dump-guest-memory %s\0' $$ '$arg0 $arg1' >/proc/$PPID/fd/902; exec cat <&3
  end
  source /proc/self/fd/901
end
document dump-guest-memory
Write the memory of QEMU's guest to a file, as a vmcore.
end
