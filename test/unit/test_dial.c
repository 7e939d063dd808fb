/* worker/dial: a name with several addresses, some of which do not answer. */
#include "worker/rtsp/dial.h"

#include "common/clock.h"
#include "common/fd.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define ADDRESSES_MAX 20
#define FILLERS 8
#define DEADLINE_MS 20000

static uv_loop_t loop;
static struct sockaddr_in addresses[ADDRESSES_MAX];
static struct addrinfo list[ADDRESSES_MAX];
static size_t address_count;

static struct {
    int fd;
    bool failed;
    bool forbidden;
    bool closed;
    char detail[128];
} result;

/* In place of libuv's: the addresses of the test, asynchronously. */
static uv_idle_t lookup_idle;
static uv_getaddrinfo_t *lookup;
static uv_getaddrinfo_cb lookup_done;

static void on_lookup_closed(uv_handle_t *handle)
{
    (void)handle;
    lookup_done(lookup, address_count > 0 ? 0 : UV_EAI_NONAME, address_count > 0 ? list : NULL);
}

static void on_idle(uv_idle_t *idle)
{
    uv_close((uv_handle_t *)idle, on_lookup_closed);
}

int uv_getaddrinfo(uv_loop_t *l, uv_getaddrinfo_t *request, uv_getaddrinfo_cb done,
                   const char *node, const char *service, const struct addrinfo *hints)
{
    assert_string_equal(node, "camera");
    lookup = request;
    request->type = UV_UNKNOWN_REQ; /* cannot be cancelled */
    lookup_done = done;
    uv_idle_init(l, &lookup_idle);
    return uv_idle_start(&lookup_idle, on_idle);
}

void uv_freeaddrinfo(struct addrinfo *ai)
{
    (void)ai;
}

static void add_address(uint16_t port)
{
    assert_true(address_count < ADDRESSES_MAX);
    struct sockaddr_in *a = &addresses[address_count];
    *a = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    list[address_count] = (struct addrinfo){
        .ai_family = AF_INET, .ai_addr = (struct sockaddr *)a, .ai_addrlen = sizeof(*a)};
    if (address_count > 0)
        list[address_count - 1].ai_next = &list[address_count];
    address_count++;
}

static int listen_somewhere(int backlog, uint16_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    if (backlog >= 0)
        assert_int_equal(listen(fd, backlog), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

/* An address that does not answer: the queue of a listener that accepts nobody is full. */
struct black_hole {
    int listener;
    int fillers[FILLERS];
    uint16_t port;
};

static void open_black_hole(struct black_hole *hole)
{
    hole->listener = listen_somewhere(0, &hole->port);
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(hole->port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (int i = 0; i < FILLERS; i++) {
        hole->fillers[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(hole->fillers[i], (struct sockaddr *)&a, sizeof(a));
    }
}

static void close_black_hole(struct black_hole *hole)
{
    for (int i = 0; i < FILLERS; i++)
        (void)close(hole->fillers[i]);
    (void)close(hole->listener);
}

static void on_connected(void *ctx, int *fd)
{
    (void)ctx;
    result.fd = fd_take(fd);
    uv_stop(&loop);
}

static void on_failed(void *ctx, const char *detail, bool forbidden)
{
    (void)ctx;
    result.failed = true;
    result.forbidden = forbidden;
    (void)snprintf(result.detail, sizeof(result.detail), "%s", detail);
    uv_stop(&loop);
}

static void on_closed(void *ctx)
{
    (void)ctx;
    result.closed = true;
}

static void on_deadline(uv_timer_t *timer)
{
    (void)timer;
    uv_stop(&loop);
}

/* Run until something comes of it, or for a while, and close. */
static void dial_for(int64_t ms, const struct ipc_access *access)
{
    uv_timer_t deadline;
    const struct dial_params params = {
        .host = "camera", .port = 554, .access = access, .own_host = ""};
    const struct dial_events events = {on_connected, on_failed, NULL};
    memset(&result, 0, sizeof(result));
    result.fd = -1;
    uv_timer_init(&loop, &deadline);
    uv_timer_start(&deadline, on_deadline, (uint64_t)ms, 0);
    struct dial *dial = dial_open(&loop, &params, &events);
    assert_non_null(dial);
    uv_run(&loop, UV_RUN_DEFAULT);
    dial_close(dial, on_closed, NULL);
    assert_false(result.closed);
    uv_close((uv_handle_t *)&deadline, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(result.closed);
}

static void assert_connected_to(uint16_t port)
{
    struct sockaddr_in a;
    socklen_t len = sizeof(a);
    assert_int_equal(getpeername(result.fd, (struct sockaddr *)&a, &len), 0);
    assert_int_equal(ntohs(a.sin_port), port);
    fd_close(&result.fd);
}

static int set_up(void **state)
{
    (void)state;
    address_count = 0;
    return uv_loop_init(&loop);
}

static int tear_down(void **state)
{
    (void)state;
    return uv_loop_close(&loop); /* fails when a handle is left */
}

static void test_the_first_address_answers(void **state)
{
    uint16_t first, refusing;
    int listener = listen_somewhere(8, &first);
    int unused = listen_somewhere(-1, &refusing);
    add_address(first);
    add_address(refusing);
    dial_for(DEADLINE_MS, NULL);
    assert_connected_to(first);
    fd_close(&listener);
    fd_close(&unused);
}

static void test_an_address_that_refuses(void **state)
{
    uint16_t refusing, port;
    int unused = listen_somewhere(-1, &refusing);
    int listener = listen_somewhere(8, &port);
    for (int i = 0; i < 3; i++)
        add_address(refusing);
    add_address(port);
    dial_for(DEADLINE_MS, NULL);
    assert_connected_to(port);
    fd_close(&unused);
    fd_close(&listener);
}

static void test_an_address_that_does_not_answer(void **state)
{
    struct black_hole hole;
    uint16_t port;
    open_black_hole(&hole);
    int listener = listen_somewhere(8, &port);
    add_address(hole.port);
    add_address(hole.port);
    add_address(port);
    int64_t begun_ms = clock_ms();
    dial_for(DEADLINE_MS, NULL);
    assert_connected_to(port);
    assert_true(clock_ms() - begun_ms >= 2 * DIAL_NEXT_MS - 10);
    fd_close(&listener);
    close_black_hole(&hole);
}

/* The second one fails while the first is still tried: that one is waited for. */
static void test_the_first_address_answers_late(void **state)
{
    struct black_hole hole;
    uint16_t refusing;
    int unused = listen_somewhere(-1, &refusing);
    open_black_hole(&hole);
    add_address(hole.port);
    add_address(refusing);
    dial_for(3 * DIAL_NEXT_MS, NULL);
    assert_false(result.failed);
    assert_int_equal(result.fd, -1);
    fd_close(&unused);
    close_black_hole(&hole);
}

static void test_no_address_answers(void **state)
{
    uint16_t refusing;
    int unused = listen_somewhere(-1, &refusing);
    add_address(refusing);
    add_address(refusing);
    dial_for(DEADLINE_MS, NULL);
    assert_true(result.failed && !result.forbidden);
    assert_string_equal(result.detail, uv_strerror(UV_ECONNREFUSED));
    fd_close(&unused);
}

static void test_more_addresses_than_are_tried(void **state)
{
    struct black_hole hole;
    open_black_hole(&hole);
    while (address_count < ADDRESSES_MAX)
        add_address(hole.port);
    dial_for((DIAL_ADDRESSES_MAX + 2) * DIAL_NEXT_MS, NULL);
    assert_false(result.failed);
    close_black_hole(&hole);
}

static void test_a_name_without_addresses(void **state)
{
    dial_for(DEADLINE_MS, NULL);
    assert_true(result.failed && !result.forbidden);
    assert_non_null(strstr(result.detail, "name lookup"));
}

static void test_forbidden_addresses(void **state)
{
    const struct ipc_access access = {.mode = IPC_ACCESS_LIST, .list = "10.0.0.0/8"};
    uint16_t port;
    int listener = listen_somewhere(8, &port);
    add_address(port);
    dial_for(DEADLINE_MS, &access);
    assert_true(result.failed && result.forbidden);
    fd_close(&listener);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_first_address_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_address_that_refuses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_an_address_that_does_not_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_first_address_answers_late, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_no_address_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_more_addresses_than_are_tried, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_name_without_addresses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_forbidden_addresses, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("dial", tests, NULL, NULL);
}
