/*
 * example: what guestcore.h offers, on a core file of QEMU.
 *
 *     cc -o example example.c -lguestcore
 *     ./example CORE FILE
 *
 * lists the guest's memory, prints the first bytes of each range, and writes
 * the memory to FILE.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "guestcore.h"

static void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, guestcore_error());
	exit(1);
}

static int show(uint64_t done, uint64_t total, void *data)
{
	fprintf(stderr, "%s: %" PRIu64 " of %" PRIu64 " bytes\n", (char *)data, done, total);
	return 0; /* go on */
}

int main(int argc, char **argv)
{
	guestcore_t guest;
	struct guestcore_range *ranges;
	int64_t count, i;

	if (argc != 3) {
		fprintf(stderr, "usage: %s CORE FILE\n", argv[0]);
		return 2;
	}
	guest = guestcore_open_core(argv[1], NULL);
	if (guest < 0)
		die(argv[1]);
	count = guestcore_ranges(guest, NULL, 0);
	if (count < 0)
		die("ranges");
	ranges = calloc(count, sizeof *ranges);
	if (ranges == NULL || guestcore_ranges(guest, ranges, count) != count)
		die("ranges");
	for (i = 0; i < count; i++) {
		unsigned char bytes[8];

		if (guestcore_read(guest, ranges[i].start, bytes, sizeof bytes) != sizeof bytes)
			die("read");
		printf("%#" PRIx64 "-%#" PRIx64 "%s %02x%02x%02x%02x\n", ranges[i].start, ranges[i].start + ranges[i].size,
		       ranges[i].flags & GUESTCORE_ROM ? " ROM" : "", bytes[0], bytes[1], bytes[2], bytes[3]);
	}
	free(ranges);
	if (guestcore_dump(guest, (const char *[]){ argv[2], NULL }, show, argv[2]) != 0)
		die(argv[2]);
	return guestcore_close(guest) == 0 ? 0 : 1;
}
