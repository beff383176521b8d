# shellcheck shell=bash
# suite.sh: programs of another Debian release for the scripts beside it. Sourced after debian.sh and
# targets.sh, never run.
#
# A suite is a folder of the cache, suites/NAME: in root/ are packages and all that they depend on, the C library included.
# They are unpacked, not installed: no script of theirs runs, and nothing of the system changes. Beside it, run starts a
# program in there, by chroot.

# suite NAME PACKAGE…: makes the suite of that name hold these packages, unless it does. The name is that of the release; what
# stands in front of it, up to a -, tells two of one release apart. Programs that run in an older one end in peace.
suite() {
	local name=${1##*-} folder=$cache/suites/$1
	shift
	[ "$(cat "$folder/packages" 2>/dev/null)" != "$*" ] || return 0
	say "unpacking $* of Debian $name in $folder"
	rm -rf "$folder.new"
	suite_download "$name" "$folder.new/apt" "$@"
	suite_unpack "$folder.new/apt" "$folder.new/root"
	suite_run "$folder/root" "$folder.new/run"
	rm -rf "$folder.new/apt"
	echo "$*" >"$folder.new/packages"
	rm -rf "$folder.old"
	[ ! -e "$folder" ] || mv "$folder" "$folder.old"
	mv "$folder.new" "$folder"
	rm -rf "$folder.old"
}

# suite_program NAME PROGRAM: makes bin/NAME-PROGRAM in the cache start that program of the suite.
suite_program() {
	mkdir -p "$cache/bin"
	printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' "$cache/suites/$1/run" "$2" >"$cache/bin/$1-$2"
	chmod +x "$cache/bin/$1-$2"
}

# suite_gdb NAME: makes bin/NAME in the cache start the suite's gdb outside of the suite, with the suite's libraries: it then
# finds the machine's own files, which are what cores made here had mapped.
suite_gdb() {
	local root=$cache/suites/$1/root
	mkdir -p "$cache/bin"
	cat >"$cache/bin/$1" <<-END
		#!/bin/sh
		unset PYTHONPATH
		PYTHONHOME="$root/usr" PATH=/usr/bin:/bin exec "$root/lib64/ld-linux-x86-64.so.2" --library-path "$root/usr/lib/x86_64-linux-gnu" "$root/usr/bin/gdb" --data-directory="$root/usr/share/gdb" "\$@"
	END
	chmod +x "$cache/bin/$1"
}

# suite_lists NAME FOLDER ARCH: fetches the package lists of a release for an architecture, from where the system's own come
# from, and sets suite_options to those of an apt that has its state in FOLDER. It is told that nothing is installed.
suite_lists() {
	local name=$1 folder=$2 arch=$3 mirror keys=/usr/share/keyrings/debian-archive-keyring.gpg
	apt_lists # they name the release, and a new machine has none of its own
	# shellcheck disable=SC1091,SC2016
	mirror=$(apt-get "${apt_options[@]}" indextargets --format '$(REPO_URI)' 'Created-By: Packages' \
		"Codename: $(. /etc/os-release && echo "$VERSION_CODENAME")" | head -n 1)
	[ -n "$mirror" ] || die "no package source in /etc/apt: add Debian's own sources there, then run it again"
	[ -r "$keys" ] || install debian-archive-keyring
	mkdir -p "$folder"/{state/lists/partial,cache/archives/partial}
	: >"$folder/state/status"
	echo "deb [signed-by=$keys] $mirror $name main" >"$folder/sources"
	suite_options=("${apt_options[@]}" -o "Dir::State=$folder/state" -o "Dir::State::status=$folder/state/status"
		-o "Dir::Cache=$folder/cache" -o "Dir::Etc::sourcelist=$folder/sources" -o Dir::Etc::sourceparts=/dev/null
		-o Dir::Etc::preferencesparts=/dev/null -o "APT::Architecture=$arch" -o "APT::Architectures=$arch" -o Acquire::Languages=none)
	apt-get "${suite_options[@]}" --error-on=any update >"$folder/log" 2>&1 || suite_failed "$folder" "the lists of Debian $name"
}

# suite_failed FOLDER WHAT: ends the script: WHAT could not be fetched, as the log in FOLDER tells.
suite_failed() {
	tail -n 20 "$1/log" >&2
	die "cannot fetch $2: check the network; unstable may lack a package for a day"
}

# suite_download NAME FOLDER PACKAGE…: fetches the packages and every dependency, for the architecture suite_arch if that is set.
suite_download() {
	local name=$1 folder=$2
	shift 2
	suite_lists "$name" "$folder" "${suite_arch:-amd64}"
	apt-get "${suite_options[@]}" install -y --download-only --no-install-recommends "$@" >"$folder/log" 2>&1 ||
		suite_failed "$folder" "$* of Debian $name"
}

# suite_unpack FOLDER ROOT: unpacks what suite_download left in FOLDER, without documentation. The links of the merged /usr
# belong to no dependency (they are base-files').
suite_unpack() {
	local root=$2 part deb
	mkdir -p "$root"/{dev,etc,proc,tmp,usr/{bin,lib,lib64,sbin}}
	for part in bin lib lib64 sbin; do ln -s "usr/$part" "$root/$part"; done
	for deb in "$1"/cache/archives/*.deb; do
		dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$root" --no-same-owner --keep-directory-symlink \
			--exclude './usr/share/doc/*' --exclude './usr/share/man/*' --exclude './usr/share/locale/*' ||
			die "cannot unpack ${deb##*/}: check the free space of $cache"
	done
	keep_targets "$root"
}

# suite_run ROOT FILE: writes a script that runs a program in ROOT as root. The program sees the cache, the temporary folder,
# /dev and /proc under their own names; the working folder must be in one of them. The mounts end with the program.
suite_run() {
	cat >"$2" <<-END
		#!/bin/sh
		# run PROGRAM ARG…
		exec unshare --mount /bin/sh -c '
			for folder in /dev /proc "\${TMPDIR:-/tmp}" "$cache"; do
				mkdir -p "$1\$folder" && mount --bind "\$folder" "$1\$folder" || exit
			done
			exec unshare --root="$1" --wd="\$PWD" "\$@"' run "\$@"
	END
	chmod +x "$2"
}
