/* worker/rtsp/rtsp_link: reading at once what has gathered. */
#include "worker/rtsp/rtsp_link.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define PIECE 1000
#define ENDLESS (64u << 20) /* more than any socket holds */

struct rig {
    uv_loop_t loop;
    struct rtsp_link *link;
    int listener;
    int camera;
    bool connected;
    bool closed;
    bool endless; /* the camera sends as much as is read */
    size_t received;
    uint8_t space[PIECE];
};

static void camera_send(struct rig *r, size_t pieces)
{
    static const uint8_t data[PIECE];
    for (; pieces > 0; pieces--)
        assert_int_equal(send(r->camera, data, sizeof(data), MSG_NOSIGNAL), sizeof(data));
}

static void on_connected(void *ctx)
{
    struct rig *r = ctx;
    r->connected = true;
}

static uint8_t *on_space(void *ctx, size_t *len)
{
    struct rig *r = ctx;
    *len = sizeof(r->space);
    return r->space;
}

static void on_bytes(void *ctx, size_t len)
{
    struct rig *r = ctx;
    r->received += len;
    if (r->endless && r->received < ENDLESS)
        camera_send(r, 1);
}

static void on_end(void *ctx, const char *detail)
{
    (void)ctx;
    fail_msg("the connection ended: %s", detail);
}

static void on_closed(void *ctx)
{
    struct rig *r = ctx;
    r->closed = true;
}

static void rig_open(struct rig *r)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    memset(r, 0, sizeof(*r));
    assert_int_equal(uv_loop_init(&r->loop), 0);
    r->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(r->listener, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(r->listener, 1), 0);
    assert_int_equal(getsockname(r->listener, (struct sockaddr *)&at, &len), 0);
    const struct rtsp_link_params params = {
        .host = "127.0.0.1", .port = ntohs(at.sin_port), .own_host = ""};
    r->link = rtsp_link_open(
        &r->loop, &params, &(struct rtsp_link_events){on_connected, on_space, on_bytes, on_end, r});
    assert_non_null(r->link);
    while (!r->connected)
        (void)uv_run(&r->loop, UV_RUN_ONCE);
    r->camera = accept(r->listener, NULL, NULL);
    assert_true(r->camera >= 0);
}

static void rig_close(struct rig *r)
{
    rtsp_link_close(r->link, on_closed, r);
    assert_int_equal(uv_run(&r->loop, UV_RUN_DEFAULT), 0);
    assert_true(r->closed);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    (void)close(r->camera);
    (void)close(r->listener);
}

static void test_gather(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    rtsp_link_set_lazy(r.link, true);
    rtsp_link_gather(r.link);
    assert_int_equal(r.received, 0);
    camera_send(&r, 20);
    while (r.received < (size_t)20 * PIECE) /* over loopback it is there at once, or soon */
        rtsp_link_gather(r.link);
    rig_close(&r);
}

/* A camera that sends faster than it can be read does not keep the thread. */
static void test_camera_without_end(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    rtsp_link_set_lazy(r.link, true);
    r.endless = true;
    camera_send(&r, 20);
    while (r.received < (size_t)20 * PIECE)
        rtsp_link_gather(r.link);
    rtsp_link_gather(r.link);
    assert_true(r.received < ENDLESS);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gather),
        cmocka_unit_test(test_camera_without_end),
    };
    return cmocka_run_group_tests_name("rtsp_link", tests, NULL, NULL);
}
