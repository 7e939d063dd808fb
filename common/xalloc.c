#include "common/xalloc.h"

#include <stdlib.h>

void *xcalloc(size_t n, size_t size)
{
    void *p = calloc(n, size);
    if (p == NULL)
        abort();
    return p;
}
