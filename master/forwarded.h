/*
 * Who a client behind a proxy is: [server] trusted_proxies, X-Forwarded-For.  Master, loop thread;
 * pure.
 *
 * Each proxy appends the address that it saw, and anybody can send a header that has some already.
 * So it is read from the right, and the first address that is not a trusted proxy's is the client.
 */
#ifndef MASTER_FORWARDED_H
#define MASTER_FORWARDED_H

#include <stdbool.h>
#include <stddef.h>

#define FORWARDED_UNIX "unix" /* the entry for whoever comes through a Unix socket */

/** Is it a list of addresses, networks (ADDRESS/BITS) and `unix`?  "" is one. */
bool forwarded_list_ok(const char *list);

/** Is this a trusted proxy?  @param address  without port, or "unix". */
bool forwarded_trusts(const char *list, const char *address);

/**
 * Find the client in a header that a trusted proxy sent.
 *
 * @param header  value of X-Forwarded-For.
 * @param out     size bytes: its address, without port and brackets.
 * @return false: the header names nobody; then the proxy is the client.
 */
bool forwarded_client(const char *list, const char *header, char *out, size_t size);

#endif /* MASTER_FORWARDED_H */
