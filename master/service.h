/*
 * The service as systemd sees it: the sockets that it hands over, the state that we report, the
 * watchdog, what it keeps for our next start (sd_listen_fds(3), sd_notify(3), FDSTORE=1).  Master,
 * loop thread.  If something else started the process, these functions do nothing.  They never wait
 * for systemd.
 */
#ifndef MASTER_SERVICE_H
#define MASTER_SERVICE_H

#include "master/notifier.h"
#include "master/route.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* systemd 254 sets it to the unit's FileDescriptorStoreMax=; for older ones, our unit file does. */
#define SERVICE_STORE_VARIABLE "FDSTORE"
/* A new descriptor is stored before the old one is removed. */
#define SERVICE_STORE_MIN 2
#define SERVICE_KEPT_MAX 16

/* A descriptor that the last start of this service left with systemd. */
struct service_kept {
    int fd;
    uint64_t number;
};

struct service {
    struct notifier notifier;
    uv_timer_t watchdog;
    int sockets[2];      /* handed over, by enum route_port; -1: none */
    bool has_store;      /* systemd keeps descriptors for our next start */
    int64_t watchdog_ms; /* systemd kills us when the loop has not turned for so long; 0: never */
    size_t kept_count;
    struct service_kept kept[SERVICE_KEPT_MAX];
};

/**
 * Take systemd's descriptors and remove them from the environment before a child could inherit
 * them. From now on, the loop answers the watchdog, which shows that the loop is alive.
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

/* --- what systemd keeps ------------------------------------------------------ */

/** Does systemd keep descriptors for our next start, over a restart and whatever kills us? */
bool service_has_store(const struct service *service);

/**
 * Have a descriptor kept under a number.
 *
 * @param fd  Borrowed: systemd gets a duplicate.
 * @return 0 or negative errno; -EAGAIN: systemd does not read its messages at the moment.
 */
int service_keep(struct service *service, uint64_t number, int fd);

/** systemd closes what it keeps under that number, now or as soon as it reads its messages. */
void service_drop(struct service *service, uint64_t number);

/** What the last start left.  @return -1: there is no i-th one.  Borrowed. */
int service_kept(const struct service *service, size_t i, uint64_t *number);

/** Take one of them.  @return -1: there is none.  Caller owns. */
int service_take_kept(struct service *service, uint64_t *number);

/** Close the timers, and descriptors that nobody has taken. */
void service_close(struct service *service);

#endif /* MASTER_SERVICE_H */
