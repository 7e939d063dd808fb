/*
 * Chooses the first request of an RTSP connection.  Most cameras accept DESCRIBE; some hang up
 * unless OPTIONS comes first, as do cameras that answer no request at all.  Worker, any thread;
 * pure.
 *
 * The first attempt tries both, on two connections.  Each later attempt is a single connection: it
 * uses the request known to work or, until one is known, the two in turn.
 */
#ifndef WORKER_RTSP_FIRST_REQUEST_H
#define WORKER_RTSP_FIRST_REQUEST_H

#include "worker/media/source_params.h"

#include <stdbool.h>

/**
 * The camera hung up on a connection that did not begin with OPTIONS.
 *
 * @param memory  may be NULL.
 * @return true if this attempt should try OPTIONS, too.
 */
bool rtsp_first_request_unanswered(struct source_memory *memory);

/** The attempt has failed in another way, or with OPTIONS first. */
void rtsp_first_request_failed(struct source_memory *memory);

#endif /* WORKER_RTSP_FIRST_REQUEST_H */
