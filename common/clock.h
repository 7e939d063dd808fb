/* The monotonic clock (CLOCK_MONOTONIC), and the time of day.  Every process, any thread. */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

/** Microseconds since an arbitrary point; never goes back, the same in every process. */
int64_t clock_us(void);

/**
 * The clock for deadlines: it stands still while this process does not run (SIGSTOP, a frozen
 * cgroup, a virtual machine that is moved), because nobody else has missed anything meanwhile.
 * A process that has not asked for 2 s counts as one that did not run: loops ask once a second.
 * Not to be compared with clock_us() or with another process's.
 */
int64_t clock_awake_us(void);

/** clock_awake_us() in milliseconds. */
int64_t clock_ms(void);

/** The time of day: microseconds of UNIX time.  May jump when somebody sets the clock. */
int64_t clock_unix_us(void);

#endif /* COMMON_CLOCK_H */
