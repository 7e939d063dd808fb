/*
 * Identifies a client when clients share something: by its IPv4 address or its IPv6 /64, because
 * one host has many IPv6 addresses.  Master, loop thread; pure.
 */
#ifndef MASTER_CLIENT_KEY_H
#define MASTER_CLIENT_KEY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct client_key {
    uint64_t bits[2]; /* zero: no address (a Unix socket) */
};

/** @param address  IPv4, IPv6 or Unix.  Borrowed.  An IPv4-mapped address (::ffff:0:0/96) counts as
 * IPv4. */
struct client_key client_key_of(const struct sockaddr *address);

/** Parse an address in text form, without a port. @return false: not an address. */
bool client_key_parse(const char *text, struct client_key *key);

/** Do both stand for the same client? */
bool client_key_equal(const struct client_key *a, const struct client_key *b);

/** Does the key stand for no address (a client of a Unix socket)? */
bool client_key_is_none(const struct client_key *key);

/** @param seed  random, so that nobody can choose keys that collide. */
uint64_t client_key_hash(const struct client_key *key, uint64_t seed);

#endif /* MASTER_CLIENT_KEY_H */
