# shellcheck shell=bash
# targets.sh: the architectures of the tests' guests, under the names that QEMU gives its emulators. Sourced, never run.

# shellcheck disable=SC2034
targets=(x86_64 i386 arm aarch64 s390x ppc64 riscv64 loongarch64)

# keep_targets FOLDER: deletes the emulators of other architectures in usr/bin of FOLDER; a package brings a dozen of them.
keep_targets() {
	local wanted=() target
	for target in "${targets[@]}"; do wanted+=(! -name "qemu-system-$target"); done
	find "$1/usr/bin" -name 'qemu-system-*' "${wanted[@]}" -delete
}
