/*
 * Who a client is when clients share something: its address, of IPv6 the /64, because hosts have
 * many addresses there.  Master, loop thread; pure.
 */
#ifndef MASTER_CLIENT_KEY_H
#define MASTER_CLIENT_KEY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct client_key {
    uint64_t bits[2]; /* zero: no address (a Unix socket) */
};

/** @param address  IPv4, IPv6 or Unix.  Borrowed.  IPv4 as IPv6 (::ffff:0:0/96) is IPv4. */
struct client_key client_key_of(const struct sockaddr *address);

/** Read an address as text, without port. @return false: it is none. */
bool client_key_parse(const char *text, struct client_key *key);

bool client_key_equal(const struct client_key *a, const struct client_key *b);

/** Is it nobody in particular: whoever came through a Unix socket? */
bool client_key_is_none(const struct client_key *key);

/** @param seed  random, so that nobody can choose keys that collide. */
uint64_t client_key_hash(const struct client_key *key, uint64_t seed);

#endif /* MASTER_CLIENT_KEY_H */
