/*
 * Access units: makes frames out of the NAL units of one H.264 or HEVC track, in whatever container
 * they come.  Worker, the source's thread.  Finds where an access unit ends, keeps the parameter
 * sets, says which frames are key frames and which are damaged.  Does not touch timestamps:
 * timeline repairs them.
 *
 * Where a unit ends, whichever comes first:
 *   - Its last packet says `last` (RTP marker), as long as the camera's markers are right; markers
 *     that turn out wrong are ignored for the rest of the connection.
 *   - Its message ends (MEDIA_LENGTHS), as long as pictures do not go on in the next one.  Nothing
 *     tells whether a lone slice that comes first in a connection is a whole picture: it waits for
 *     the next message.
 *   - A slice comes that begins a picture, or cannot belong to the one in progress (ITU-T H.264
 *     7.4.1.2.4, H.265 7.4.2.4.5).  Timestamps count only after a loss: some cameras give each
 *     slice its own.
 * Parameter sets, SEI and delimiters end nothing, since some cameras repeat them before each slice:
 * they belong to the slice that follows them.  The two fields of an interlaced picture become two
 * frames unless they come in one message.
 *
 * Key frames: see start_point.h.  Pictures that follow a key frame in decoding order but precede it
 * in display order (HEVC: RASL) cannot be decoded when decoding starts at that key frame, unless it
 * is IDR: they are dropped when it is the first frame of a connection, and marked damaged when a
 * damaged chain ended there.
 *
 * Damage: a unit that lacks a slice, or a part of one, is marked; so is every one after it up to
 * the next complete key frame, since they may refer to it.  A loss between two units breaks that
 * chain, but does not damage the second one if its first slice is there.
 *
 * Payload: see access_unit_frame.h.  Left out are access unit delimiters, filler data and
 * end-of-sequence marks; in a key frame with a new configuration, parameter sets that it lacks are
 * put in front; a key frame of H.264 that does not say so itself gets a recovery point.
 */
#ifndef WORKER_ACCESS_UNIT_H
#define WORKER_ACCESS_UNIT_H

#include "worker/media/frame.h"
#include "worker/media/media_sink.h"
#include "worker/video/nal_list.h"

/* A unit over one of these is dropped, and the chain after it is damaged. */
#define ACCESS_UNIT_MAX_BYTES NAL_LIST_MAX_BYTES
#define ACCESS_UNIT_MAX_NALS NAL_LIST_MAX

struct access_unit;

struct access_unit_events {
    /* A complete frame.  Moved.  pts and dts as the packet's, in the track's time base
     * (AV_NOPTS_VALUE if unknown); the frame's own times are not set yet, received_us is. */
    void (*on_frame)(void *ctx, struct frame *frame, int64_t pts, int64_t dts);
    void *ctx;
};

/**
 * An assembler.  Nothing is emitted before the first key frame with complete parameter sets.
 *
 * @param codec      AV_CODEC_ID_H264 or AV_CODEC_ID_HEVC.
 * @param extradata  parameter sets in Annex B, avcC or hvcC form; or NULL.  Borrowed.
 *                   What cannot be read of it is ignored: parameter sets may still come in band.
 * @param events     copied.
 * @return NULL when codec is another one.  Caller owns; access_unit_free().
 */
struct access_unit *access_unit_new(enum AVCodecID codec, const uint8_t *extradata,
                                    size_t extradata_len, const struct access_unit_events *events);
void access_unit_free(struct access_unit **au);

/**
 * A new connection to the same camera: forget the unit in progress and what was learnt, wait for a
 * key frame.  The configuration object stays the same one if the parameter sets do.
 */
void access_unit_restart(struct access_unit *au, const uint8_t *extradata, size_t extradata_len);

/**
 * Take one packet of the track; emits zero or more frames.
 *
 * MEDIA_ANNEX_B: bytes before the first start code continue the last NAL unit of the packet before,
 * so fragments may be passed on as they come.  MEDIA_LENGTHS: the length size is that of the avcC
 * or hvcC given last, 4 without one; start codes in place of lengths are understood.  An Annex B
 * packet with nothing but parameter sets may come between messages.
 *
 * @return true if there was a slice in it: a sign of life.
 */
bool access_unit_push(struct access_unit *au, const struct media_packet *packet);

/** Emit the unit in progress as it is: the stream has ended, or is silent. */
void access_unit_flush(struct access_unit *au);

/** The configuration in force.  Borrowed; NULL before the first key frame. */
struct codec_config *access_unit_config(const struct access_unit *au);

#endif /* WORKER_ACCESS_UNIT_H */
