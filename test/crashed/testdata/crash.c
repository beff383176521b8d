// A program of four threads that dies in the third one. What the tests look
// at is named here; crashed.go compiles it.
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

extern __thread long lib_tls;
long lib_touch(long v);

struct point { int x, y; const char *name; };
struct point global = { 3, -4, "a point" };
char haystack[8192] = "needle at the front";
__thread long my_tls = 7;

static pthread_barrier_t ready;

__attribute__((noinline)) static void die(volatile double a, struct point *p)
{
	asm volatile("movsd %0, %%xmm0" :: "m"(a) : "xmm0");
	if (p->x == 3)
		*(volatile int *)8 = 1; // SIGSEGV
}

__attribute__((noinline)) static void worker(long n)
{
	my_tls = 100 + n;
	errno = 40 + (int)n;
	lib_touch(1000 + n);
	pthread_barrier_wait(&ready);
	if (n == 2) {
		usleep(100 * 1000); // the others are asleep now
		dlopen(DIR "/libnear.so", RTLD_NOW);
		long *(*touch)(void) = dlsym(dlopen(DIR "/libfar.so", RTLD_NOW), "far_touch");
		*touch() = 14;
		die(2.5, &global);
	}
	for (;;)
		pause();
}

static void *start(void *arg)
{
	worker((long)arg);
	return 0;
}

int main(void)
{
	pthread_t t;
	char *heap = malloc(1 << 20);

	heap[4096] = 1;
	pthread_barrier_init(&ready, 0, 4);
	for (long n = 1; n <= 3; n++)
		pthread_create(&t, 0, start, (void *)n);
	pthread_barrier_wait(&ready);
	for (;;)
		pause();
}
