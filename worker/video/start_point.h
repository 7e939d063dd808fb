/*
 * Whether decoding may start at a picture.  Worker, the source's thread; pure: time is an argument.
 *
 *   KEY      IDR; HEVC: IRAP (IDR, CRA, BLA).  An intra picture with a promise: a recovery point
 *            with count 0 (H.264 D.1.8, H.265 D.2.8), the container's key flag, or, from a camera
 *            that has never sent an IDR picture, SPS and PPS of H.264 in band.
 *   REFRESH  A recovery point with a count: whole after so many pictures (periodic intra refresh).
 *   WEAK     An intra picture without a promise.  Another picture with the container's key flag, or
 *            with parameter sets that the picture before did not have (x265's intra refresh).
 *
 * KEY always starts.  The others start, and end a GOP, only where the camera sends nothing better:
 * REFRESH at once when a connection has had no KEY, WEAK after START_POINT_PATIENCE_US without one;
 * both no sooner than START_POINT_MEMORY_US after the last KEY.
 */
#ifndef WORKER_START_POINT_H
#define WORKER_START_POINT_H

#include "worker/video/nal_list.h"
#include "worker/video/parameter_sets.h"

#define START_POINT_PATIENCE_US INT64_C(3000000)
#define START_POINT_MEMORY_US INT64_C(15000000)
#define START_POINT_REFRESH_UNKNOWN                              \
    250 /* pictures; where neither a count nor a period is known \
         */

enum start_kind { START_NONE, START_WEAK, START_REFRESH, START_KEY };

/* What its NAL units say about a picture. */
struct start_point {
    enum start_kind kind;
    struct nal slice;     /* the first one.  Borrowed from the list. */
    bool whole_from_here; /* no later picture refers to one before it, as far as is known: IDR */
    bool broken_link;     /* HEVC: BLA */
    bool leading;         /* HEVC: RASL */
    bool unmarked;        /* H.264, intra: neither IDR nor a recovery point tells a decoder */
    bool has_sets;        /* SPS and PPS in band */
    uint16_t refresh;     /* pictures until all is whole */
};

/* One connection's history.  Plain: lives in its user by value. */
struct start_points {
    enum AVCodecID codec;
    bool seen_idr;
    bool had_sets;     /* the newest picture */
    unsigned pictures; /* since the newest that is WEAK and not intra, it included; 0: none yet */
    int64_t first_us;  /* arrival of the first picture; INT64_MIN: none yet */
    int64_t key_us;    /* of the newest KEY; INT64_MIN: none yet */
};

void start_points_init(struct start_points *points, enum AVCodecID codec);

/**
 * Look at a picture.
 *
 * @param nals      holds a slice.  Borrowed.
 * @param sets      to read slices with, those of nals included.  Borrowed.
 * @param key_flag  the container says key.
 */
void start_point_examine(const struct start_points *points, const struct nal_list *nals,
                         const struct parameter_sets *sets, bool key_flag,
                         struct start_point *point);

/** May decoding start at this picture, the newest of the connection? */
bool start_points_allow(struct start_points *points, const struct start_point *point,
                        int64_t received_us);

#endif /* WORKER_START_POINT_H */
