/*
 * The time at which a camera sent a frame, in the frame itself: a user_data_unregistered SEI
 * (ITU-T H.264 D.1.7, H.265 D.2.7) with the UUID below and CLOCK_MONOTONIC in microseconds as 16
 * hexadecimal digits, which need no emulation prevention.  Written by stamping.py.
 */
#ifndef TEST_BENCH_STAMP_H
#define TEST_BENCH_STAMP_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define STAMP_UUID "CAM-HTTPFLV-SENT"
#define STAMP_DIGITS 16
#define STAMP_WITHIN 512 /* bytes from a frame's begin: parameter sets may come before */

static inline int64_t stamp_now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

/* The first bytes of a frame.  Returns 0 when there is no stamp. */
static inline int64_t stamp_read(const uint8_t *data, size_t len)
{
    char digits[STAMP_DIGITS + 1] = "";
    const uint8_t *at = memmem(data, len, STAMP_UUID, strlen(STAMP_UUID));
    if (at == NULL || (size_t)(data + len - at) < strlen(STAMP_UUID) + STAMP_DIGITS)
        return 0;
    memcpy(digits, at + strlen(STAMP_UUID), STAMP_DIGITS);
    return strtoll(digits, NULL, 16);
}

#endif /* TEST_BENCH_STAMP_H */
