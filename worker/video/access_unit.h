/*
 * Makes frames out of the NAL units of one H.264 or HEVC track, whatever container they come in.
 * Worker, the source's thread.  Finds where an access unit ends and what it lacks, and
 * keeps the parameter sets.  Timestamps stay untouched: timeline repairs them.
 *
 * Where a unit ends, whichever comes first:
 *   - Its last packet says `last` (RTP marker), as long as the camera's markers are right; once one
 *     turns out wrong, they are ignored for the rest of the connection.
 *   - Its message ends (MEDIA_LENGTHS), as long as pictures do not continue in the next message.  A
 *     lone slice that comes first in a connection may or may not be a whole picture: it waits for
 *     the next message.
 *   - A slice begins a picture, or cannot belong to the one in progress (ITU-T H.264
 *     7.4.1.2.4, H.265 7.4.2.4.5).  Timestamps count only after a loss: some cameras give each
 *     slice its own.
 * Parameter sets, SEI and delimiters do not by themselves end a unit, since some cameras repeat
 * them before each slice: they belong to the slice that follows them.  The two fields of an
 * interlaced picture become two frames unless they come in one message.
 *
 * Which units become frames, which are key frames, and what damage to one means for the later ones:
 * see frame_chain.h.
 *
 * Damage: a unit that lacks a slice, or a part of one, is damaged.  A loss between two units harms
 * the chain, but not the next unit if that is a key frame with its first slice.
 *
 * Payload: see access_unit_frame.h.  Access unit delimiters, filler data and end-of-sequence marks
 * are left out.  Parameter sets that a key frame with a new configuration lacks are put in front of
 * it.  An H.264 key frame that is not marked as one gets a recovery point.
 */
#ifndef WORKER_ACCESS_UNIT_H
#define WORKER_ACCESS_UNIT_H

#include "worker/media/frame.h"
#include "worker/media/media_sink.h"
#include "worker/video/nal_list.h"

/* A unit that exceeds one of these is dropped, and the chain after it is damaged. */
#define ACCESS_UNIT_MAX_NALS NAL_LIST_MAX

struct access_unit;

struct access_unit_events {
    /* A complete frame.  Moved.  pts and dts are the packet's, in the track's time base
     * (AV_NOPTS_VALUE if unknown).  received_us is set; the frame's pts and dts are not. */
    void (*on_frame)(void *ctx, struct frame *frame, int64_t pts, int64_t dts);
    void *ctx;
};

/**
 * Make an assembler.  It emits nothing before the first key frame with complete parameter sets.
 *
 * @param codec      AV_CODEC_ID_H264 or AV_CODEC_ID_HEVC.
 * @param extradata  parameter sets in Annex B, avcC or hvcC form; or NULL.  Borrowed.
 *                   Unreadable parts are ignored: parameter sets may still come in band.
 * @param events     copied.
 * @return NULL for any other codec.  Caller owns; access_unit_free().
 */
struct access_unit *access_unit_new(enum AVCodecID codec, const uint8_t *extradata,
                                    size_t extradata_len, const struct access_unit_events *events);
void access_unit_free(struct access_unit **au);

/**
 * Begin a new connection to the same camera: forget the unit in progress and what was learnt, and
 * wait for a key frame.  The configuration object stays the same if the parameter sets do.
 */
void access_unit_restart(struct access_unit *au, const uint8_t *extradata, size_t extradata_len);

/**
 * Take one packet of the track; emits zero or more frames.
 *
 * MEDIA_ANNEX_B: bytes before the first start code continue the last NAL unit of the packet before,
 * so fragments may be passed on as they come.  MEDIA_LENGTHS: the length size is that of the last
 * avcC or hvcC, 4 without one; nal_message.h says what else is understood.  An Annex B packet with
 * only parameter sets may come between messages.
 *
 * @return true if it held a slice: a sign of life.
 */
bool access_unit_push(struct access_unit *au, const struct media_packet *packet);

/** Emit the unit in progress as it is: the stream has ended or gone silent. */
void access_unit_flush(struct access_unit *au);

/** The configuration in force.  Borrowed; NULL before the first key frame. */
struct codec_config *access_unit_config(const struct access_unit *au);

#endif /* WORKER_ACCESS_UNIT_H */
