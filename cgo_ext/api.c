/* The functions of guestcore.h: they keep each thread's error and call Go, which knows no NULL. */
#include "guestcore.h"

#include <stdio.h>

#include "_cgo_export.h"

static _Thread_local char last_error[4096];

void guestcore_set_error(const char *text)
{
	snprintf(last_error, sizeof last_error, "%s", text);
}

int guestcore_call_progress(void *function, uint64_t done, uint64_t total, void *data)
{
	return ((guestcore_progress *)function)(done, total, data);
}

const char *guestcore_error(void)
{
	return last_error;
}

const char *guestcore_version(void)
{
	static _Thread_local char text[128];

	goVersion(text, sizeof text);
	return text;
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
