/*
 * Access units: makes frames out of the NAL units of one H.264 or HEVC track.  Worker, the
 * source's thread.  Finds where an access unit ends, keeps the parameter sets, says which frames
 * are key frames and which are damaged.  Does not touch timestamps: timeline repairs them.
 *
 * End of a unit, whichever comes first:
 *   - the packet is marked as the last one (RTP marker), as long as the camera's markers are
 *     right; markers that turn out wrong are ignored for the rest of the connection;
 *   - the timestamp changes;
 *   - with equal timestamps, a NAL unit that can only begin an access unit comes after a slice
 *     (ITU-T H.264 7.4.1.2.3, H.265 7.4.2.4.4).  The two fields of an interlaced picture thus
 *     become two frames unless they come in one MEDIA_LENGTHS packet.
 *
 * Key frames:
 *   - H.264: all slices are IDR; or all slices are I and the unit has a recovery point SEI with
 *     recovery_frame_cnt 0; or, as long as the camera has never sent an IDR picture, all slices
 *     are I and the unit carries SPS and PPS;
 *   - HEVC: IRAP (IDR, CRA, BLA).
 * Pictures that follow a non-IDR key frame in decoding order but precede it in display order
 * (HEVC: RASL) cannot be decoded when decoding starts at that key frame: they are dropped when it
 * is the first frame of a connection, and marked damaged when a damaged chain ended there.
 *
 * Damage: a unit with lost_before, or cut short, is marked; so is every one after it up to the
 * next complete key frame, since they may refer to it.
 *
 * Payload: the camera's NAL units untouched, each after a 4-byte length, without access unit
 * delimiters, filler data and end-of-sequence marks.  Parameter sets stay where they were sent;
 * in a key frame with a new configuration those that it lacks are put in front.
 */
#ifndef WORKER_ACCESS_UNIT_H
#define WORKER_ACCESS_UNIT_H

#include "worker/media/frame.h"
#include "worker/media/media_sink.h"

/* A unit over one of these is dropped, and the chain after it is damaged. */
#define ACCESS_UNIT_MAX_BYTES (8u << 20)
#define ACCESS_UNIT_MAX_NALS 1024

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
 * so fragments may be passed on as they come.  MEDIA_LENGTHS: a complete access unit; the length
 * size is that of the avcC or hvcC given last, 4 without one.  An Annex B packet with nothing but
 * parameter sets may precede it.
 *
 * @return true if it was well-formed and had a slice in it: a sign of life.
 */
bool access_unit_push(struct access_unit *au, const struct media_packet *packet);

/** Emit the unit in progress as it is: the stream has ended, or is silent. */
void access_unit_flush(struct access_unit *au);

/** The configuration in force.  Borrowed; NULL before the first key frame. */
struct codec_config *access_unit_config(const struct access_unit *au);

#endif /* WORKER_ACCESS_UNIT_H */
