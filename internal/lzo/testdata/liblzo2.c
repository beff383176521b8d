/*
 * liblzo2 as a filter, for the tests. A request is: 'c' or 'd', room for the result and size of the data, both 32 bits in
 * the machine's byte order, the data. The answer: liblzo2's status, size of the result, the result.
 */
#include <lzo/lzo1x.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void take(void *to, size_t size)
{
	if (size && fread(to, 1, size, stdin) != size)
		exit(1);
}

int main(void)
{
	void *memory = malloc(LZO1X_1_MEM_COMPRESS);

	if (!memory || lzo_init() != LZO_E_OK)
		return 1;
	for (int op; (op = getchar()) != EOF;) {
		uint32_t sizes[2];
		int32_t status;
		unsigned char *in, *out;
		lzo_uint n;

		take(sizes, sizeof(sizes));
		/* Of the right size, so that a tool such as valgrind sees each byte too far. */
		out = malloc(sizes[0] ? sizes[0] : 1);
		in = malloc(sizes[1] ? sizes[1] : 1);
		if (!out || !in)
			return 1;
		take(in, sizes[1]);
		n = sizes[0];
		status = op == 'c' ? lzo1x_1_compress(in, sizes[1], out, &n, memory)
				   : lzo1x_decompress_safe(in, sizes[1], out, &n, NULL);
		sizes[0] = n;
		fwrite(&status, sizeof(status), 1, stdout);
		fwrite(sizes, sizeof(sizes[0]), 1, stdout);
		fwrite(out, 1, n, stdout);
		fflush(stdout);
		free(in);
		free(out);
	}
	return 0;
}
