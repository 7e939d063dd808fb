/*
 * Reads seldom from an RTMP or HTTP camera that nobody watches: media gather in its socket
 * meanwhile. Worker: one thread reads and waits here; another one, which never waits, says when.
 *
 *   eager        the reading thread takes what comes
 *   lazy         when the socket is empty, it waits for some tenths of a second, or until much has
 *                come; then it reads all of that
 *   catching up  eager is wanted again, and it reads what has gathered
 */
#ifndef WORKER_FLV_LAZY_H
#define WORKER_FLV_LAZY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Private to flv_lazy.c.  Zeroed, it is eager for good; flv_lazy_open(). */
struct flv_lazy {
    bool open;
    int wake;              /* eventfd: ends a wait */
    atomic_bool wanted;    /* lazy is wanted */
    atomic_bool gathering; /* the socket may hold media that have waited */
    int64_t woken_us;      /* when the reading thread's last wait ended, clock_awake_us() */
    void (*caught_up)(void *ctx);
    void *ctx;
};

/**
 * @param caught_up  called on the reading thread: what had gathered when eager was wanted again has
 *                   been read.
 */
void flv_lazy_open(struct flv_lazy *lazy, void (*caught_up)(void *ctx), void *ctx);

/** No thread may use it any more.  Fine if it is not open. */
void flv_lazy_close(struct flv_lazy *lazy);

/**
 * Be lazy, or eager again: the reading thread's wait ends at once.
 *
 * @return true if eager is wanted and media that have gathered are still to be read: caught_up()
 *         follows, unless the reading thread ends.
 */
bool flv_lazy_set(struct flv_lazy *lazy, bool wanted);

/** End the reading thread's wait: it is to look at something else. */
void flv_lazy_wake(struct flv_lazy *lazy);

/** Is lazy wanted? */
bool flv_lazy_is_wanted(const struct flv_lazy *lazy);

/** May the socket hold media that have waited? */
bool flv_lazy_is_gathering(const struct flv_lazy *lazy);

/** Has flv_lazy_wait() anything to do? */
bool flv_lazy_is_due(const struct flv_lazy *lazy);

/**
 * The reading thread calls this before it waits for the socket: waits here while lazy.
 *
 * @param fd       -1: unknown, nothing is waited for.
 * @param most_us  the longest wait.
 * @return true if it has waited.
 */
bool flv_lazy_wait(struct flv_lazy *lazy, int fd, int64_t most_us);

#endif /* WORKER_FLV_LAZY_H */
