/*
 * Decides whether decoding may start at a picture.  Worker, the source's thread; pure: time is an
 * argument.
 *
 *   KEY      An IDR picture; HEVC: IRAP (IDR, CRA, BLA).  Or an intra picture with a promise: a
 *            recovery point with count 0 (H.264 D.1.8, H.265 D.2.8), the container's key flag, or,
 *            from a camera that has never sent an IDR picture, H.264 SPS and PPS in band.
 *   REFRESH  A recovery point with a count: correct after that many pictures (periodic intra
 *            refresh).
 *   WEAK     An intra picture without a promise.  Or another picture with the container's key flag,
 *            or with parameter sets that the previous picture did not have (x265's intra refresh).
 *
 * Decoding may always start at KEY.  It may start at the others, which then also end a GOP, only if
 * the camera sends nothing better: at REFRESH at once if the connection has had no KEY, at WEAK
 * after START_POINT_PATIENCE_US; at both no sooner than START_POINT_MEMORY_US after the last KEY.
 */
#ifndef WORKER_START_POINT_H
#define WORKER_START_POINT_H

#include "worker/video/nal_list.h"
#include "worker/video/parameter_sets.h"

#define START_POINT_PATIENCE_US INT64_C(3000000)
#define START_POINT_MEMORY_US INT64_C(15000000)
#define START_POINT_REFRESH_UNKNOWN 250 /* pictures, if no count or period is known */

enum start_kind { START_NONE, START_WEAK, START_REFRESH, START_KEY };

/* What a picture's NAL units say about it. */
struct start_point {
    enum start_kind kind;
    struct nal slice;     /* the first slice.  Borrowed from the list. */
    bool whole_from_here; /* IDR: no later picture refers to an earlier one */
    bool broken_link;     /* HEVC: BLA */
    bool leading;         /* HEVC: RASL */
    bool unmarked;        /* H.264 intra picture that neither IDR nor a recovery point marks */
    bool has_sets;        /* SPS and PPS in band */
    uint16_t refresh;     /* pictures until the whole picture is correct */
};

/* One connection's history.  Plain: lives in its user by value. */
struct start_points {
    enum AVCodecID codec;
    bool seen_idr;
    bool had_sets;     /* the newest picture had SPS and PPS */
    unsigned pictures; /* since and including the newest WEAK one that is not intra; 0: none yet */
    int64_t first_us;  /* arrival of the first picture; INT64_MIN: none yet */
    int64_t key_us;    /* arrival of the newest KEY; INT64_MIN: none yet */
};

void start_points_init(struct start_points *points, enum AVCodecID codec);

/**
 * Examine a picture.
 *
 * @param nals      must hold a slice.  Borrowed.
 * @param sets      must include the sets in nals.  Borrowed.
 * @param key_flag  the container says key.
 */
void start_point_examine(const struct start_points *points, const struct nal_list *nals,
                         const struct parameter_sets *sets, bool key_flag,
                         struct start_point *point);

/** May decoding start at this picture, the newest of the connection? */
bool start_points_allow(struct start_points *points, const struct start_point *point,
                        int64_t received_us);

#endif /* WORKER_START_POINT_H */
