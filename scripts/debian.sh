# shellcheck shell=bash
# debian.sh: Debian packages for the scripts beside it. Sourced, never run.
#
# apt runs with state, cache and sources of its own in the cache folder. The sources are the system's with deb-src added, so
# `apt-get source` works while /etc/apt and /var/lib/apt stay as they are. Packages that must not touch the system (kernels,
# debug symbols, a second gdb) are unpacked in the cache folder; the rest is installed.

cache=${GUESTCORE_CACHE:-$HOME/.cache/guestcore}
apt_root=$cache/apt
apt_options=(-qq -o "Dir::State=$apt_root/state" -o Dir::State::status=/var/lib/dpkg/status -o "Dir::Cache=$apt_root/cache"
	-o Dir::Etc::sourcelist=/dev/null -o "Dir::Etc::sourceparts=$apt_root/sources" -o APT::Sandbox::User=root
	-o Acquire::Retries=3 -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=300)
export DEBIAN_FRONTEND=noninteractive LC_ALL=C

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }
die() {
	say "$*"
	exit 1
}

# apt_lists: fetches the package lists, once in a run and only when something is missing.
apt_lists() {
	[ -z "${apt_fresh:-}" ] || return 0
	[ -r /etc/debian_version ] || die "this needs Debian 12 (bookworm), and this system is not Debian"
	[ "$(id -u)" = 0 ] || die "must be root to install Debian packages: run it again as root"
	mkdir -p "$apt_root/sources" "$apt_root/state/lists/partial" "$apt_root/cache/archives/partial"
	rm -f "$apt_root/sources"/*
	local file
	for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
		[ -r "$file" ] || continue
		sed -n -E 's/^[[:space:]]*deb([[:space:]].*)/deb\1\ndeb-src\1/p' "$file" >"$apt_root/sources/${file##*/}.list"
	done
	for file in /etc/apt/sources.list.d/*.sources; do
		[ -r "$file" ] || continue
		sed -E 's/^Types:.*/Types: deb deb-src/' "$file" >"$apt_root/sources/${file##*/}"
	done
	cat "$apt_root/sources"/* 2>/dev/null | grep -q '^\(deb\|Types\)' ||
		die "no package source in /etc/apt: add Debian's own sources there, then run it again"
	apt-get "${apt_options[@]}" --error-on=any update >"$apt_root/update.log" 2>&1 || {
		tail -n 10 "$apt_root/update.log" >&2
		die "cannot fetch Debian's package lists: check the network and /etc/apt, then run it again"
	}
	apt_fresh=1
}

# installed PACKAGE: it is on the system.
installed() { dpkg-query -W -f '${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'; }

# install PACKAGE…: installs those that are missing, without their recommendations, and never removes another package.
install() {
	local missing=() package
	for package; do installed "$package" || missing+=("$package"); done
	[ ${#missing[@]} -gt 0 ] || return 0
	apt_lists
	say "installing ${missing[*]}"
	apt-get "${apt_options[@]}" install -y --no-install-recommends --no-remove "${missing[@]}" >"$apt_root/install.log" 2>&1 || {
		tail -n 20 "$apt_root/install.log" >&2
		die "cannot install ${missing[*]}: the lines above say why"
	}
}

# unpack PACKAGE FOLDER [PATH…]: unpacks the package, or only these paths of it, into FOLDER. Its dependencies do not come.
unpack() {
	local package=$1 folder=$2
	shift 2
	apt_lists
	say "unpacking $package in $folder"
	local deb=$cache/deb
	rm -rf "$deb"
	mkdir -p "$deb" "$folder"
	(cd "$deb" && apt-get "${apt_options[@]}" download "$package") ||
		die "cannot download $package: check the network and the free space of $cache"
	dpkg-deb -f "$deb"/*.deb Depends >"$deb/depends"
	dpkg-deb --fsys-tarfile "$deb"/*.deb | tar -x -C "$folder" --no-same-owner --wildcards "$@" ||
		die "cannot unpack $package: check the free space of $cache"
	rm -f "$deb"/*.deb
}

# install_libraries: installs the shared libraries that the package last unpacked depends on.
install_libraries() {
	local libraries
	libraries=$(tr ',' '\n' <"$cache/deb/depends" | sed -E 's/[(|:].*//; s/[[:space:]]//g' | grep '^lib')
	# shellcheck disable=SC2086
	install $libraries
}
