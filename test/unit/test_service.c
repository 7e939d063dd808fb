/* master/service: a manager played by the test itself. */
#include "master/service.h"

#include "common/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <cmocka.h>

static uv_loop_t loop;
static struct service service; /* closed by the loop, after the test */

static int setup(void **state)
{
    static const char *const names[] = {"NOTIFY_SOCKET",  "LISTEN_PID",   "LISTEN_FDS",
                                        "LISTEN_FDNAMES", "WATCHDOG_PID", "WATCHDOG_USEC",
                                        "FDSTORE"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        (void)unsetenv(names[i]);
    /* The loop must not sit where sockets are handed over. */
    for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + 5; fd++) {
        int null = open("/dev/null", O_RDONLY);
        if (null != fd && (dup2(null, fd) == -1 || close(null) == -1))
            return -1;
    }
    return uv_loop_init(&loop);
}

static int teardown(void **state)
{
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    return uv_loop_close(&loop);
}

/* A manager that listens; its socket is an abstract one. */
static int manager(void)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    char name[64];
    (void)snprintf(name, sizeof(name), "@cam-httpflv-test-%d", (int)getpid());
    memcpy(addr.sun_path + 1, name + 1, strlen(name) - 1);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name));
    assert_int_equal(bind(fd, (const struct sockaddr *)&addr, len), 0);
    struct timeval limit = {.tv_sec = 20};
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

static const char *told(int fd)
{
    static char text[256];
    ssize_t n = recv(fd, text, sizeof(text) - 1, 0);
    assert_true(n > 0);
    text[n] = '\0';
    return text;
}

/* The loop runs for what waits to be told.  Once may be too little: after an interrupted wait
 * libuv 1.50 returns before the timer is due. */
static const char *told_later(int fd)
{
    char byte;
    int alive = 1;
    while (alive != 0 && recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == -1)
        alive = uv_run(&loop, UV_RUN_ONCE);
    return told(fd);
}

static void announce(int count, const char *names)
{
    char text[16];
    (void)snprintf(text, sizeof(text), "%d", (int)getpid());
    assert_int_equal(setenv("LISTEN_PID", text, 1), 0);
    (void)snprintf(text, sizeof(text), "%d", count);
    assert_int_equal(setenv("LISTEN_FDS", text, 1), 0);
    if (names != NULL)
        assert_int_equal(setenv("LISTEN_FDNAMES", names, 1), 0);
}

static void hand_over(int count, int type)
{
    for (int i = 0; i < count; i++) {
        int fd = socket(AF_INET, type, 0);
        assert_true(fd >= 0);
        if (fd != SD_LISTEN_FDS_START + i) {
            assert_int_equal(dup2(fd, SD_LISTEN_FDS_START + i), SD_LISTEN_FDS_START + i);
            assert_int_equal(close(fd), 0);
        }
    }
    announce(count, NULL);
}

static void test_without_systemd(void **state)
{
    assert_int_equal(service_open(&service, &loop), 0);
    assert_int_equal(service_take_socket(&service, ROUTE_PORT_STREAM), -1);
    assert_int_equal(service_take_socket(&service, ROUTE_PORT_SNAPSHOT), -1);
    assert_false(uv_is_active((uv_handle_t *)&service.watchdog));
    service_notify_ready(&service);
    service_close(&service);
}

static void test_states(void **state)
{
    int fd = manager();
    assert_int_equal(service_open(&service, &loop), 0);
    service_notify_ready(&service);
    assert_string_equal(told(fd), "READY=1");
    service_notify_reloading(&service);
    assert_non_null(strstr(told(fd), "RELOADING=1\nMONOTONIC_USEC="));
    service_notify_stopping(&service);
    assert_string_equal(told(fd), "STOPPING=1");
    service_close(&service);
    assert_int_equal(close(fd), 0);
}

/* Fill the manager's queue. @return how many states fit. */
static int fill(int fd)
{
    struct sockaddr_un addr;
    socklen_t len = sizeof(addr);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    int sender = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(sender >= 0);
    int count = 0;
    while (sendto(sender, "X", 1, MSG_DONTWAIT, (const struct sockaddr *)&addr, len) == 1)
        count++;
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(close(sender), 0);
    return count;
}

/* sd_notify() would sleep here, and the server with it. */
static void test_manager_that_does_not_read(void **state)
{
    int fd = manager();
    assert_int_equal(service_open(&service, &loop), 0);
    int before = fill(fd);
    service_notify_status(&service, "dropped: the oldest of too many");
    service_notify_ready(&service);
    for (int i = 0; i < NOTIFIER_WAITING_MAX - 2; i++)
        service_notify_reloading(&service);
    service_notify_stopping(&service);
    for (int i = 0; i < before; i++)
        assert_string_equal(told(fd), "X");
    uv_ref((uv_handle_t *)&service.notifier.retry);
    assert_string_equal(told_later(fd), "READY=1");
    for (int i = 0; i < NOTIFIER_WAITING_MAX - 2; i++)
        assert_non_null(strstr(told_later(fd), "RELOADING=1"));
    assert_string_equal(told_later(fd), "STOPPING=1");
    assert_false(uv_is_active((uv_handle_t *)&service.notifier.retry));
    service_close(&service);
    assert_int_equal(close(fd), 0);
}

static void test_watchdog(void **state)
{
    int fd = manager();
    assert_int_equal(setenv("WATCHDOG_USEC", "40000", 1), 0);
    assert_int_equal(service_open(&service, &loop), 0);
    assert_int_equal(uv_timer_get_repeat(&service.watchdog), 20);
    assert_int_equal(service.watchdog_ms, 40);
    assert_false(uv_loop_alive(&loop)); /* it does not keep a server running */
    uv_ref((uv_handle_t *)&service.watchdog);
    assert_true(uv_run(&loop, UV_RUN_ONCE));
    assert_string_equal(told(fd), "WATCHDOG=1");
    service_close(&service);
    assert_int_equal(close(fd), 0);
}

static void test_sockets(void **state)
{
    hand_over(2, SOCK_STREAM);
    assert_int_equal(service_open(&service, &loop), 0);
    assert_null(getenv("LISTEN_FDS")); /* not for our children */
    assert_int_equal(service_take_socket(&service, ROUTE_PORT_STREAM), SD_LISTEN_FDS_START);
    assert_int_equal(service_take_socket(&service, ROUTE_PORT_STREAM), -1);
    assert_int_equal(close(SD_LISTEN_FDS_START), 0);
    service_close(&service);
    assert_int_equal(close(SD_LISTEN_FDS_START + 1), -1); /* nobody took it: it is closed */
    assert_int_equal(errno, EBADF);
}

static void test_other_sockets(void **state)
{
    hand_over(1, SOCK_STREAM);
    assert_int_equal(service_open(&service, &loop), -EINVAL);
    service_close(&service);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(close(SD_LISTEN_FDS_START), 0);
    hand_over(2, SOCK_DGRAM);
    assert_int_equal(service_open(&service, &loop), -EINVAL);
    service_close(&service);
    assert_int_equal(close(SD_LISTEN_FDS_START), 0);
    assert_int_equal(close(SD_LISTEN_FDS_START + 1), 0);
}

/* --- what systemd keeps ------------------------------------------------------ */

static bool has_store_with(const char *value)
{
    assert_int_equal(setenv("FDSTORE", value, 1), 0);
    assert_int_equal(service_open(&service, &loop), 0);
    bool has_store = service_has_store(&service);
    service_close(&service);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    return has_store;
}

static void test_whether_there_is_a_store(void **state)
{
    assert_false(has_store_with("8")); /* nobody to give anything to */
    int fd = manager();
    assert_true(has_store_with("2"));
    assert_true(has_store_with("512"));
    static const char *const wrong[] = {"", "0", "1", "-2", " 8", "8x", "99999999999999999999"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(has_store_with(wrong[i]));
    assert_int_equal(close(fd), 0);
}

/* @return the descriptor that came along. */
static int kept(int fd, const char *wanted)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    char text[256] = "";
    struct iovec part = {text, sizeof(text) - 1};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    int got = -1;
    assert_true(recvmsg(fd, &m, MSG_CMSG_CLOEXEC) > 0);
    assert_string_equal(text, wanted);
    const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c != NULL)
        memcpy(&got, CMSG_DATA(c), sizeof(got));
    return got;
}

static void test_keep_and_drop(void **state)
{
    int fd = manager();
    int ends[2];
    char byte = 'x';
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(service_open(&service, &loop), 0);
    assert_int_equal(service_keep(&service, 7, ends[1]), 0);
    int got = kept(fd, "FDSTORE=1\nFDNAME=takeover-7");
    assert_int_equal(write(got, &byte, 1), 1);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    service_drop(&service, 7);
    assert_string_equal(told(fd), "FDSTOREREMOVE=1\nFDNAME=takeover-7");
    int before = fill(fd);
    assert_int_equal(service_keep(&service, 8, ends[1]), -EAGAIN); /* and nothing waits for it */
    for (int i = 0; i < before; i++)
        assert_string_equal(told(fd), "X");
    /* A removal makes the room that the next one needs: it is not overtaken. */
    before = fill(fd);
    service_drop(&service, 6);
    for (int i = 0; i < before; i++)
        assert_string_equal(told(fd), "X");
    assert_int_equal(service_keep(&service, 9, ends[1]), -EAGAIN);
    uv_ref((uv_handle_t *)&service.notifier.retry);
    assert_string_equal(told_later(fd), "FDSTOREREMOVE=1\nFDNAME=takeover-6");
    assert_int_equal(service_keep(&service, 9, ends[1]), 0);
    fd_close(&got);
    got = kept(fd, "FDSTORE=1\nFDNAME=takeover-9");
    service_close(&service);
    assert_int_equal(close(got) + close(ends[0]) + close(ends[1]) + close(fd), 0);
}

/* Two sockets, between which stand two that were kept, and one that is nobody's. */
static void test_what_the_last_start_left(void **state)
{
    uint64_t number = 0;
    hand_over(5, SOCK_STREAM);
    announce(5, "takeover-3:a.socket:stored:takeover-18446744073709551615:a.socket");
    assert_int_equal(service_open(&service, &loop), 0);
    assert_int_equal(service_kept(&service, 0, &number), SD_LISTEN_FDS_START);
    assert_int_equal(number, 3);
    assert_int_equal(service_kept(&service, 1, &number), SD_LISTEN_FDS_START + 3);
    assert_int_equal(service_kept(&service, 2, &number), -1);
    assert_int_equal(service_take_kept(&service, &number), SD_LISTEN_FDS_START + 3);
    assert_int_equal(number, UINT64_MAX);
    assert_int_equal(service_take_socket(&service, ROUTE_PORT_STREAM), SD_LISTEN_FDS_START + 1);
    assert_int_equal(service_take_socket(&service, ROUTE_PORT_SNAPSHOT), SD_LISTEN_FDS_START + 4);
    assert_int_equal(close(SD_LISTEN_FDS_START + 2), -1); /* nobody's: closed */
    service_close(&service);
    assert_int_equal(close(SD_LISTEN_FDS_START), -1); /* not taken */
    for (int i = 1; i < 5; i++)
        (void)close(SD_LISTEN_FDS_START + i);
}

static void test_names_that_are_not_ours(void **state)
{
    uint64_t number;
    hand_over(2, SOCK_STREAM);
    announce(2, "takeover-:takeover-1x"); /* the names of the unit's sockets */
    assert_int_equal(service_open(&service, &loop), 0);
    assert_int_equal(service_take_kept(&service, &number), -1);
    assert_int_equal(service_take_socket(&service, ROUTE_PORT_STREAM), SD_LISTEN_FDS_START);
    service_close(&service);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    (void)close(SD_LISTEN_FDS_START);
    hand_over(2, SOCK_STREAM);
    announce(2, "takeover-1:a.socket"); /* one socket alone */
    assert_int_equal(service_open(&service, &loop), -EINVAL);
    service_close(&service);
    (void)close(SD_LISTEN_FDS_START + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_without_systemd, setup, teardown),
        cmocka_unit_test_setup_teardown(test_states, setup, teardown),
        cmocka_unit_test_setup_teardown(test_manager_that_does_not_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_watchdog, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sockets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_sockets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_whether_there_is_a_store, setup, teardown),
        cmocka_unit_test_setup_teardown(test_keep_and_drop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_the_last_start_left, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_that_are_not_ours, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
