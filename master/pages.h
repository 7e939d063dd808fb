/*
 * Serves the dashboard, the player and their files from memory.  Master, loop thread; pure: no I/O.
 * The page loads files from this server only; its Content-Security-Policy says so.
 */
#ifndef MASTER_PAGES_H
#define MASTER_PAGES_H

#include "master/http_head.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The two ports.  The page requests snapshots and the API from the second one. */
struct pages_ports {
    uint16_t flv;
    uint16_t snapshot;
};

/** Is there a file of the page at this path? */
bool pages_exists(const char *path);

/**
 * Answer a GET or HEAD of a path that exists: 200, or 304 when If-None-Match matches.
 *
 * @param buf   HTTP_REPLY_MAX bytes: the head, followed by the body if that is generated (not a
 *              file).
 * @param body  the rest of the answer, body_len bytes, 0 for HEAD.  Static: never freed.
 * @return bytes in buf.
 */
size_t pages_reply(char *buf, const struct http_request *request, const struct pages_ports *ports,
                   const unsigned char **body, size_t *body_len);

#endif /* MASTER_PAGES_H */
