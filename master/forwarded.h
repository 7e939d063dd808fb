/*
 * Finds the client behind a trusted proxy: [server] trusted_proxies, X-Forwarded-For.  Master, loop
 * thread; pure.
 *
 * Each proxy appends the address that it saw, but a client can send a header that already holds
 * some.  So the header is read from the right: the first address that is not a trusted proxy's is
 * the client's.
 */
#ifndef MASTER_FORWARDED_H
#define MASTER_FORWARDED_H

#include <stdbool.h>
#include <stddef.h>

#define FORWARDED_UNIX "unix" /* the entry for a proxy that connects through a Unix socket */

/** Is it a list of addresses, networks (ADDRESS/BITS) and `unix`?  An empty list is valid. */
bool forwarded_list_ok(const char *list);

/** Is this a trusted proxy?  @param address  without port, or "unix". */
bool forwarded_trusts(const char *list, const char *address);

/**
 * Find the client in a header that a trusted proxy sent.
 *
 * @param header  value of X-Forwarded-For.
 * @param out     size bytes: its address, without port and brackets.
 * @return false: the header names no address; then the proxy is the client.
 */
bool forwarded_client(const char *list, const char *header, char *out, size_t size);

#endif /* MASTER_FORWARDED_H */
