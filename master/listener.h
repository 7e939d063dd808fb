/*
 * A listening port.  Master, loop thread.
 *
 * When descriptors run out, libuv accepts and closes the waiting connections, so that the queue
 * does not grow stale and the loop does not spin.  server.c raises the limit to the hard limit at
 * start.
 */
#ifndef MASTER_LISTENER_H
#define MASTER_LISTENER_H

#include "master/endpoint.h"

#include <stdbool.h>
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

/** Where it listens.  For a Unix socket only the family is set: AF_UNIX. */
void listener_get_address(const struct listener *listener, struct sockaddr_storage *out);

/** @return the socket, borrowed; -1: listener is NULL. */
int listener_descriptor(const struct listener *listener);

/**
 * Does a socket listen where listener_open() would bind one?
 * @param port  0: any.
 */
bool listener_is_at(int fd, const char *address, uint16_t port);

/** Stop accepting, free: new connections wait in the kernel. @return the socket, for
 * listener_open(), which the caller owns; -1: no descriptor is left, and it goes on accepting. */
int listener_pause(struct listener **listener);

/** Stop accepting, free.  *listener may be NULL. */
void listener_close(struct listener **listener);

#endif /* MASTER_LISTENER_H */
