#include "common/fd.h"

#include <assert.h>
#include <errno.h>
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
