/*
 * Unwraps redundant coding (RED, RFC 2198): a payload of the track's media behind a short header,
 * perhaps with older ones before it.  Senders that protect their packets (RFC 5109 section 14.1)
 * wrap all of them so.  Worker; pure.
 */
#ifndef WORKER_RTP_RED_H
#define WORKER_RTP_RED_H

#include "worker/rtp/rtp_receive.h"

/**
 * Put the primary payload and its type in the place of the packet's.  The older ones are left out.
 * @return 0, or -EPROTO: the packet is unchanged.
 */
int rtp_red_unwrap(struct rtp_packet *packet);

#endif /* WORKER_RTP_RED_H */
