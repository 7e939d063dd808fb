#include "worker/flv/read_ahead.h"

#include "worker/flv/rtmp_opening.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

static _Thread_local struct read_ahead *current;

void read_ahead_begin(struct read_ahead *ahead, int fd)
{
    ahead->fd = fd;
    ahead->start = ahead->end = 0;
    ahead->readable = ahead->writing = false;
    current = ahead;
}

bool read_ahead_has_bytes(void)
{
    return current != NULL && current->start < current->end;
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

ssize_t read_ahead_recv(int fd, void *buf, size_t len, int flags)
{
    struct read_ahead *a = current;
    if (a == NULL || fd != a->fd || flags != 0) {
        ssize_t n = receive(fd, buf, len, flags);
        rtmp_opening_look(buf, len, n);
        return n;
    }
    if (!read_ahead_has_bytes()) {
        ssize_t n = receive(fd, a->data, sizeof(a->data), 0);
        a->readable = false;
        if (n <= 0)
            return n;
        a->start = 0;
        a->end = (size_t)n;
    }
    return take(a, buf, len);
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
