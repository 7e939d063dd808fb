/*
 * How long a connection to a camera may be without media.  Worker, loop thread; pure: time is an
 * argument, clock_awake_us().
 */
#ifndef WORKER_RTSP_PATIENCE_H
#define WORKER_RTSP_PATIENCE_H

#include "common/ipc.h"

#include <stddef.h>

struct rtsp_patience {
    const struct ipc_limits *limits; /* Borrowed; may change */
    int64_t started_us;
    int64_t accepted_us; /* the last accepted media packet; 0: none */
    int64_t bye_us;      /* the camera's farewell; 0: none since the last media */
};

/** A media packet was accepted. */
void rtsp_patience_accept(struct rtsp_patience *patience, int64_t now_us);

/** The camera says that it ends.  Some say so and go on: a little longer is waited. */
void rtsp_patience_bye(struct rtsp_patience *patience, int64_t now_us);

/** When the next accepted media packet must be there, else it is over. */
int64_t rtsp_patience_deadline(const struct rtsp_patience *patience);

/** Why it is over.  @param state  of the session: what a connection without media hangs in. */
void rtsp_patience_text(const struct rtsp_patience *patience, const char *state, char *text,
                        size_t size);

#endif /* WORKER_RTSP_PATIENCE_H */
