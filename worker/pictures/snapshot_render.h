/*
 * Renders a picture in the requested forms: part, size and quality.  A rendered_set belongs to the
 * loop thread; a render_job is filled there, run in the thread pool, one per camera at a time, and
 * read when it is done.  Worker.
 */
#ifndef WORKER_SNAPSHOT_RENDER_H
#define WORKER_SNAPSHOT_RENDER_H

#include "common/http_reply.h"
#include "worker/pictures/jpeg.h"
#include "worker/pictures/picture_scaler.h"
#include "worker/pictures/picture_stamp.h"

#include <stddef.h>

/* At most this many forms of one picture are made and kept at a time. */
#define SNAPSHOT_FORMS_MAX 8
/* Clients wait for the whole job, so it makes several forms only up to so many pixels together. */
#define SNAPSHOT_JOB_PIXELS_MAX (4u << 20)

#define SNAPSHOT_QUALITY_DEFAULT 85

/* The part, size and quality of a JPEG that a client asks for.  0: as the source. */
struct picture_form {
    struct picture_crop crop;
    uint32_t width;
    uint32_t height;
    uint32_t quality;
};

/** @return the pixels of a picture of that form, of a camera's picture of that size.  Pure. */
uint64_t picture_form_pixels(const struct picture_form *form, int width, int height);

struct rendered {
    struct picture_form form;
    struct jpeg *jpeg; /* NULL: not made yet, or it failed */
    int error;         /* why it failed: -ERANGE (crop outside the picture), -ENOTSUP, -ENOMEM; 0 */
};

struct snapshot_picture {
    struct picture_stamp stamp;
    int width; /* the camera's picture, pixels */
    int height;
    int64_t taken_us; /* UNIX time: by the camera's clock if that is known, else when it arrived */
};

/* A picture and the JPEGs made of it. */
struct rendered_set {
    struct snapshot_picture picture;
    /* The picture is the newest of all frames of the ring before this number; 0: it is not. */
    uint64_t newest_until;
    struct rendered items[SNAPSHOT_FORMS_MAX];
    size_t count;
};

/** The item of a form, or NULL.  Borrowed. */
struct rendered *rendered_set_find(struct rendered_set *set, const struct picture_form *wanted);

/** Release all JPEGs, and empty the set. */
void rendered_set_clear(struct rendered_set *set);

struct render_job {
    struct picture_scaler *scaler; /* kept between jobs; NULL until needed */
    AVFrame *frame;                /* the picture, one reference */
    struct rendered_set set;       /* in: what to make; out: made */
};

/** Scale and encode.  Thread pool, tens to hundreds of milliseconds. */
void render_job_run(struct render_job *job);

/* The error that a client is told. */
struct render_failure {
    enum http_error error;
    char text[96];
};

/**
 * @param error    from a struct rendered, or picture_feed_error().
 * @param picture  the picture that failed; may be NULL unless error is -ERANGE.  Borrowed.
 */
struct render_failure render_failure(int error, const struct snapshot_picture *picture);

/** Give back all memory. */
void render_job_reset(struct render_job *job);

#endif /* WORKER_SNAPSHOT_RENDER_H */
