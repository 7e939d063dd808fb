/*
 * Sends states to the service manager, as sd_notify(3) does, but never waits for it: sd_notify()
 * sleeps while the manager's queue is full, and a manager that is busy for seconds would stop the
 * server.  Master, loop thread.
 */
#ifndef MASTER_NOTIFIER_H
#define MASTER_NOTIFIER_H

#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <uv.h>

#define NOTIFIER_TEXT_MAX 256
#define NOTIFIER_WAITING_MAX 16

struct notifier {
    struct sockaddr_un address;
    socklen_t address_len;
    int fd; /* -1: nobody wants to be told */
    uv_timer_t retry;
    size_t waiting; /* states that the manager has not taken, the oldest first.  At the bound the
                       oldest is dropped: the newest is what the manager must know. */
    char texts[NOTIFIER_WAITING_MAX][NOTIFIER_TEXT_MAX];
};

/** Read NOTIFY_SOCKET: a path, or an abstract name that begins with @. */
void notifier_open(struct notifier *n, uv_loop_t *loop);

/** Tell a state, now or as soon as the manager takes it; states keep their order. */
void notifier_tell(struct notifier *n, const char *text);

/** Tell it if the manager takes it now.  For what is soon told again. */
void notifier_tell_now(struct notifier *n, const char *text);

/**
 * Tell something about a descriptor, which the manager gets a duplicate of, now or not at all.
 *
 * @param fd  Borrowed.
 * @return 0 or negative errno; -EAGAIN: the manager's queue is full, or states wait for it.
 */
int notifier_send(struct notifier *n, const char *text, int fd);

/** Close the timer.  What still waits is tried once more, then dropped. */
void notifier_close(struct notifier *n);

#endif /* MASTER_NOTIFIER_H */
