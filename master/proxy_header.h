/*
 * The header that a proxy sends in front of a connection's bytes to name the client: PROXY
 * protocol, versions 1 (text) and 2 (binary), as HAProxy's doc/proxy-protocol.txt defines them.
 * Master, loop thread; pure.
 *
 * It names an address only for TCP over IPv4 and IPv6.  UNKNOWN, LOCAL (the proxy's own health
 * checks) and other protocols name none: the connection is then the proxy's own.
 */
#ifndef MASTER_PROXY_HEADER_H
#define MASTER_PROXY_HEADER_H

#include "master/address.h"

#include <stdbool.h>
#include <stddef.h>

#define PROXY_HEADER_MAX 1024 /* bytes; version 2 may carry more in its TLVs: refused */

struct proxy_header {
    bool has_client;
    union address client; /* where the client's connection comes from */
};

/**
 * Read the header at the beginning of data.
 *
 * @param out  set when the header is complete.
 * @return its length; 0: more bytes are needed; -EBADMSG: not a PROXY header, or one that is longer
 *         than PROXY_HEADER_MAX.
 */
int proxy_header_read(const char *data, size_t len, struct proxy_header *out);

#endif /* MASTER_PROXY_HEADER_H */
