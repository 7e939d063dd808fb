/* Messages that wait for room in a worker's channel: order, bound, descriptors. */
#include "master/outbox.h"

#include "common/fd.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

struct channel {
    int ours;
    int theirs;
    struct outbox outbox;
};

static int open_channel(void **state)
{
    static struct channel c;
    outbox_init(&c.outbox);
    *state = &c;
    return fd_seqpacket_pair(&c.ours, &c.theirs);
}

static int close_channel(void **state)
{
    struct channel *c = *state;
    outbox_clear(&c->outbox);
    fd_close(&c->ours);
    fd_close(&c->theirs);
    return 0;
}

static int send_client(struct channel *c, uint64_t number, int *fd)
{
    struct ipc_client client = {.conn_id = number};
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    fd_close(&pipe_fds[1]);
    *fd = pipe_fds[0];
    return outbox_send(&c->outbox, c->ours, IPC_CLIENT, &client, fd);
}

/* Until messages wait. @return how many were sent, the waiting ones included. */
static uint64_t fill(struct channel *c)
{
    uint64_t sent = 0;
    int fd;
    while (outbox_is_empty(&c->outbox)) {
        assert_int_equal(send_client(c, sent++, &fd), 0);
        assert_int_equal(fd, -1);
    }
    return sent;
}

/* Read what the channel holds. @return the number of the next message expected. */
static uint64_t receive_all(struct channel *c, uint64_t next)
{
    struct ipc_msg msg;
    while (ipc_recv(c->theirs, IPC_PH_RUN, &msg) == 1) {
        assert_int_equal(msg.hdr.type, IPC_CLIENT);
        assert_int_equal(((const struct ipc_client *)(const void *)msg.payload)->conn_id, next++);
        assert_true(msg.fd >= 0);
        ipc_msg_free(&msg);
    }
    return next;
}

static void test_order_is_kept(void **state)
{
    struct channel *c = *state;
    int fd;
    uint64_t sent = fill(c);
    for (int i = 0; i < 500; i++)
        assert_int_equal(send_client(c, sent++, &fd), 0);
    assert_int_equal(outbox_flush(&c->outbox, c->ours), -EAGAIN);
    uint64_t received = receive_all(c, 0);
    /* There is room now, but nothing may overtake what waits. */
    assert_int_equal(send_client(c, sent++, &fd), 0);
    assert_false(outbox_is_empty(&c->outbox));
    while (outbox_flush(&c->outbox, c->ours) == -EAGAIN)
        received = receive_all(c, received);
    received = receive_all(c, received);
    assert_int_equal(received, sent);
    assert_true(outbox_is_empty(&c->outbox));
}

static void test_bound(void **state)
{
    struct channel *c = *state;
    const struct ipc_drain drain = {0};
    (void)fill(c);
    for (int i = 1; i < OUTBOX_MAX; i++)
        assert_int_equal(outbox_send(&c->outbox, c->ours, IPC_DRAIN, &drain, NULL), 0);
    int fd;
    assert_int_equal(send_client(c, 0, &fd), -EAGAIN);
    assert_true(fd >= 0); /* still ours */
    fd_close(&fd);
}

static void test_broken_channel(void **state)
{
    struct channel *c = *state;
    int fd;
    uint64_t sent = fill(c);
    fd_close(&c->theirs);
    int rc = outbox_flush(&c->outbox, c->ours);
    assert_true(rc == -EPIPE || rc == -ECONNRESET);
    outbox_clear(&c->outbox);
    assert_true(outbox_is_empty(&c->outbox));
    assert_int_equal(send_client(c, sent, &fd), -EPIPE);
    fd_close(&fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_order_is_kept, open_channel, close_channel),
        cmocka_unit_test_setup_teardown(test_bound, open_channel, close_channel),
        cmocka_unit_test_setup_teardown(test_broken_channel, open_channel, close_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
