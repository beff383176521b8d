// Loaded with dlopen when the threads are there already: their tables do not
// know of it until they use it. INITIAL_EXEC puts the variable at a fixed
// distance from the thread pointer all the same.
#ifdef INITIAL_EXEC
__attribute__((tls_model("initial-exec"))) __thread long near_tls = 11;

long *near_touch(void)
{
	return &near_tls;
}
#else
__thread long far_tls = 13;

long *far_touch(void)
{
	return &far_tls;
}
#endif
