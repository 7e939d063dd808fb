/*
 * The query of a request -> its known parameters, with cam_url as people paste it.  Master, loop
 * thread; pure.  What the values mean is route's business.
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
    X(ALLOW_H265, "allow_h265")  \
    X(HEVC,       "hevc")        \
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

/* One more than any valid value is long, so that a value cut to fit is never valid. */
#define QUERY_VALUE_MAX (IPC_HEADER_MAX + 2)

struct query {
    bool given[QUERY_COUNT];
    char value[QUERY_COUNT][QUERY_VALUE_MAX]; /* decoded; not that of cam_url */
    size_t cam_url_len;
    char cam_url[IPC_URL_MAX]; /* decoded once unless raw, `.flv` suffix cut; may hold any byte */
};

/**
 * Find the known parameters in a query; others are skipped (players add cache busters).
 *
 * A cam_url that holds `://` undecoded is raw: it is taken as it stands, `+`, `&` and `#` included,
 * up to the end of the query, but for the pairs with known names at its end.  A final `.flv`,
 * which some players ask for, is cut off the last value; off cam_url only when it is no http(s)
 * URL, where it may be the other server's.
 *
 * @param text what follows the `?`.  Borrowed.
 * @param bad  on error: the parameter.
 * @return 0; -EEXIST a parameter is given twice; -ENAMETOOLONG cam_url does not fit.
 */
int query_parse(struct query *q, const char *text, enum query_param *bad);

/** @return "cam_url", … */
const char *query_param_name(enum query_param param);

#endif /* MASTER_QUERY_H */
