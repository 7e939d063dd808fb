/*
 * Which request an RTSP connection begins with.  Most cameras take DESCRIBE; some want OPTIONS
 * first and hang up otherwise, as do those that answer nobody.  Worker, any thread; pure.
 *
 * The first attempt tries both, on two connections.  Each later one is a single connection: with
 * what is known to work, or, while nothing is, with the two in turns.
 */
#ifndef WORKER_RTSP_FIRST_REQUEST_H
#define WORKER_RTSP_FIRST_REQUEST_H

#include "worker/media/source_params.h"

#include <stdbool.h>

/**
 * The camera hung up on a connection that did not begin with OPTIONS.
 *
 * @param memory  NULL: none.
 * @return whether this attempt is to try OPTIONS, too.
 */
bool rtsp_first_request_unanswered(struct source_memory *memory);

/** The attempt has failed in another way, or on one that began with OPTIONS. */
void rtsp_first_request_failed(struct source_memory *memory);

#endif /* WORKER_RTSP_FIRST_REQUEST_H */
