# shellcheck shell=bash
# bash's completion of guestcore. Commands, flags and their values are what the program's own help lists.

_guestcore_values() { # of the flag $2 of the command $1, where its help lists them
	"$command" help "$1" 2>/dev/null | sed -n "s/^  $2 \(NAME\|WHEN\) .*: //p" | sed 's/([^)]*)//g; s/,/ /g'
}

_guestcore() {
	local command=$1 word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} verb=${COMP_WORDS[1]}
	local archs="auto X86_64 386 aarch64-le aarch64-be arm arm-be s390 ppc64-le ppc64-be riscv64 riscv32 loongarch64"
	COMPREPLY=()
	if [ "$COMP_CWORD" = 1 ] || [ "$verb" = help ]; then
		mapfile -t COMPREPLY < <(compgen -W "$("$command" help 2>/dev/null | sed -n 's/^  guestcore \([a-z]*\).*/\1/p')" -- "$word")
		return
	fi
	case $before in
	--format | --sparse | --direct)
		mapfile -t COMPREPLY < <(compgen -W "$(_guestcore_values "$verb" "$before")" -- "$word")
		return
		;;
	--arch)
		mapfile -t COMPREPLY < <(compgen -W "$archs" -- "$word")
		return
		;;
	--*-dir | --sysroot)
		mapfile -t COMPREPLY < <(compgen -d -- "$word")
		return
		;;
	--pid)
		mapfile -t COMPREPLY < <(compgen -W "$(pgrep qemu 2>/dev/null)" -- "$word")
		return
		;;
	esac
	if [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$("$command" help "$verb" 2>/dev/null | sed -n 's/^  \(-[^ ]*\) .*/\1/p')" -- "$word")
		return
	fi
	mapfile -t COMPREPLY < <(compgen -f -- "$word")
	if [ "$verb" = dump ] && [ "$COMP_CWORD" -gt 3 ]; then
		mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -W "$archs" -- "$word")
	fi
}

complete -o filenames -F _guestcore guestcore
