/*
 * gdb's way in: the functions that "jit-reader-load" looks for. The interface
 * is that of gdb/jit-reader.h, version 1, declared here as far as it is used.
 *
 * gdb calls unwind for every frame, and read for every symbol file the
 * inferior registers: both decline here, in C, without entering Go.
 */
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>

#include "_cgo_export.h"

enum { GDB_FAIL = 0 };
enum { READER_VERSION = 1, NO_READER = 0 };

struct gdb_reader_funcs {
	int reader_version;
	void *priv_data;
	int (*read)(struct gdb_reader_funcs *, void *, void *, long);
	int (*unwind)(struct gdb_reader_funcs *, void *);
	struct frame_id { unsigned long code_address, stack_address; } (*get_frame_id)(struct gdb_reader_funcs *, void *);
	void (*destroy)(struct gdb_reader_funcs *);
};

static int read_symbols(struct gdb_reader_funcs *self, void *callbacks, void *memory, long size)
{
	return GDB_FAIL;
}

static int unwind(struct gdb_reader_funcs *self, void *callbacks)
{
	return GDB_FAIL;
}

static struct frame_id get_frame_id(struct gdb_reader_funcs *self, void *callbacks)
{
	struct frame_id id = { 0, 0 };
	return id;
}

static void destroy(struct gdb_reader_funcs *self)
{
	/* Go's threads stay, and with them the library: dlclose does not unload it. */
}

static struct gdb_reader_funcs reader = { READER_VERSION, NULL, read_symbols, unwind, get_frame_id, destroy };

/* A null pointer would crash gdb; a version it does not know makes it say so and refuse the library. */
static struct gdb_reader_funcs refused = { NO_READER, NULL, read_symbols, unwind, get_frame_id, destroy };

/* gdb looks for this name before it loads a reader. guestcore's licence, MIT, is compatible with the GPL. */
int plugin_is_GPL_compatible(void)
{
	return 1;
}

struct gdb_reader_funcs *gdb_init_reader(void)
{
	return guestcoreStartInGDB() ? &reader : &refused;
}

/*
 * The signals that gdb handles must reach gdb's own threads: its handlers run
 * on the stack of the thread they interrupt, which a goroutine's is too small
 * for. Go's threads inherit what is blocked while its runtime starts, which is
 * between these two constructors.
 */
static sigset_t before;

__attribute__((constructor(101))) static void block_signals(void)
{
	static const int host[] = { SIGINT, SIGCHLD, SIGALRM, SIGWINCH, SIGTERM, SIGTSTP, SIGCONT, SIGHUP, SIGQUIT };
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < sizeof host / sizeof host[0]; i++)
		sigaddset(&set, host[i]);
	pthread_sigmask(SIG_BLOCK, &set, &before);
}

__attribute__((constructor)) static void restore_signals(void)
{
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}
