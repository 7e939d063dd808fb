/* worker/flv/flv_lazy and what address_guard knows of sockets: a connection on loopback, a thread
 * that reads it. */
#include "worker/flv/address_guard.h"
#include "worker/flv/flv_lazy.h"

#include "common/clock.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_MS 120000 /* against hangs; sanitizers at idle priority are slow */
#define LONG_US INT64_C(60000000)
#define MUCH_BYTES (512 << 10)

struct rig {
    struct flv_lazy lazy;
    struct address_guard guard;
    int listener;
    int camera; /* the end that sends */
    int fd;     /* the end that is read */
    pthread_t thread;
    atomic_int waits;        /* flv_lazy_wait() that have waited */
    atomic_int caught_up;    /* calls */
    atomic_size_t read;      /* bytes */
    atomic_size_t read_then; /* bytes when it had caught up */
    atomic_bool stop;
};

static void on_caught_up(void *ctx)
{
    struct rig *r = ctx;
    atomic_store(&r->read_then, atomic_load(&r->read));
    atomic_fetch_add(&r->caught_up, 1);
}

static void rig_open(struct rig *r)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    static const struct ipc_access any = {.mode = IPC_ACCESS_ANY};
    memset(r, 0, sizeof(*r));
    assert_int_equal(address_guard_enter(&r->guard, &any, "127.0.0.1"), 0);
    assert_int_equal(address_guard_socket(&r->guard), -1);
    r->listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(r->listener, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(r->listener, 1), 0);
    assert_int_equal(getsockname(r->listener, (struct sockaddr *)&addr, &len), 0);
    r->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(r->fd, (struct sockaddr *)&addr, len), 0);
    r->camera = accept(r->listener, NULL, NULL);
    assert_true(r->camera >= 0);
    address_guard_leave();
    flv_lazy_open(&r->lazy, on_caught_up, r);
}

static void rig_close(struct rig *r)
{
    flv_lazy_close(&r->lazy);
    (void)close(r->camera);
    (void)close(r->fd);
    (void)close(r->listener);
}

/* As libavformat does: look whether to wait, then read what is there. */
static void *read_all(void *arg)
{
    struct rig *r = arg;
    uint8_t buf[4096];
    while (!atomic_load(&r->stop)) {
        atomic_fetch_add(&r->waits, flv_lazy_wait(&r->lazy, r->fd, LONG_US));
        ssize_t n = recv(r->fd, buf, sizeof(buf), MSG_DONTWAIT);
        if (n > 0)
            atomic_fetch_add(&r->read, (size_t)n);
        else
            (void)usleep(1000);
    }
    return NULL;
}

static void start(struct rig *r)
{
    assert_int_equal(pthread_create(&r->thread, NULL, read_all, r), 0);
}

static void stop(struct rig *r)
{
    atomic_store(&r->stop, true);
    (void)flv_lazy_set(&r->lazy, false);
    flv_lazy_wake(&r->lazy);
    assert_int_equal(pthread_join(r->thread, NULL), 0);
}

static void wait_until(const atomic_int *value, int least)
{
    int64_t by_ms = clock_ms() + DEADLINE_MS;
    while (atomic_load(value) < least) {
        assert_true(clock_ms() < by_ms);
        (void)usleep(1000);
    }
}

static void wait_until_gathering(struct rig *r)
{
    int64_t by_ms = clock_ms() + DEADLINE_MS;
    (void)flv_lazy_set(&r->lazy, true);
    while (!flv_lazy_is_gathering(&r->lazy)) {
        assert_true(clock_ms() < by_ms);
        (void)usleep(1000);
    }
    (void)usleep(20000); /* now it waits */
}

static void send_bytes(struct rig *r, size_t len)
{
    static uint8_t data[MUCH_BYTES];
    for (size_t sent = 0; sent < len;) {
        ssize_t n = send(r->camera, data, len - sent, MSG_NOSIGNAL);
        assert_true(n > 0);
        sent += (size_t)n;
    }
}

/* What has gathered is read before it says so. */
static void test_eager_again(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    start(&r);
    for (int i = 1; i <= 10; i++) {
        wait_until_gathering(&r);
        send_bytes(&r, 1000);
        (void)usleep(20000);
        assert_int_equal(atomic_load(&r.read), (size_t)(i - 1) * 1000); /* it waits */
        assert_true(flv_lazy_set(&r.lazy, false));
        wait_until(&r.caught_up, i);
        assert_int_equal(atomic_load(&r.read_then), (size_t)i * 1000);
        assert_false(flv_lazy_is_gathering(&r.lazy));
    }
    stop(&r);
    rig_close(&r);
}

/* Nothing has waited: nothing is to be caught up with. */
static void test_eager(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    assert_false(flv_lazy_set(&r.lazy, false));
    assert_false(flv_lazy_is_due(&r.lazy));
    assert_false(flv_lazy_wait(&r.lazy, r.fd, LONG_US));
    assert_false(flv_lazy_set(&r.lazy, true));
    assert_true(flv_lazy_is_due(&r.lazy));
    assert_false(flv_lazy_wait(&r.lazy, -1, LONG_US)); /* it does not know what to wait for */
    send_bytes(&r, 1);
    while (recv(r.fd, &(uint8_t){0}, 1, MSG_PEEK) != 1)
        ;
    assert_false(flv_lazy_wait(&r.lazy, r.fd, LONG_US)); /* first it reads */
    assert_int_equal(atomic_load(&r.caught_up), 0);
    rig_close(&r);
}

/* A wait ends when its time is over, much has come, the connection ends, or somebody wakes it. */
static void test_ends_of_a_wait(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    (void)flv_lazy_set(&r.lazy, true);
    assert_true(flv_lazy_wait(&r.lazy, r.fd, 20000));
    assert_false(flv_lazy_set(&r.lazy, true));
    start(&r);
    wait_until_gathering(&r);
    send_bytes(&r, MUCH_BYTES);
    wait_until(&r.waits, 1);
    wait_until_gathering(&r);
    flv_lazy_wake(&r.lazy);
    wait_until(&r.waits, 2);
    wait_until_gathering(&r);
    assert_int_equal(shutdown(r.camera, SHUT_WR), 0);
    wait_until(&r.waits, 3);
    assert_int_equal(atomic_load(&r.caught_up), 0);
    stop(&r);
    rig_close(&r);
}

/* A camera that sends without end does not keep anybody waiting. */
static void test_flood(void **state)
{
    struct rig r;
    int64_t by_ms = clock_ms() + DEADLINE_MS;
    (void)state;
    rig_open(&r);
    (void)flv_lazy_set(&r.lazy, true);
    assert_true(flv_lazy_wait(&r.lazy, r.fd, 1000));
    send_bytes(&r, 1000); /* nobody reads it */
    assert_true(flv_lazy_set(&r.lazy, false));
    while (atomic_load(&r.caught_up) == 0) {
        assert_true(clock_ms() < by_ms);
        assert_false(flv_lazy_wait(&r.lazy, r.fd, LONG_US));
    }
    assert_false(flv_lazy_is_due(&r.lazy));
    rig_close(&r);
}

/* The guard knows the socket that is open, and not one that has its number later. */
static void test_socket(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    assert_int_equal(address_guard_socket(&r.guard), r.fd);
    int number = r.fd;
    (void)close(r.fd);
    assert_int_equal(address_guard_socket(&r.guard), -1);
    r.fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(r.fd, number);
    assert_int_equal(address_guard_socket(&r.guard), -1);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_eager_again),    cmocka_unit_test(test_eager),
        cmocka_unit_test(test_ends_of_a_wait), cmocka_unit_test(test_flood),
        cmocka_unit_test(test_socket),
    };
    return cmocka_run_group_tests_name("flv_lazy", tests, NULL, NULL);
}
