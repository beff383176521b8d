// A library with a thread-local variable of its own.
__thread long lib_tls = 5;

long lib_touch(long v)
{
	return lib_tls = v;
}
