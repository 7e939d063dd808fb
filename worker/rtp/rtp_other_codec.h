/*
 * Finds H.264 that a description calls HEVC, and the other way round: the setting was changed, but
 * the camera's description was not.  Worker; pure.
 */
#ifndef WORKER_RTP_OTHER_CODEC_H
#define WORKER_RTP_OTHER_CODEC_H

#include <libavcodec/codec_id.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * Does the payload hold a parameter set of the other codec, alone or first in an aggregate (RFC
 * 6184 section 5.7.1, RFC 7798 section 4.4.2)?  None of these is anything in the announced codec:
 * their first bytes are layers above 31, types that are not specified, or data partitions.
 *
 * @param announced  AV_CODEC_ID_H264 or AV_CODEC_ID_HEVC; false for all others.
 * @param payload    without a start code.
 */
bool rtp_is_other_codec(enum AVCodecID announced, const uint8_t *payload, size_t len);

#endif /* WORKER_RTP_OTHER_CODEC_H */
