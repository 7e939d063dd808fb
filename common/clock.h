/* The monotonic clock (CLOCK_MONOTONIC).  Every process, any thread. */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

/** Microseconds since an arbitrary point; never goes back, the same in every process. */
int64_t clock_us(void);

/** clock_us() in milliseconds. */
int64_t clock_ms(void);

#endif /* COMMON_CLOCK_H */
