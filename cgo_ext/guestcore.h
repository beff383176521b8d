/*
 * guestcore.h: the memory of the guest of a stopped QEMU, for C programs.
 *
 * Link with -lguestcore. All functions may be called from any thread; calls
 * on one handle wait for each other. A function that fails returns -1, and
 * guestcore_error() then says why, to the thread that called it.
 */
#ifndef GUESTCORE_H
#define GUESTCORE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An open guest, greater than 0. Handles are not used again. */
typedef int64_t guestcore_t;

/* A range of guest-physical memory. */
struct guestcore_range {
	uint64_t start;
	uint64_t size;  /* bytes */
	uint32_t flags; /* GUESTCORE_ROM */
	uint32_t unused;
};

#define GUESTCORE_ROM 1u /* the guest cannot write it */

/*
 * Told how far a dump is, in bytes, after its first second about twice a
 * second. It runs in a thread of its own, and never after guestcore_dump has
 * returned. A value other than 0 cancels the dump.
 */
typedef int guestcore_progress(uint64_t done, uint64_t total, void *data);

/* The program's name and version. */
const char *guestcore_version(void);

/* Why the last call of this thread failed; valid until its next call. */
const char *guestcore_error(void);

/*
 * Open the core file of a QEMU process. executable is QEMU's program, NULL for
 * the one that the core names.
 */
guestcore_t guestcore_open_core(const char *core, const char *executable);

/*
 * Open a running QEMU process. It is stopped until the handle is closed, or
 * until this program ends.
 */
guestcore_t guestcore_open_pid(int pid);

/* Close a handle. Returns 0. */
int guestcore_close(guestcore_t guest);

/*
 * List the guest's memory: fill in up to count ranges, by rising address, and
 * return how many there are. ranges may be NULL if count is 0.
 */
int64_t guestcore_ranges(guestcore_t guest, struct guestcore_range *ranges, uint64_t count);

/*
 * Read guest-physical memory, and return how many bytes were read: fewer than
 * size where memory ends or the source lacks it (guestcore_error says which),
 * -1 if that is the first byte.
 */
int64_t guestcore_read(guestcore_t guest, uint64_t address, void *buffer, uint64_t size);

/*
 * Write the guest's memory to a file. arguments, ended by NULL, are those of
 * "dump-guest-memory" in gdb's monitor: the file's name and, if it has to be
 * named, the architecture, with flags like "--format" and "kdump-zlib"
 * anywhere. The file appears when it is whole. Returns 0.
 */
int guestcore_dump(guestcore_t guest, const char *const *arguments, guestcore_progress *progress, void *data);

#ifdef __cplusplus
}
#endif

#endif
