/*
 * Allocation that aborts when there is no memory: for small, bounded objects only.  Code whose
 * sizes come from the network calls malloc() and returns -ENOMEM.
 */
#ifndef COMMON_XALLOC_H
#define COMMON_XALLOC_H

#include <stddef.h>

/** @return zeroed memory for n objects of size bytes.  Caller owns; free(). */
void *xcalloc(size_t n, size_t size);

#endif /* COMMON_XALLOC_H */
