/*
 * Parses a request's query into its known parameters, and accepts cam_url as people paste it.
 * Master, loop thread; pure.  route.c interprets the values.
 */
#ifndef MASTER_QUERY_H
#define MASTER_QUERY_H

#include "common/ipc.h"

#include <stdbool.h>
#include <stddef.h>

/* clang-format off */
/* Every parameter of both ports.  X(NAME, name) */
#define QUERY_PARAMS(X)          \
    X(CAM_URL,    "cam_url")     \
    X(CAM,        "cam")         \
    X(CAM_TYPE,   "cam_type")    \
    X(STREAM,     "stream")      \
    X(ALLOW_H265, "allow_h265")  \
    X(HEVC,       "hevc")        \
    X(AV1,        "av1")         \
    X(AUDIO,      "audio")       \
    X(JOIN,       "join")        \
    X(TOKEN,      "token")       \
    X(EXPIRES,    "expires")     \
    X(SIGNATURE,  "signature")   \
    X(WIDTH,      "width")       \
    X(HEIGHT,     "height")      \
    X(QUALITY,    "quality")     \
    X(FPS,        "fps")         \
    X(PICTURE,    "picture")     \
    X(CROP,       "crop")        \
    X(AFTER,      "after")
/* clang-format on */

enum query_param {
#define X(name, text) QUERY_##name,
    QUERY_PARAMS(X)
#undef X
        QUERY_COUNT
};

/* One byte longer than any valid value, so that a truncated value is never valid. */
#define QUERY_VALUE_MAX (IPC_HEADER_MAX + 2)

struct query {
    bool given[QUERY_COUNT];
    char value[QUERY_COUNT][QUERY_VALUE_MAX]; /* decoded; not used for cam_url */
    size_t cam_url_len;
    char cam_url[IPC_URL_MAX]; /* decoded once unless raw, `.flv` suffix cut; may hold any byte */
};

/**
 * Find the known parameters in a query; others are skipped (players add cache busters).
 *
 * A cam_url that holds `://` unencoded is raw: it is taken literally, `+`, `&` and `#` included, up
 * to the end of the query or to the pairs at its end that are known or against caches (`&_=123`).
 * `stream` is not among them: cameras have it in their URLs, and only named ones have sub-streams.
 * A final `.flv`, which some players need, is cut off the last value, but not off an http(s)
 * cam_url, whose own path may end in it.  White space around the query, and white space and quotes
 * around cam_url and cam, were pasted along: they are cut off (url_trim.h).
 *
 * @param text the query, after the `?`.  Borrowed.
 * @param bad  on error: the faulty parameter.
 * @return 0; -EEXIST a parameter is given twice; -ENAMETOOLONG cam_url does not fit.
 */
int query_parse(struct query *q, const char *text, enum query_param *bad);

/** @return "cam_url", … */
const char *query_param_name(enum query_param param);

#endif /* MASTER_QUERY_H */
