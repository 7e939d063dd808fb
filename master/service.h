/*
 * systemd's side of a service: sockets it hands over, what it is told of our state, the watchdog
 * (sd_listen_fds(3), sd_notify(3)).  Master, loop thread.  Started by anything else, all of this
 * does nothing.
 */
#ifndef MASTER_SERVICE_H
#define MASTER_SERVICE_H

#include "master/route.h"

#include <uv.h>

struct service {
    uv_timer_t watchdog;
    int sockets[2]; /* handed over, by enum route_port; -1: none */
};

/**
 * Take what systemd handed over out of the environment, before a child could inherit it, and
 * answer the watchdog from now on: it is the loop that shows that it lives.
 *
 * @return 0, or -EINVAL: there are sockets, but not the two of cam-httpflv.socket.
 */
int service_open(struct service *service, uv_loop_t *loop);

/** The socket that systemd made for a port: streams are the first.  Caller owns it; -1: none. */
int service_take_socket(struct service *service, enum route_port kind);

/** Requests are answered; also ends what service_notify_reloading() began. */
void service_notify_ready(void);
void service_notify_reloading(void);
void service_notify_stopping(void);

/** What `systemctl status` shows. */
void service_notify_status(const char *text);

/** Close the timer, and sockets that nobody has taken. */
void service_close(struct service *service);

#endif /* MASTER_SERVICE_H */
