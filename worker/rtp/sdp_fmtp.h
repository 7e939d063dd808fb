/*
 * Puts the parameters of an fmtp line (RFC 4566 section 6) into the one form that libavformat
 * reads: name=value, separated by semicolons, names in lower case.  Worker; pure.
 */
#ifndef WORKER_SDP_FMTP_H
#define WORKER_SDP_FMTP_H

#include <stddef.h>

/**
 * Cameras write spaces and quotation marks around names and values, empty parameters, and commas at
 * the ends of lists of parameter sets: none of them is written.
 *
 * @param out   Caller owns; what does not fit is left out.
 * @param text  without the payload type.
 */
void sdp_fmtp_clean(char *out, size_t size, const char *text);

#endif /* WORKER_SDP_FMTP_H */
