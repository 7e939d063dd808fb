/*
 * The work behind a snapshot: decode what is new, then scale and encode each size and quality that
 * is wanted.  Worker, thread pool: one job of a camera at a time, so nothing in here is locked.
 * The loop thread fills a job, queues it, and reads the results when it is done.
 */
#ifndef WORKER_SNAPSHOT_JOB_H
#define WORKER_SNAPSHOT_JOB_H

#include "worker/frame.h"
#include "worker/jpeg.h"
#include "worker/picture_decoder.h"
#include "worker/picture_scaler.h"

/* Renditions of one picture that are made and kept at a time. */
#define SNAPSHOT_RENDITIONS_MAX 8
/* Frames decoded by one job; a longer backlog takes several. */
#define SNAPSHOT_JOB_FRAMES_MAX 128
/* A picture is served as the newest as long as no more frames than this came after it that could
 * not be decoded. */
#define SNAPSHOT_LOST_MAX 2

/* What a client asks for.  0: as the source. */
struct rendition {
    uint32_t width;
    uint32_t height;
    uint32_t quality;
};

struct rendered {
    struct rendition rendition;
    struct jpeg *jpeg; /* NULL: not made yet */
    bool wanted;       /* somebody waits for it */
};

struct snapshot_picture {
    uint64_t seq;        /* ring sequence number of its frame */
    int64_t received_us; /* clock_us() when it came from the camera */
};

struct snapshot_job {
    /* Kept between jobs; NULL until needed. */
    struct picture_decoder *decoder;
    struct picture_scaler *scaler;

    /* In. */
    struct frame *frames[SNAPSHOT_JOB_FRAMES_MAX]; /* one reference each */
    uint64_t seqs[SNAPSHOT_JOB_FRAMES_MAX];
    size_t frame_count;
    bool gap;    /* before the first of them */
    bool render; /* after them the picture is new enough for somebody */

    /* In and out. */
    bool has_picture;
    struct snapshot_picture picture; /* the newest good one */
    unsigned lost;                   /* frames after it that could not be decoded */
    struct rendered rendered[SNAPSHOT_RENDITIONS_MAX]; /* of it */
    size_t rendered_count;

    /* Out. */
    int error;     /* -ENOTSUP, -ENOMEM; 0 */
    unsigned made; /* JPEGs */
};

/** Do it.  Thread pool, tens to hundreds of milliseconds. */
void snapshot_job_run(struct snapshot_job *job);

/** May its picture be served? */
bool snapshot_job_is_fresh(const struct snapshot_job *job);

/** Forget all JPEGs. */
void snapshot_job_drop_rendered(struct snapshot_job *job);

/** Give back all memory and start anew at the next key frame. */
void snapshot_job_reset(struct snapshot_job *job);

#endif /* WORKER_SNAPSHOT_JOB_H */
