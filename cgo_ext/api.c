/* The functions of guestcore.h: they keep each thread's error and call Go, which knows no NULL. */
#include "guestcore.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "_cgo_export.h"

/*
 * Each thread's error lies on the heap. A _Thread_local array would take part
 * in the library's static TLS, of which a program that loads it late, as gdb
 * does, has only some hundred bytes.
 */
static pthread_key_t last_error;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_key(void)
{
	pthread_key_create(&last_error, free);
}

void keep_error(const char *text)
{
	pthread_once(&once, make_key);
	free(pthread_getspecific(last_error));
	pthread_setspecific(last_error, strdup(text));
}

const char *guestcore_error(void)
{
	const char *text;

	pthread_once(&once, make_key);
	text = pthread_getspecific(last_error);
	return text != NULL ? text : "";
}

int call_progress(void *function, uint64_t done, uint64_t total, void *data)
{
	return ((guestcore_progress *)function)(done, total, data);
}

static char version[128];
static pthread_once_t version_once = PTHREAD_ONCE_INIT;

static void make_version(void)
{
	goVersion(version, sizeof version);
}

const char *guestcore_version(void)
{
	pthread_once(&version_once, make_version);
	return version;
}

guestcore_t guestcore_open_core(const char *core, const char *executable)
{
	return goOpenCore((char *)core, (char *)executable);
}

guestcore_t guestcore_open_pid(int pid)
{
	return goOpenPID(pid);
}

int guestcore_close(guestcore_t guest)
{
	return goClose(guest);
}

int64_t guestcore_ranges(guestcore_t guest, struct guestcore_range *ranges, uint64_t count)
{
	return goRanges(guest, ranges, count);
}

int64_t guestcore_read(guestcore_t guest, uint64_t address, void *buffer, uint64_t size)
{
	return goRead(guest, address, buffer, size);
}

int guestcore_dump(guestcore_t guest, const char *const *arguments, guestcore_progress *progress, void *data)
{
	return goDump(guest, (char **)arguments, (void *)progress, data);
}
