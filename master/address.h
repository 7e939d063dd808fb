/* Socket addresses as text for logs and the API.  Master, loop thread; pure. */
#ifndef MASTER_ADDRESS_H
#define MASTER_ADDRESS_H

#include "common/ipc.h"

#include <netinet/in.h>
#include <sys/socket.h>

/* Where a connection comes from: IPv4, IPv6, or AF_UNIX without a path. */
union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

/**
 * `192.0.2.7:4711`, `[2001:db8::7]:4711`, or `unix`.  An IPv4 client of an IPv6 socket
 * (::ffff:192.0.2.7, RFC 4291 section 2.5.5.2) is written as an IPv4 address.
 *
 * @param out IPC_PEER_MAX bytes.  Caller owns.
 */
void address_format(const struct sockaddr *address, char *out);

/**
 * Strip port and brackets from an address that address_format() wrote.
 * @param out IPC_PEER_MAX bytes.  Caller owns.
 */
void address_without_port(const char *formatted, char *out);

#endif /* MASTER_ADDRESS_H */
