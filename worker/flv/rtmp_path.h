/*
 * The path of an RTMP URL is two things in one: the application that the client connects to and the
 * stream that it plays.  Worker; pure.
 */
#ifndef WORKER_RTMP_PATH_H
#define WORKER_RTMP_PATH_H

#include "common/url.h"

#include <stdbool.h>

struct rtmp_path {
    char app[URL_PATH_MAX];
    char stream[URL_PATH_MAX]; /* with the query */
};

/**
 * Split as libavformat does, but without looking into the query, where tokens hold slashes: the
 * application is the first level, or the first two of three and more.
 *
 * @param path  with query, from `/` or `?`, or "".
 */
void rtmp_path_split(const char *path, struct rtmp_path *out);

/** Would libavformat take a slash of the query for one of the path? */
bool rtmp_path_needs_split(const char *path);

#endif /* WORKER_RTMP_PATH_H */
