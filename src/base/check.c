#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void check_failed(const char *file, int line, const char *text)
{
	fprintf(stderr, "postern: internal check failed at %s:%d: %s\n", file, line, text);
	abort();
}
