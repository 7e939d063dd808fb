#include "common/fd.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

void fd_close(int *fd)
{
    assert(fd != NULL);
    if (*fd == -1)
        return;
    assert(*fd > STDERR_FILENO); /* stdio is never ours to close */

    int saved_errno = errno;
    (void)close(*fd);
    errno = saved_errno;
    *fd = -1;
}

int fd_take(int *fd)
{
    assert(fd != NULL);
    int taken = *fd;
    *fd = -1;
    return taken;
}

int fd_seqpacket_pair(int *a, int *b)
{
    int sv[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv) == -1)
        return -errno;
    *a = sv[0];
    *b = sv[1];
    return 0;
}

void fd_put_rights(struct msghdr *message, const int *fds, size_t count)
{
    const size_t len = count * sizeof(int);
    const struct cmsghdr head = {
        .cmsg_len = CMSG_LEN(len), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    message->msg_controllen = CMSG_SPACE(len);
    memset(message->msg_control, 0, message->msg_controllen);
    memcpy(message->msg_control, &head, sizeof(head));
    memcpy((char *)message->msg_control + CMSG_LEN(0), fds, len);
}

size_t fd_get_rights(struct msghdr *message, int *fds, size_t max)
{
    size_t found = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        count = count < max - found ? count : max - found;
        memcpy(fds + found, CMSG_DATA(c), count * sizeof(int));
        found += count;
    }
    return found;
}
