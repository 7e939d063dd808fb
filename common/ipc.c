#include "common/ipc.h"

#include "common/fd.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* clang-format off */
#define X(U, l, type, fds, ph)                                                 \
    _Static_assert(sizeof(type) <= IPC_PAYLOAD_MAX, #U ": payload too large"); \
    _Static_assert((fds) == 0 || (fds) == 1, #U ": one descriptor at most");
IPC_ALL(X)
#undef X
/* clang-format on */

const struct ipc_desc ipc_desc[IPC_TYPE_COUNT] = {
#define X(U, l, type, nfds, ph) \
    [IPC_##U] = {.name = #U, .len = sizeof(type), .fds = (nfds), .phases = (ph)},
    IPC_ALL(X)
#undef X
};

static const char *const camera_states[] = {
#define X(U, word) [IPC_CAMERA_##U] = (word),
    IPC_CAMERA_STATES(X)
#undef X
        [IPC_CAMERA_STATE_COUNT] = "stopped",
    [IPC_CAMERA_QUARANTINED] = "quarantined",
    [IPC_CAMERA_UNWATCHED] = "unwatched",
};

const char *ipc_camera_state_name(enum ipc_camera_state state)
{
    assert(state < IPC_CAMERA_SHOWN_COUNT);
    return camera_states[state];
}

/* Room for more descriptors than we accept, so that extra ones are seen and closed. */
#define IPC_FDS_ROOM 4

_Static_assert(CMSG_SPACE(sizeof(int) * IPC_FDS_ROOM) == CMSG_LEN(sizeof(int) * IPC_FDS_ROOM),
               "padding would let the kernel deliver more descriptors than fds[] holds");

union ipc_cmsg {
    struct cmsghdr hdr;
    char space[CMSG_SPACE(sizeof(int) * IPC_FDS_ROOM)];
};

int ipc_check(const struct ipc_hdr *hdr, size_t nbytes, int nfds, enum ipc_phase phase)
{
    if (nbytes < sizeof(*hdr))
        return -EPROTO;
    if (hdr->type >= IPC_TYPE_COUNT)
        return -EPROTO;

    const struct ipc_desc *d = &ipc_desc[hdr->type];
    if (hdr->len != d->len || nbytes != sizeof(*hdr) + d->len)
        return -EPROTO;
    if (nfds != d->fds)
        return -EPROTO;
    if ((d->phases & (unsigned)phase) == 0)
        return -EPROTO;
    return 0;
}

int ipc_send(int sock, enum ipc_type type, const void *payload, int *fd)
{
    static uint32_t seq;
    assert(type < IPC_TYPE_COUNT);
    const struct ipc_desc *d = &ipc_desc[type];
    assert((fd != NULL) == (d->fds == 1));

    struct ipc_hdr hdr = {.type = (uint16_t)type, .len = d->len, .seq = seq};
    struct iovec iov[2] = {
        {.iov_base = &hdr, .iov_len = sizeof(hdr)},
        {.iov_base = (void *)(uintptr_t)payload, .iov_len = d->len},
    };
    struct msghdr mh = {.msg_iov = iov, .msg_iovlen = 2};
    union ipc_cmsg cm;
    if (fd != NULL) {
        mh.msg_control = &cm;
        fd_put_rights(&mh, fd, 1);
    }

    ssize_t n;
    do
        n = sendmsg(sock, &mh, MSG_NOSIGNAL);
    while (n == -1 && errno == EINTR);
    if (n == -1)
        return errno == ETOOMANYREFS ? -EAGAIN : -errno; /* too many descriptors in flight */

    seq++;
    if (fd != NULL)
        fd_close(fd); /* the kernel holds it now */
    return 0;
}

int ipc_recv(int sock, enum ipc_phase phase, struct ipc_msg *msg)
{
    int fds[IPC_FDS_ROOM];
    int rc;
    union ipc_cmsg cm;
    struct iovec iov[2] = {
        {.iov_base = &msg->hdr, .iov_len = sizeof(msg->hdr)},
        {.iov_base = msg->payload, .iov_len = sizeof(msg->payload)},
    };
    struct msghdr mh = {
        .msg_iov = iov, .msg_iovlen = 2, .msg_control = &cm, .msg_controllen = sizeof(cm)};

    msg->fd = -1;
    ssize_t n;
    do
        n = recvmsg(sock, &mh, MSG_CMSG_CLOEXEC);
    while (n == -1 && errno == EINTR);
    if (n == -1)
        return -errno;

    /* Collect descriptors first: an empty record reads as n == 0, like EOF, and may carry some. */
    int nfds = (int)fd_get_rights(&mh, fds, IPC_FDS_ROOM);

    rc = -EPROTO;
    if (n == 0) {
        if (nfds == 0)
            rc = 0; /* peer closed */
        goto out;
    }
    if ((mh.msg_flags & MSG_TRUNC) != 0)
        goto out;
    if ((mh.msg_flags & MSG_CTRUNC) != 0) {
        /* Linux also sets MSG_CTRUNC, and delivers none, when we have no descriptors left. */
        rc = nfds == 0 ? -EMFILE : -EPROTO;
        goto out;
    }
    rc = ipc_check(&msg->hdr, (size_t)n, nfds, phase);
    if (rc != 0)
        goto out;
    if (nfds == 1)
        msg->fd = fds[--nfds];
    rc = 1;

out:
    while (nfds > 0)
        fd_close(&fds[--nfds]);
    return rc;
}

int ipc_string_ok(const char *s, size_t size)
{
    return memchr(s, '\0', size) != NULL;
}

void ipc_msg_free(struct ipc_msg *msg)
{
    fd_close(&msg->fd);
}
