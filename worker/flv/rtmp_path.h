/*
 * Splits an RTMP URL's path into the application that the client connects to and the stream that it
 * plays.  Worker; pure.
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
 * Split as libavformat does, but ignore the query, where tokens may hold slashes.  The application
 * is the path's first segment, or its first two if there are three or more and the first is not
 * `ondemand`.  Where nothing but an application stands before the query, its parameters do, and the
 * stream follows the query's last slash: SRS's /live?vhost=HOST/cam.
 *
 * @param path  with query, from `/` or `?`, or "".
 */
void rtmp_path_split(const char *path, struct rtmp_path *out);

/**
 * Would libavformat mistake a part of the query: a slash for one in the path, or the end of a name
 * (mslist=) for its own `slist=`, which names the stream?
 */
bool rtmp_path_needs_split(const char *path);

#endif /* WORKER_RTMP_PATH_H */
