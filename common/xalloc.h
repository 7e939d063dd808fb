/*
 * Allocation that aborts when memory is out: for small, bounded objects only.  Sizes that come
 * from the network use malloc() and return -ENOMEM.
 */
#ifndef COMMON_XALLOC_H
#define COMMON_XALLOC_H

#include <stddef.h>

/** Zeroed memory for n objects of a size.  Caller owns it; free(). */
void *xcalloc(size_t n, size_t size);

#endif /* COMMON_XALLOC_H */
