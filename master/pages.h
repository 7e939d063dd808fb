/*
 * The dashboard, the player and their files, from memory.  Master, loop thread; pure: no I/O.
 * The page is made of files of this server alone, and says so (Content-Security-Policy).
 */
#ifndef MASTER_PAGES_H
#define MASTER_PAGES_H

#include "master/http_head.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ports as users reach them; the page asks the other one for snapshots and the API. */
struct pages_ports {
    uint16_t flv;
    uint16_t snapshot;
};

/** Is there something of the page at this path? */
bool pages_exists(const char *path);

/**
 * Answer a GET or HEAD of a path that exists: 200, or 304 when If-None-Match fits.
 *
 * @param buf   HTTP_REPLY_MAX bytes: the head, with the body behind it when that was made here.
 * @param body  the rest, body_len bytes; constant, nobody frees it.  0 bytes for HEAD.
 * @return bytes in buf.
 */
size_t pages_reply(char *buf, const struct http_request *request, const struct pages_ports *ports,
                   const unsigned char **body, size_t *body_len);

#endif /* MASTER_PAGES_H */
