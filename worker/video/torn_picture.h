/*
 * Decides whether slices that lost their end are sent, and pictures without their first slice.
 * Worker, the source's thread; pure: time is an argument.
 *
 * Decoders of browsers end at a slice that is cut (Chromium: AV_EF_EXPLODE), and their pages with
 * them; VLC and ffplay decode it as far as it goes, and conceal the rest.  A slice that is missing
 * altogether harms neither, unless it is the first one of an HEVC picture: no decoder takes the
 * others.  So after a whole key frame cut slices are left out, and with them a picture of which
 * nothing is left that can be decoded.  They are sent while nothing better is there:
 *   - until the first whole key frame of the connection, or of another configuration;
 *   - when every picture was left out for TORN_PICTURE_PATIENCE_US;
 *   - from the second such key frame in a row on, if the newest whole one is older than
 *     TORN_PICTURE_MEMORY_US: viewers who join would begin there.
 */
#ifndef WORKER_TORN_PICTURE_H
#define WORKER_TORN_PICTURE_H

#include "worker/video/nal_list.h"

#define TORN_PICTURE_PATIENCE_US INT64_C(2000000)
/* More than key frames are apart that come every 2, 5 or 10 s: jitter would decide about them. */
#define TORN_PICTURE_MEMORY_US INT64_C(21000000)

/* One connection's history.  Plain: lives in its user by value. */
struct torn_pictures {
    bool strict;          /* a whole key frame has come: cut slices are left out */
    unsigned keys;        /* of which nothing was left, since the newest whole one */
    int64_t whole_key_us; /* arrival of that; meaningful while strict */
    int64_t waiting_us;   /* arrival of the oldest picture that was left out since the newest one
                             that was sent; INT64_MIN: none */
};

/** Forget what came: a new connection or another configuration. */
void torn_pictures_init(struct torn_pictures *torn);

/** Is this picture, the newest of the connection, of which nothing is left, not sent? */
bool torn_pictures_leave_out(struct torn_pictures *torn, bool key, int64_t received_us);

/**
 * Take the cut slices out of a torn picture, the newest of the connection, unless nothing better
 * has come.
 *
 * @return is anything left to be sent?
 */
bool torn_pictures_take_out(struct torn_pictures *torn, enum AVCodecID codec, struct nal_list *nals,
                            bool key, int64_t received_us);

/** A picture was sent. */
void torn_pictures_sent(struct torn_pictures *torn, bool whole_key, int64_t received_us);

#endif /* WORKER_TORN_PICTURE_H */
