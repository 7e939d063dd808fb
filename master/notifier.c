#include "master/notifier.h"

#include "common/fd.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_MS 50

/* @return false: there is no such address.  systemd's other kind, vsock:, is for whole machines. */
static bool read_address(struct notifier *n, const char *name)
{
    size_t len = name != NULL ? strlen(name) : 0;
    if (len < 2 || len >= sizeof(n->address.sun_path) || (name[0] != '/' && name[0] != '@'))
        return false;
    n->address.sun_family = AF_UNIX;
    memcpy(n->address.sun_path, name, len + 1);
    if (name[0] == '@')
        n->address.sun_path[0] = '\0';
    n->address_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + (name[0] == '/'));
    return true;
}

/* @return false: the manager's queue is full.  Any other failure means that nobody is there. */
static bool send_text(const struct notifier *n, const char *text)
{
    return sendto(n->fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL,
                  (const struct sockaddr *)&n->address, n->address_len) != -1 ||
           (errno != EAGAIN && errno != ENOBUFS);
}

static void drop_oldest(struct notifier *n, size_t count)
{
    n->waiting -= count;
    memmove(n->texts, n->texts + count, n->waiting * sizeof(n->texts[0]));
}

static void flush(struct notifier *n)
{
    size_t sent = 0;
    while (sent < n->waiting && send_text(n, n->texts[sent]))
        sent++;
    drop_oldest(n, sent);
}

static void on_retry(uv_timer_t *timer)
{
    struct notifier *n = timer->data;
    flush(n);
    if (n->waiting == 0)
        (void)uv_timer_stop(timer);
}

void notifier_open(struct notifier *n, uv_loop_t *loop)
{
    memset(n, 0, sizeof(*n));
    n->fd = -1;
    (void)uv_timer_init(loop, &n->retry);
    n->retry.data = n;
    uv_unref((uv_handle_t *)&n->retry);
    if (read_address(n, getenv("NOTIFY_SOCKET")))
        n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

void notifier_tell(struct notifier *n, const char *text)
{
    if (n->fd == -1)
        return;
    if (n->waiting == NOTIFIER_WAITING_MAX)
        drop_oldest(n, 1);
    (void)snprintf(n->texts[n->waiting++], NOTIFIER_TEXT_MAX, "%s", text);
    flush(n);
    if (n->waiting > 0)
        (void)uv_timer_start(&n->retry, on_retry, RETRY_MS, RETRY_MS);
}

void notifier_tell_now(struct notifier *n, const char *text)
{
    if (n->fd != -1 && n->waiting == 0)
        (void)send_text(n, text);
}

int notifier_send(struct notifier *n, const char *text, int fd)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    struct iovec part = {(char *)(uintptr_t)text, strlen(text)};
    struct msghdr m = {.msg_name = &n->address,
                       .msg_namelen = n->address_len,
                       .msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control};
    fd_put_rights(&m, &fd, 1);
    if (n->fd == -1)
        return -ENOTCONN;
    if (n->waiting > 0)
        return -EAGAIN; /* what was told before comes first */
    if (sendmsg(n->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) != -1)
        return 0;
    return errno == ENOBUFS ? -EAGAIN : -errno;
}

void notifier_close(struct notifier *n)
{
    if (n->fd != -1)
        flush(n);
    n->waiting = 0;
    fd_close(&n->fd);
    uv_close((uv_handle_t *)&n->retry, NULL);
}
