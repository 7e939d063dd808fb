/*
 * When the next attempt to connect to a camera comes.  Worker; pure: time and chance are arguments.
 */
#ifndef WORKER_BACKOFF_H
#define WORKER_BACKOFF_H

#include <stdbool.h>
#include <stdint.h>

#define BACKOFF_MIN_MS 500
/* The longest wait if viewers watch and the camera refuses or answers quickly: they see it within
 * 2 s of its return. */
#define BACKOFF_WATCHED_MS 1500
#define BACKOFF_MAX_MS 15000
#define BACKOFF_ATTEMPT_EVERY_MS 1000 /* least time between the starts of two attempts */
#define BACKOFF_JITTER 4              /* plus or minus a quarter */

/**
 * How long to wait when an attempt has failed or the camera was lost: twice as long each time.
 *
 * @param failed   how many attempts have failed since the camera last streamed.
 * @param watched  viewers watch, and the camera does not hang, so an attempt costs little.
 * @param random   any number.
 */
int64_t backoff_ms(unsigned failed, bool watched, uint32_t random);

/** @return the least time from now to the next attempt.
 * @param began_ms, now_ms  clock_ms(): when the last attempt began (0: none), and now. */
int64_t backoff_least_ms(int64_t began_ms, int64_t now_ms);

#endif /* WORKER_BACKOFF_H */
