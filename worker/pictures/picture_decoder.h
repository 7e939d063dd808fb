/*
 * Frames of one camera in, its newest picture out.  Worker; one thread at a time (a job of the
 * snapshot module), never the loop thread.
 *
 * The decoder keeps its state: callers feed only new frames.  Rules:
 *
 * - Newest means last in display order of all frames fed.  A decoder gives pictures out in display
 *   order, so with B-frames (or a camera that merely announces reordering) it would hold the newest
 *   ones back for some frames, and draining it loses its state.  Therefore the picture buffer that
 *   the decoder asks for while it decodes a frame (get_buffer2) is kept by reference: without
 *   frame threads the picture is complete when the call returns, whatever its place in display
 *   order.  If the decoder gives the picture out at once (nearly every camera), that one is used.
 * - The decoder has one thread.  Frame threads would hold back as many frames as there are threads;
 *   with slice threads the H.264 decoder does not look for errors, and HEVC wavefronts cost 44 %
 *   more CPU for 12 % less time (measured: 4K, two cores).
 * - No picture decoded from a broken reference is ever offered.  A chain of frames is broken by a
 *   frame marked damaged, by any error of the decoder, by concealed errors
 *   (AVFrame.decode_error_flags, AV_FRAME_FLAG_CORRUPT), and by a frame for which the decoder had
 *   to invent a missing reference.  It stays broken until the next undamaged frame that decoding
 * can start at: a key frame, or one with a refresh count.
 * - If decoding starts at a frame with a refresh count, that many pictures are not whole yet:
 *   they are decoded, whatever errors the decoder reports, but not offered.
 * - SEI messages are hidden from the decoder, except the H.264 recovery point: cameras fill them
 *   with what they like, and film grain and the like would obscure which buffer is the picture.
 */
#ifndef WORKER_PICTURE_DECODER_H
#define WORKER_PICTURE_DECODER_H

#include "worker/media/frame.h"
#include "worker/pictures/picture_stamp.h"

#include <libavutil/frame.h>

struct picture_decoder;

struct picture {
    const AVFrame *frame; /* cropped, as the camera meant it to be shown.  Borrowed. */
    struct picture_stamp stamp;
};

/** @return never NULL; takes next to no memory until fed.  Caller owns; picture_decoder_free(). */
struct picture_decoder *picture_decoder_new(void);
void picture_decoder_free(struct picture_decoder **decoder);

/**
 * Decode a video frame.  Frames are fed in decode order, each at most once.
 *
 * @param frame  Borrowed.
 * @param seq    its number in the ring, for the stamp.
 * @param gap    frames between the previous one and this one were left out: start anew, which only
 *               a frame of picture_decoder_can_start() can do.
 * @return 0; -EAGAIN not decoded, or not to be shown: the chain is broken until the next frame of
 *         picture_decoder_can_start(); -ENOTSUP no decoder for this codec; -ENOMEM.
 */
int picture_decoder_feed(struct picture_decoder *decoder, const struct frame *frame, uint64_t seq,
                         bool gap);

/**
 * Decode a key frame by itself, whatever came before.  The chain is broken after it: the next frame
 * fed must be a key frame.
 *
 * @param frame  a key frame.  Borrowed.
 * @return 0: it is the newest picture now; -EAGAIN: it is damaged, or is not a whole picture by
 *         itself (gradual refresh); -ENOTSUP; -ENOMEM.
 */
int picture_decoder_feed_alone(struct picture_decoder *decoder, const struct frame *frame,
                               uint64_t seq);

/** Can decoding start at this frame?  Pure. */
bool picture_decoder_can_start(const struct frame *frame);

/**
 * Can this frame be left out because no other frame refers to it?  Pure.  False when in doubt.
 */
bool picture_decoder_can_skip(const struct frame *frame);

/** Does the newest picture come from the chain that is being decoded?  False while a refresh has
 * not made a whole picture yet. */
bool picture_decoder_is_current(const struct picture_decoder *decoder);

/** Is the chain broken?  Then only a frame of picture_decoder_can_start() can be decoded. */
bool picture_decoder_needs_key(const struct picture_decoder *decoder);

/**
 * Get the newest good picture of all frames fed.  When the chain is broken, it may be older than
 * the last frame fed: the caller counts the frames that feed refused.
 *
 * @param picture  filled on true; valid until the next call of feed or free.
 */
bool picture_decoder_newest(const struct picture_decoder *decoder, struct picture *picture);

#endif /* WORKER_PICTURE_DECODER_H */
