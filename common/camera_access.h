/*
 * Which cameras a request may name: `any`, `named`, or a list of host patterns and networks.  The
 * master checks before it looks up a name, the worker checks each address before it connects. Pure.
 *
 * A list restricts in two ways.  If it has networks, every address of the camera must be in one of
 * them.  If it has patterns, a host name must match one; without patterns any name is allowed and
 * its addresses decide.  A list of patterns alone refuses literal addresses, and a name that
 * matches only by a `*` may not resolve to this machine or its neighbours (loopback, link-local,
 * multicast, unspecified).
 */
#ifndef COMMON_CAMERA_ACCESS_H
#define COMMON_CAMERA_ACCESS_H

#include "common/ipc.h"

#include <stdbool.h>
#include <sys/socket.h>

/* The forms that camera_access_parse() accepts, for error texts. */
#define CAMERA_ACCESS_ACCEPTED \
    "any, named, or host patterns and networks (10.0.0.0/8, *.cams.example)"

/**
 * Read `any`, `named` or a list: entries separated by commas or spaces, each a host pattern (`*`
 * stands for any characters), an address, or a network as ADDRESS/BITS.
 *
 * @param access  on success: mode and list; trusted is 0.  Otherwise unchanged.
 * @return 0, or -EINVAL.
 */
int camera_access_parse(const char *text, struct ipc_access *access);

/** @return access as text for camera_access_parse().  Borrowed from access, or a literal. */
const char *camera_access_text(const struct ipc_access *access);

/**
 * May a request name a camera at this host?  Judged by the host name or literal address alone.
 *
 * @param own_host  the camera's host from the configuration file, allowed whatever the list says;
 *                  or "".
 */
bool camera_access_host(const struct ipc_access *access, const char *own_host, const char *host);

/**
 * May we connect to this address of the host?  Includes camera_access_host().  An IPv4-mapped IPv6
 * address (RFC 4291 section 2.5.5.2) is judged as the IPv4 address.
 */
bool camera_access_address(const struct ipc_access *access, const char *own_host, const char *host,
                           const struct sockaddr *address);

#endif /* COMMON_CAMERA_ACCESS_H */
