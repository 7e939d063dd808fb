/*
 * One spelling for each host of a camera URL.  Every process, any thread; pure, no name look-up.
 *
 * An IPv4 address may be written as an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2), an IPv6
 * address in several ways (RFC 5952), a name in capitals (RFC 4343) or with a dot at its end
 * (RFC 1034 section 3.1).
 */
#ifndef COMMON_URL_HOST_H
#define COMMON_URL_HOST_H

#include "common/url.h"

/**
 * Write a host in the spelling that all of its spellings share.
 *
 * @param host  of a camera URL: a name, or a literal address without brackets.  Borrowed.
 * @param out   terminated.  Caller owns.
 */
void url_host_write(const char *host, char out[URL_HOST_MAX]);

#endif /* COMMON_URL_HOST_H */
