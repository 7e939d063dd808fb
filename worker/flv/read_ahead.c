#include "worker/flv/read_ahead.h"

#include "worker/flv/rtmp_opening.h"
#include "worker/flv/rtmp_stamps.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static _Thread_local struct read_ahead *current;

void read_ahead_begin(struct read_ahead *ahead, int fd)
{
    ahead->fd = fd;
    ahead->start = ahead->end = 0;
    ahead->readable = ahead->writing = ahead->starved = false;
    current = ahead;
}

bool read_ahead_has_bytes(void)
{
    return current != NULL && current->start < current->end && !current->starved;
}

bool read_ahead_is_writing(void)
{
    return current != NULL && current->writing;
}

void read_ahead_end(void)
{
    current = NULL;
}

static ssize_t receive(int fd, void *buf, size_t len, int flags)
{
    return recvfrom(fd, buf, len, flags, NULL, NULL);
}

static ssize_t take(struct read_ahead *a, void *buf, size_t len)
{
    size_t left = a->end - a->start;
    size_t n = len < left ? len : left;
    memcpy(buf, a->data + a->start, n);
    a->start += n;
    return (ssize_t)n;
}

/* poll() and recv() have other names here because libc's headers may define them as inline
 * functions. */
ssize_t read_ahead_recv(int fd, void *buf, size_t len, int flags) __asm__("recv");
int read_ahead_poll(struct pollfd *fds, nfds_t count, int timeout_ms) __asm__("poll");

/* Have `least` bytes ready, if they have come.  Returns how many are, or recv()'s result. */
static ssize_t fill(struct read_ahead *a, size_t least)
{
    size_t left = a->end - a->start;
    if (left >= least)
        return (ssize_t)left;
    memmove(a->data, a->data + a->start, left);
    a->start = 0;
    a->end = left;
    ssize_t n = receive(a->fd, a->data + left, sizeof(a->data) - left, 0);
    a->readable = false;
    if (n <= 0) /* at the end nothing will complete what is left */
        return n < 0 && left > 0 ? (ssize_t)left : n;
    a->end += (size_t)n;
    return (ssize_t)a->end;
}

static ssize_t read_bytes(struct read_ahead *a, int fd, void *buf, size_t len, int flags)
{
    if (a == NULL) {
        ssize_t n = receive(fd, buf, len, flags);
        rtmp_opening_look(buf, len, n);
        return n;
    }
    ssize_t n = fill(a, 1);
    return n > 0 ? take(a, buf, len) : n;
}

/* recv() with MSG_PEEK.  Returns at most len. */
static ssize_t peek(struct read_ahead *a, int fd, uint8_t *to, size_t len)
{
    if (a == NULL)
        return receive(fd, to, len, MSG_PEEK);
    ssize_t n = fill(a, len);
    if (n <= 0)
        return n;
    n = (size_t)n < len ? n : (ssize_t)len;
    memcpy(to, a->data + a->start, (size_t)n);
    return n;
}

/* Read a stamp, or what stands where it should be. */
static ssize_t read_stamp(struct read_ahead *a, int fd, void *buf, const uint8_t *stamp)
{
    uint8_t comes[RTMP_STAMP_BYTES];
    ssize_t n = peek(a, fd, comes, sizeof(comes));
    bool unclear = n > 0 && n < RTMP_STAMP_BYTES && memcmp(comes, stamp, (size_t)n) == 0;
    if (a != NULL)
        a->starved = unclear;
    if (unclear) {
        errno = EAGAIN;
        return -1;
    }
    if (n <= 0)
        return n;
    if (memcmp(comes, stamp, (size_t)n) == 0)
        return read_bytes(a, fd, buf, RTMP_STAMP_BYTES, 0);
    memcpy(buf, stamp, RTMP_STAMP_BYTES); /* it is not there */
    return RTMP_STAMP_BYTES;
}

ssize_t read_ahead_recv(int fd, void *buf, size_t len, int flags)
{
    struct read_ahead *a = current != NULL && fd == current->fd && flags == 0 ? current : NULL;
    uint8_t stamp[RTMP_STAMP_BYTES];
    ssize_t n = rtmp_stamps_expect(len, stamp) ? read_stamp(a, fd, buf, stamp)
                                               : read_bytes(a, fd, buf, len, flags);
    rtmp_stamps_look(buf, len, n);
    return n;
}

static int wait_for_events(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    struct timespec timeout = {.tv_sec = timeout_ms / 1000,
                               .tv_nsec = timeout_ms % 1000 * 1000000L};
    return ppoll(fds, count, timeout_ms < 0 ? NULL : &timeout, NULL);
}

int read_ahead_poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    struct read_ahead *a = current;
    bool ours = count == 1 && a != NULL && fds->fd == a->fd;
    bool reads = ours && (fds->events & POLLIN) != 0;
    if (reads && (a->readable || read_ahead_has_bytes())) {
        a->writing = false;
        fds->revents = POLLIN;
        return 1;
    }
    int n = wait_for_events(fds, count, timeout_ms);
    if (ours) {
        a->writing = !reads && n == 0;
        a->readable = n > 0 && (fds->revents & POLLIN) != 0;
    }
    return n;
}
