/*
 * abuse CORE OTHER DUMP PID: calls of guestcore.h that must fail, from one
 * thread and from many, and those that must not for all that. It prints what
 * went another way than it should, and how many checks there were.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "guestcore.h"

static int checks, wrong;

#define CHECK(what) check(what, #what, __LINE__)

static void check(int ok, const char *what, int line)
{
	__atomic_add_fetch(&checks, 1, __ATOMIC_RELAXED);
	if (ok)
		return;
	__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
	printf("line %d: not so: %s; the error is %s\n", line, what, guestcore_error());
}

/* The call has failed, and the error says this. */
static int says(int64_t result, const char *text)
{
	return result == -1 && strstr(guestcore_error(), text) != NULL;
}

static int calls;

static int cancel(uint64_t done, uint64_t total, void *data)
{
	__atomic_add_fetch(&calls, 1, __ATOMIC_RELAXED);
	return done <= total && data == &calls ? 1 : 0;
}

static guestcore_t shared;
static const char *core, *other;

/* Many threads read one handle, open and close their own, and have errors of their own. */
static void *thread(void *number)
{
	char text[64];
	unsigned char one[4096], two[4096];
	int i;

	snprintf(text, sizeof text, "/nonexistent/%ld", (long)number);
	for (i = 0; i < 20; i++) {
		guestcore_t own;

		CHECK(says(guestcore_open_core(text, NULL), text));
		CHECK(guestcore_read(shared, 0xfffff000, one, sizeof one) == sizeof one);
		CHECK(strstr(guestcore_error(), text) != NULL); /* until the next one that fails */
		own = guestcore_open_core(core, NULL);
		CHECK(own > 0 && own != shared);
		CHECK(guestcore_read(own, 0xfffff000, two, sizeof two) == sizeof two && memcmp(one, two, sizeof two) == 0);
		CHECK(guestcore_close(own) == 0);
		CHECK(says(guestcore_read(own, 0, two, sizeof two), "not an open handle"));
	}
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned char buffer[64];
	struct guestcore_range range[2];
	struct sigaction action;
	const char *dump[] = { argv[3], NULL }, *flag[] = { "--fromat", "elf", argv[3], NULL }, *none[] = { NULL };
	pthread_t threads[8];
	guestcore_t live;
	long i;

	if (argc != 5)
		return 2;
	core = argv[1];
	other = argv[2];
	CHECK(strncmp(guestcore_version(), "guestcore", 9) == 0);
	CHECK(guestcore_error()[0] == 0);

	CHECK(says(guestcore_open_core(NULL, NULL), "NULL"));
	CHECK(says(guestcore_open_core("/nonexistent", NULL), "no such file"));
	CHECK(says(guestcore_open_core("/", NULL), "/"));
	CHECK(says(guestcore_open_core(other, NULL), other));
	CHECK(says(guestcore_open_core(core, "/nonexistent"), "/nonexistent"));
	CHECK(says(guestcore_open_pid(0), "process"));
	CHECK(says(guestcore_open_pid(-5), "process"));
	CHECK(says(guestcore_open_pid(getpid()), ""));
	for (i = -1; i <= 1; i++) {
		CHECK(says(guestcore_close(i), "not an open handle"));
		CHECK(says(guestcore_ranges(i, NULL, 0), "not an open handle"));
		CHECK(says(guestcore_read(i, 0, buffer, sizeof buffer), "not an open handle"));
		CHECK(says(guestcore_dump(i, dump, NULL, NULL), "not an open handle"));
	}

	shared = guestcore_open_core(core, NULL);
	CHECK(shared > 0);
	CHECK(guestcore_ranges(shared, NULL, 0) > 2);
	CHECK(guestcore_ranges(shared, range, 2) > 2 && range[0].start == 0 && range[1].start == range[0].size);
	CHECK(guestcore_read(shared, 0, NULL, 0) == 0);
	CHECK(says(guestcore_read(shared, 0, NULL, 8), "NULL"));
	CHECK(says(guestcore_read(shared, 0, buffer, UINT64_MAX), "large"));
	CHECK(says(guestcore_read(shared, UINT64_MAX, buffer, sizeof buffer), "0xffffffffffffffff"));
	CHECK(says(guestcore_read(shared, 0x40000000, buffer, sizeof buffer), "0x40000000"));
	CHECK(guestcore_read(shared, 0x40000000 - 16, buffer, sizeof buffer) == 16);
	CHECK(says(guestcore_dump(shared, NULL, NULL, NULL), "FILE is missing"));
	CHECK(says(guestcore_dump(shared, none, NULL, NULL), "FILE is missing"));
	CHECK(says(guestcore_dump(shared, flag, NULL, NULL), "did you mean --format?"));
	CHECK(says(guestcore_dump(shared, (const char *[]){ "/nonexistent/x", NULL }, NULL, NULL), "/nonexistent"));
	CHECK(says(guestcore_dump(shared, (const char *[]){ "-", NULL }, NULL, NULL), "name a file"));

	/* Nothing is read from the FIFO: the dump stands still until it is cancelled. */
	CHECK(open("fifo", O_RDONLY | O_NONBLOCK) >= 0);
	CHECK(says(guestcore_dump(shared, (const char *[]){ "fifo", NULL }, cancel, &calls), "cancelled"));
	CHECK(calls > 0);
	CHECK(access(argv[3], F_OK) != 0 && errno == ENOENT);

	for (i = 0; i < 8; i++)
		CHECK(pthread_create(&threads[i], NULL, thread, (void *)i) == 0);
	for (i = 0; i < 8; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);

	CHECK(guestcore_dump(shared, dump, NULL, NULL) == 0);
	CHECK(guestcore_close(shared) == 0);
	CHECK(says(guestcore_close(shared), "not an open handle"));

	live = guestcore_open_pid(atoi(argv[4]));
	CHECK(live > 0 && guestcore_ranges(live, NULL, 0) > 0);
	CHECK(guestcore_read(live, 0, buffer, sizeof buffer) == sizeof buffer);
	CHECK(guestcore_close(live) == 0);

	/* The program's own signals are what they were. */
	CHECK(sigaction(SIGINT, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
	CHECK(sigaction(SIGTERM, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
	printf("%d checks, %d wrong\n", checks, wrong);
	return wrong != 0;
}
