/*
 * Makes frames of complete access units, and follows the chain of references from each to the next.
 * Worker, the source's thread.
 *
 * The chain begins at the first key frame (start_point.h) whose parameter sets are there.  A unit
 * that is damaged, or missing, damages it up to the next key frame or recovery point, since each
 * later frame may refer to that unit.  Leading pictures, which follow a key frame in decoding order
 * but precede it in display order (HEVC: RASL), may refer to pictures before the key frame, unless
 * that is IDR: they are dropped after the first key frame, and marked damaged after one that ended
 * a damaged chain.  torn_picture.h says which torn units are left out.
 */
#ifndef WORKER_FRAME_CHAIN_H
#define WORKER_FRAME_CHAIN_H

#include "worker/media/frame.h"
#include "worker/video/nal_list.h"
#include "worker/video/parameter_sets.h"
#include "worker/video/start_point.h"
#include "worker/video/torn_picture.h"

/* What to do with leading pictures. */
enum leading { LEADING_KEEP, LEADING_DROP, LEADING_DAMAGED };

/* One connection's history.  Plain: lives in its user by value, zeroed before the first init. */
struct frame_chain {
    enum AVCodecID codec;
    struct codec_config *config; /* in force; NULL before the first key frame */
    enum leading leading;
    bool started; /* a key frame has been emitted */
    bool damaged;
    bool sets_missing; /* the newest key frame's, or they are not understood */
    int64_t key_pts;
    struct start_points starts;
    struct torn_pictures torn;
    unsigned left_out; /* pictures since the newest frame */
    int frame_num;     /* H.264: of the newest reference picture that was sent; -1: not known */
    bool gap;          /* a picture is missing since then */
    unsigned repeats;  /* pictures with that frame_num that were left out since it changed */
};

/* A complete access unit. */
struct frame_chain_unit {
    struct nal_list *nals;       /* with a slice; cut slices may be taken out.  Borrowed. */
    struct parameter_sets *sets; /* those in nals included.  Borrowed. */
    bool key_flag;               /* the container says key */
    bool damaged;                /* it lacks a slice or a part of one */
    bool torn;   /* a slice is cut, or the first one of HEVC is missing; damaged, too */
    int64_t pts; /* in the track's time base; AV_NOPTS_VALUE: not known */
    int64_t received_us;
    int64_t captured_us;
};

/** Begin a connection.  The configuration stays, so that it is the same object if its sets are. */
void frame_chain_init(struct frame_chain *chain, enum AVCodecID codec);
void frame_chain_clear(struct frame_chain *chain);

/** Units, or parts of some, may be missing before the next one. */
void frame_chain_lost(struct frame_chain *chain);

/** A unit cannot be used at all. */
void frame_chain_left_out(struct frame_chain *chain);

/**
 * Make the frame of the next unit.
 *
 * @return its time stamps are not set.  NULL: it is left out.  Caller owns; frame_unref().
 */
struct frame *frame_chain_take(struct frame_chain *chain, const struct frame_chain_unit *unit);

#endif /* WORKER_FRAME_CHAIN_H */
