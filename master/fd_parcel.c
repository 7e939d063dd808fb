#include "master/fd_parcel.h"

#include "common/fd.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BATCH 253             /* SCM_MAX_FD of the kernel */
#define QUEUE_BYTES (8 << 20) /* the kernel cuts it to net.core.wmem_max */

/* Descriptors, and the numbers that they have here. */
struct batch {
    int32_t numbers[BATCH];
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(BATCH * sizeof(int))];
};

static struct msghdr message_of(struct batch *b, struct iovec *part, size_t count)
{
    *part = (struct iovec){b->numbers, count * sizeof(b->numbers[0])};
    return (struct msghdr){.msg_iov = part,
                           .msg_iovlen = 1,
                           .msg_control = b->control,
                           .msg_controllen = CMSG_SPACE(count * sizeof(int))};
}

/* --- packing ---------------------------------------------------------------- */

static int send_batch(int sock, const int *fds, size_t count)
{
    static struct batch b;
    struct iovec part;
    struct msghdr m = message_of(&b, &part, count);
    fd_put_rights(&m, fds, count);
    memcpy(b.numbers, fds, count * sizeof(int));
    return sendmsg(sock, &m, MSG_DONTWAIT | MSG_NOSIGNAL) == -1 ? -errno : 0;
}

/* Send the last descriptors first, because the last one is the memory.  @return how many were sent.
 */
static size_t send_all(int sock, const struct takeover_writer *w, int *error)
{
    size_t left = w->passed_count;
    *error = 0;
    while (left > 0 && *error == 0) {
        /* The first message is the memory alone, so that it always finds room. */
        size_t count = left == w->passed_count ? 1 : left < BATCH ? left : BATCH;
        *error = send_batch(sock, w->passed + left - count, count);
        if (*error == 0)
            left -= count;
    }
    return w->passed_count - left;
}

/* The reader's end outlives the writer's: it is no connection that would break. */
static int make_queue(int ends[2])
{
    const int size = QUEUE_BYTES;
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == -1)
        return -errno;
    (void)setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    return 0;
}

int fd_parcel_pack(struct takeover_writer *w, const int listeners[TAKEOVER_LISTENERS],
                   size_t *left_out)
{
    int ends[2];
    int error;
    int memory = takeover_seal(w, listeners);
    if (memory < 0)
        return memory;
    int rc = make_queue(ends);
    if (rc == 0) {
        size_t sent = send_all(ends[0], w, &error);
        *left_out = w->passed_count - sent;
        fd_close(&ends[0]);
        if (sent == 0) {
            rc = error;
            fd_close(&ends[1]);
        }
    }
    w->passed_count--; /* the memory */
    fd_close(&memory);
    return rc == 0 ? ends[1] : rc;
}

/* --- unpacking ---------------------------------------------------------------- */

struct contents {
    int32_t *numbers;
    int *fds;
    size_t count;
    size_t room;
};

static void add(struct contents *all, int32_t number, int fd)
{
    if (all->count == all->room) {
        all->room = 2 * all->room + BATCH;
        all->numbers = reallocarray(all->numbers, all->room, sizeof(*all->numbers));
        all->fds = reallocarray(all->fds, all->room, sizeof(*all->fds));
        if (all->numbers == NULL || all->fds == NULL)
            abort();
    }
    all->numbers[all->count] = number;
    all->fds[all->count++] = fd;
}

/* A process that has no free descriptor number gets fewer descriptors than were sent. */
static void add_batch(struct contents *all, const struct batch *b, size_t len, struct msghdr *m)
{
    int fds[BATCH];
    size_t numbers = len / sizeof(b->numbers[0]);
    size_t count = fd_get_rights(m, fds, BATCH);
    for (size_t i = 0; i < count; i++)
        add(all, i < numbers ? b->numbers[i] : -1, fds[i]);
}

/* All stays in the queue: the kernel makes duplicates. */
static void peek_all(int sock, struct contents *all)
{
    static struct batch b;
    const int from = 0;
    if (setsockopt(sock, SOL_SOCKET, SO_PEEK_OFF, &from, sizeof(from)) == -1)
        return; /* else the first message would come again and again */
    for (;;) {
        struct iovec part;
        struct msghdr m = message_of(&b, &part, BATCH);
        ssize_t n = recvmsg(sock, &m, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n == -1 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        add_batch(all, &b, (size_t)n, &m);
    }
}

/* Only such a socket is read: any other descriptor may be anything. */
static bool is_queue(int fd)
{
    int domain = 0, type = 0;
    socklen_t len = sizeof(type);
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 && domain == AF_UNIX &&
           getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_DGRAM;
}

enum takeover_news fd_parcel_read(int fd, struct takeover **out)
{
    struct contents all = {0};
    bool queue = is_queue(fd);
    enum takeover_news news = queue ? TAKEOVER_NONE : TAKEOVER_BROKEN;
    *out = NULL;
    if (queue)
        peek_all(fd, &all);
    if (all.count > 0)
        news = takeover_assemble(all.fds[0], all.numbers + 1, all.fds + 1, all.count - 1, out);
    free(all.numbers);
    free(all.fds);
    return news;
}

/* The only thing of a queue that can be changed and means nothing to it: datagrams have no low
 * water mark. */
unsigned fd_parcel_count_attempt(int fd)
{
    int attempt = 1;
    socklen_t size = sizeof(attempt);
    if (getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &attempt, &size) == -1 || attempt < 1)
        return 1;
    const int next = attempt + 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &next, sizeof(next));
    return (unsigned)attempt;
}

void fd_parcel_empty(int fd)
{
    char byte;
    if (!is_queue(fd))
        return;
    while (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) != -1 || errno == EINTR) {
    }
}
