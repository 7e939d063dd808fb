#include "common/clock.h"

#include <pthread.h>
#include <time.h>

/* Each process's loop reads this clock at least once a second.  After a longer gap than this, the
 * process did not run. */
#define GAP_US 2000000
/* The two clocks cannot be read at once: a smaller difference is no setting of the clock. */
#define CLOCK_SET_US 100000

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static int64_t seen_us; /* last reading; 0: none yet */
static int64_t absent_us;
static int64_t unix_ahead_us; /* the time of day less clock_us() */

static int64_t read_us(clockid_t clock)
{
    struct timespec ts;
    (void)clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t clock_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

int64_t clock_unix_us(void)
{
    return read_us(CLOCK_REALTIME);
}

int64_t clock_unix_of_us(int64_t at_us)
{
    (void)pthread_mutex_lock(&mutex);
    int64_t ahead_us = clock_unix_us() - clock_us();
    if (ahead_us - unix_ahead_us > CLOCK_SET_US || unix_ahead_us - ahead_us > CLOCK_SET_US)
        unix_ahead_us = ahead_us;
    int64_t unix_us = at_us + unix_ahead_us;
    (void)pthread_mutex_unlock(&mutex);
    return unix_us;
}

int64_t clock_awake_us(void)
{
    (void)pthread_mutex_lock(&mutex);
    int64_t now_us = clock_us();
    if (seen_us != 0 && now_us - seen_us > GAP_US)
        absent_us += now_us - seen_us;
    seen_us = now_us;
    int64_t awake_us = now_us - absent_us;
    (void)pthread_mutex_unlock(&mutex);
    return awake_us;
}

int64_t clock_ms(void)
{
    return clock_awake_us() / 1000;
}
