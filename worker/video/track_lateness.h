/*
 * By how much one track's packets have become late at once: a camera, or the way from it, holds its
 * sound or its pictures back for a while.  Its stamps are still right, so the output keeps the two
 * tracks together.  Worker, source thread.  Pure.
 *
 * A slow clock makes packets late little by little.  A camera that loses media without telling its
 * stamps also makes them late at once, but for good, and again and again: so lateness counts for
 * some time only, and only once.
 */
#ifndef WORKER_TRACK_LATENESS_H
#define WORKER_TRACK_LATENESS_H

#include <stdint.h>

/* Plain: lives in its user by value; zeroed, nothing is late. */
struct track_lateness {
    int64_t late_us;
    int64_t began_us;  /* arrival at which that began */
    int64_t before_us; /* what the newest note but one said */
    int64_t blind_us;  /* arrival until which notes do not count */
};

/**
 * Note how much later the earliest packets come than at the note before, without what the clock's
 * error explains.
 *
 * @param later_us   negative: earlier.
 * @param passed_us  time since the note before.
 * @param now_us     arrival.
 */
void track_lateness_note(struct track_lateness *lateness, int64_t later_us, int64_t passed_us,
                         int64_t now_us);

/** Something else explains what was late: nothing is, and nothing counts before until_us. */
void track_lateness_clear(struct track_lateness *lateness, int64_t until_us);

#endif /* WORKER_TRACK_LATENESS_H */
