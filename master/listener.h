/*
 * A listening port.  Master, loop thread.
 *
 * Out of descriptors: libuv accepts and closes what waits, so that neither the queue grows stale
 * nor the loop spins; the limit is raised to the hard limit at start (server.c).
 */
#ifndef MASTER_LISTENER_H
#define MASTER_LISTENER_H

#include "master/endpoint.h"

#include <stdint.h>
#include <sys/socket.h>

struct listener;
struct server;

/**
 * Listen.
 *
 * @param kind  which requests are answered there.
 * @param port  0: the system picks one.
 * @param fd    a bound socket to take instead of address and port, or -1.  Moved.
 * @param out   Caller owns; listener_close().
 * @return 0 or negative errno.
 */
int listener_open(struct server *server, enum route_port kind, const char *address, uint16_t port,
                  int fd, struct listener **out);

/** Where it listens.  A Unix socket has the family AF_UNIX and nothing else. */
void listener_get_address(const struct listener *listener, struct sockaddr_storage *out);

/** Stop accepting, free.  NULL inside is fine. */
void listener_close(struct listener **listener);

#endif /* MASTER_LISTENER_H */
