/* The monotonic clock (CLOCK_MONOTONIC), and the time of day.  Every process, any thread. */
#ifndef COMMON_CLOCK_H
#define COMMON_CLOCK_H

#include <stdint.h>

/** Microseconds since an arbitrary point, the same in every process; never goes back. */
int64_t clock_us(void);

/**
 * The clock for deadlines.  It stands still while this process does not run (SIGSTOP, a frozen
 * cgroup, a migrating virtual machine): a peer must not be blamed for time that we missed.
 * A gap of over 2 s between readings counts as not running, so every loop reads it once a second.
 * Do not compare it with clock_us() or with another process's clock.
 */
int64_t clock_awake_us(void);

/** clock_awake_us() in milliseconds. */
int64_t clock_ms(void);

/** The time of day: microseconds of UNIX time.  May jump when somebody sets the clock. */
int64_t clock_unix_us(void);

/** The time of day at a moment of clock_us().  The same for the same moment each time, unless
 * somebody has set the clock in between. */
int64_t clock_unix_of_us(int64_t at_us);

#endif /* COMMON_CLOCK_H */
