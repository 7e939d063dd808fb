/*
 * Which cameras may be asked for: `any`, `named`, or a list of host patterns and networks.  Master
 * (before anything is looked up) and worker (every address, before it connects); pure, no I/O.
 *
 * A list restricts in two ways.  Networks say where a camera may be: if there are any, every
 * address must be in one of them.  Patterns say what it may be called: if there are any, a host
 * name must match one; without patterns any name will do, its addresses decide.  With patterns
 * alone, an address written as such is refused, and names that match only by a `*` may not lead to
 * this machine or its neighbours (loopback, link-local, multicast, unspecified).
 */
#ifndef COMMON_CAMERA_ACCESS_H
#define COMMON_CAMERA_ACCESS_H

#include "common/ipc.h"

#include <stdbool.h>
#include <sys/socket.h>

/* What camera_access_parse() accepts, for error texts. */
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

/** @return what camera_access_parse() takes.  Borrowed from access, or a literal. */
const char *camera_access_text(const struct ipc_access *access);

/**
 * May a camera of this host be asked for, by its name or address alone?
 *
 * @param own_host  of the camera that the configuration file names, or "": trusted, whatever the
 *                  list says.
 */
bool camera_access_host(const struct ipc_access *access, const char *own_host, const char *host);

/**
 * May this address be connected to, being one of the host's?  Includes camera_access_host().  An
 * IPv4 address in IPv6 clothes (RFC 4291 section 2.5.5.2) is taken for what it is.
 */
bool camera_access_address(const struct ipc_access *access, const char *own_host, const char *host,
                           const struct sockaddr *address);

#endif /* COMMON_CAMERA_ACCESS_H */
