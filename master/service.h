/*
 * The service as systemd sees it: the sockets that it hands over, the state that we report, the
 * watchdog (sd_listen_fds(3), sd_notify(3)).  Master, loop thread.  If something else started the
 * process, these functions do nothing.  They never wait for systemd.
 */
#ifndef MASTER_SERVICE_H
#define MASTER_SERVICE_H

#include "master/notifier.h"
#include "master/route.h"

#include <uv.h>

struct service {
    struct notifier notifier;
    uv_timer_t watchdog;
    int sockets[2]; /* handed over, by enum route_port; -1: none */
};

/**
 * Take systemd's sockets and remove them from the environment before a child could inherit them.
 * From now on, the loop answers the watchdog, which shows that the loop is alive.
 *
 * @return 0, or -EINVAL: there are sockets, but not the two of cam-httpflv.socket.
 */
int service_open(struct service *service, uv_loop_t *loop);

/** Take the socket that systemd opened for a port: the first of its two is for streams.  Caller
 * owns it; -1: none. */
int service_take_socket(struct service *service, enum route_port kind);

/** Requests are answered from now on; also ends a reload that service_notify_reloading() began. */
void service_notify_ready(struct service *service);
void service_notify_reloading(struct service *service);
void service_notify_stopping(struct service *service);

/** What `systemctl status` shows. */
void service_notify_status(struct service *service, const char *status);

/** Close the timers, and sockets that nobody has taken. */
void service_close(struct service *service);

#endif /* MASTER_SERVICE_H */
