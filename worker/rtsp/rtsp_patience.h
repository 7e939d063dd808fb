/*
 * Decides how long a connection to a camera may go without media.  Worker, loop thread; pure: time
 * is an argument, clock_awake_us().
 */
#ifndef WORKER_RTSP_PATIENCE_H
#define WORKER_RTSP_PATIENCE_H

#include "common/ipc.h"

#include <stddef.h>

struct rtsp_patience {
    const struct ipc_limits *limits; /* Borrowed; may change */
    int64_t started_us;
    int64_t accepted_us; /* when the last media packet was accepted; 0: none */
    int64_t bye_us;      /* when the camera said goodbye; 0: not since the last media */
};

/** A media packet was accepted. */
void rtsp_patience_accept(struct rtsp_patience *patience, int64_t now_us);

/** The camera said goodbye.  Some do so and continue, so the deadline is a little later. */
void rtsp_patience_bye(struct rtsp_patience *patience, int64_t now_us);

/** By when the next media packet must be accepted, or the connection has failed. */
int64_t rtsp_patience_deadline(const struct rtsp_patience *patience);

/** Time between two reads from a camera that nobody watches: short enough to notice a silent one.
 */
int64_t rtsp_patience_gather_us(const struct rtsp_patience *patience);

/** Say why the connection has failed.  @param state  the session's, for one without media. */
void rtsp_patience_text(const struct rtsp_patience *patience, const char *state, char *text,
                        size_t size);

#endif /* WORKER_RTSP_PATIENCE_H */
