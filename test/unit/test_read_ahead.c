/* worker/flv/read_ahead: poll() and recv() of one socket, as libavformat calls them, and of all
 * others. */
#include "worker/flv/read_ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PIECE 7
#define SENT_BYTES (3 * READ_AHEAD_BYTES + 5)

struct rig {
    struct read_ahead ahead;
    int camera; /* the end that sends */
    int fd;     /* the end that is read */
};

static int setup(void **state)
{
    static struct rig rig;
    int ends[2], size = 4 * (int)SENT_BYTES;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return -1;
    rig.camera = ends[0];
    rig.fd = ends[1];
    (void)setsockopt(rig.camera, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    *state = &rig;
    return 0;
}

static int teardown(void **state)
{
    const struct rig *rig = *state;
    read_ahead_end();
    (void)close(rig->camera);
    (void)close(rig->fd);
    return 0;
}

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int n = poll(&p, 1, 0);
    assert_int_equal(n, p.revents == POLLIN);
    return n == 1;
}

/* What the kernel still has. */
static int in_socket(int fd)
{
    int bytes = 0;
    assert_int_equal(ioctl(fd, FIONREAD, &bytes), 0);
    return bytes;
}

static void send_all(struct rig *rig, size_t len)
{
    static uint8_t data[SENT_BYTES];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 31 >> 3);
    assert_int_equal(send(rig->camera, data, len, MSG_NOSIGNAL), len);
}

/* One byte brings all that has come; the rest is there without the kernel. */
static void test_one_read_for_many(void **state)
{
    struct rig *rig = *state;
    uint8_t buf[PIECE];
    read_ahead_begin(&rig->ahead, rig->fd);
    assert_false(is_readable(rig->fd));
    assert_false(read_ahead_has_bytes());
    send_all(rig, 1000);
    assert_true(is_readable(rig->fd));
    assert_int_equal(recv(rig->fd, buf, 1, 0), 1);
    assert_int_equal(in_socket(rig->fd), 0);
    for (size_t left = 999; left > 0; left -= left < PIECE ? left : PIECE) {
        assert_true(read_ahead_has_bytes());
        assert_true(is_readable(rig->fd));
        assert_int_equal(recv(rig->fd, buf, PIECE, 0), left < PIECE ? left : PIECE);
    }
    assert_false(read_ahead_has_bytes());
    assert_false(is_readable(rig->fd));
    assert_int_equal(recv(rig->fd, buf, PIECE, 0), -1);
    assert_int_equal(errno, EAGAIN);
}

/* The kernel is asked once whether there is something to read: then it need not be asked again. */
static void test_one_question(void **state)
{
    struct rig *rig = *state;
    uint8_t byte;
    read_ahead_begin(&rig->ahead, rig->fd);
    send_all(rig, 1);
    assert_true(is_readable(rig->fd));
    assert_int_equal(read(rig->fd, &byte, 1), 1); /* behind its back */
    assert_true(is_readable(rig->fd));
    assert_int_equal(recv(rig->fd, &byte, 1, 0), -1);
    assert_false(is_readable(rig->fd));
    send_all(rig, 1);
    assert_true(is_readable(rig->fd));
    assert_int_equal(recv(rig->fd, &byte, 1, 0), 1);
    assert_false(is_readable(rig->fd));
}

/* Every byte comes once and in order, whatever the pieces; then the end. */
static void test_order_and_end(void **state)
{
    struct rig *rig = *state;
    static uint8_t buf[2 * READ_AHEAD_BYTES];
    size_t at = 0;
    read_ahead_begin(&rig->ahead, rig->fd);
    send_all(rig, SENT_BYTES);
    assert_int_equal(shutdown(rig->camera, SHUT_WR), 0);
    for (size_t size = 1; at < SENT_BYTES; size = size * 3 % sizeof(buf) + 1) {
        ssize_t n = recv(rig->fd, buf, size, 0);
        assert_in_range(n, 1, size);
        for (size_t i = 0; i < (size_t)n; i++, at++)
            assert_int_equal(buf[i], (uint8_t)(at * 31 >> 3));
    }
    assert_int_equal(at, SENT_BYTES);
    assert_int_equal(recv(rig->fd, buf, sizeof(buf), 0), 0);
}

static void *read_as_usual(void *arg)
{
    const struct rig *rig = arg;
    uint8_t byte;
    assert_int_equal(recv(rig->fd, &byte, 1, 0), 1);
    assert_int_equal(in_socket(rig->fd), 99);
    return NULL;
}

/* Other threads, other sockets, other calls and other events are libc's. */
static void test_others(void **state)
{
    struct rig *rig = *state;
    pthread_t thread;
    uint8_t byte;
    send_all(rig, 100);
    read_ahead_begin(&rig->ahead, rig->camera); /* another socket */
    assert_int_equal(recv(rig->fd, &byte, 1, MSG_PEEK), 1);
    assert_int_equal(pthread_create(&thread, NULL, read_as_usual, rig), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    read_ahead_begin(&rig->ahead, rig->fd);
    assert_int_equal(recv(rig->fd, &byte, 1, 0), 1);
    assert_true(read_ahead_has_bytes());
    struct pollfd both[] = {{.fd = rig->camera, .events = POLLIN},
                            {.fd = rig->fd, .events = POLLOUT}};
    assert_int_equal(poll(both, 2, 0), 1);
    assert_int_equal(both[0].revents, 0);
    assert_int_equal(both[1].revents, POLLOUT);
    assert_int_equal(poll(both + 1, 1, 0), 1);
    assert_int_equal(both[1].revents, POLLOUT);
    assert_int_equal(poll(NULL, 0, 1), 0);
    read_ahead_end();
    assert_false(read_ahead_has_bytes());
    assert_false(is_readable(rig->fd)); /* what was read ahead is lost */
    send_all(rig, 2);
    assert_int_equal(recv(rig->fd, &byte, 1, 0), 1);
    assert_int_equal(in_socket(rig->fd), 1);
}

/* A peer that sends but does not read: whoever waits to write to it is told so, whatever has been
 * read. */
static void test_no_room_to_write(void **state)
{
    struct rig *rig = *state;
    static const uint8_t much[4096];
    uint8_t byte;
    struct pollfd write = {.fd = rig->fd, .events = POLLOUT};
    send_all(rig, 100);
    read_ahead_begin(&rig->ahead, rig->fd);
    assert_int_equal(recv(rig->fd, &byte, 1, 0), 1);
    assert_int_equal(poll(&write, 1, 0), 1);
    assert_false(read_ahead_is_writing());
    while (send(rig->fd, much, sizeof(much), MSG_NOSIGNAL) > 0)
        ;
    assert_int_equal(poll(&write, 1, 0), 0);
    assert_true(read_ahead_is_writing());
    assert_true(is_readable(rig->fd));
    assert_false(read_ahead_is_writing());
    assert_int_equal(recv(rig->fd, &byte, 1, 0), 1);
    read_ahead_end();
    assert_false(read_ahead_is_writing());
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_one_read_for_many), CASE(test_one_question),
        CASE(test_order_and_end),     CASE(test_others),
        CASE(test_no_room_to_write),
    };
    return cmocka_run_group_tests_name("read_ahead", tests, NULL, NULL);
}
