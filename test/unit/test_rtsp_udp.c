/*
 * worker/rtsp/rtsp_udp and rtsp_lazy: how long datagrams may wait in the sockets, with real sockets
 * on loopback and a clock of our own.
 */
#include "worker/rtsp/rtsp_lazy.h"
#include "worker/rtsp/rtsp_udp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define DATAGRAM_BYTES 1400
#define WINDOW_MS 100
#define PER_WINDOW 4

static uint64_t now_ms;

/* In the place of libuv's, for what this program holds. */
uint64_t uv_now(const uv_loop_t *loop)
{
    (void)loop;
    return now_ms;
}

/* rtsp_lazy's transport is a rig. */
int64_t __wrap_rtsp_transport_gather_us(const struct rtsp_transport *transport);
void __wrap_rtsp_transport_set_lazy(struct rtsp_transport *transport, bool lazy);
uint64_t __wrap_rtsp_transport_overruns(const struct rtsp_transport *transport);

struct rig {
    uv_loop_t loop;
    struct rtsp_udp *udp;
    struct sockaddr_storage to; /* the RTP port of the picture */
    int camera;
    unsigned received;
    unsigned sent;
};

static void on_datagram(void *ctx, enum track track, const uint8_t *data, size_t len)
{
    struct rig *r = ctx;
    assert_int_equal(track, TRACK_VIDEO);
    assert_int_equal(len, DATAGRAM_BYTES);
    assert_int_equal(data[0], 0x80);
    r->received++;
}

static void rig_open(struct rig *r)
{
    struct sockaddr_storage local = {0};
    memset(r, 0, sizeof(*r));
    now_ms = 1000;
    assert_int_equal(uv_loop_init(&r->loop), 0);
    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, (struct sockaddr_in *)&local), 0);
    r->udp = rtsp_udp_open(&r->loop, &local, &local, &(struct rtsp_udp_events){on_datagram, r});
    assert_non_null(r->udp);
    assert_true(rtsp_udp_bind(r->udp));
    assert_int_equal(
        uv_ip4_addr("127.0.0.1", rtsp_udp_port(r->udp, TRACK_VIDEO), (struct sockaddr_in *)&r->to),
        0);
    r->camera = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_true(r->camera >= 0);
}

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static void rig_close(struct rig *r)
{
    bool closed = false;
    rtsp_udp_close(r->udp, on_closed, &closed);
    assert_int_equal(uv_run(&r->loop, UV_RUN_DEFAULT), 0);
    assert_true(closed);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    (void)close(r->camera);
}

static void send_datagrams(struct rig *r, unsigned count)
{
    static const uint8_t data[DATAGRAM_BYTES] = {0x80};
    for (unsigned i = 0; i < count; i++, r->sent++)
        assert_int_equal(sendto(r->camera, data, sizeof(data), 0, (struct sockaddr *)&r->to,
                                sizeof(struct sockaddr_in)),
                         DATAGRAM_BYTES);
}

/* Datagrams that came at the same time, as the loop sees it. */
static void receive(struct rig *r, unsigned count)
{
    send_datagrams(r, count);
    while (r->received < r->sent)
        (void)uv_run(&r->loop, UV_RUN_ONCE);
}

static void play(struct rig *r, int windows)
{
    for (int i = 0; i < windows; i++, now_ms += WINDOW_MS)
        receive(r, PER_WINDOW);
}

/* A stall of our own makes much come at once: that counts for some minutes, not for ever. */
static void test_own_stall_is_forgotten(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    assert_true(rtsp_udp_wait_ms(r.udp) > 1000000); /* nothing has come */
    play(&r, 10);
    int64_t usual_ms = rtsp_udp_wait_ms(r.udp);
    for (int i = 0; i < 10; i++)
        receive(&r, 10 * PER_WINDOW);
    int64_t stalled_ms = rtsp_udp_wait_ms(r.udp);
    assert_true(usual_ms >= 9 * stalled_ms);
    play(&r, 300); /* bursts that come seldom count */
    assert_true(rtsp_udp_wait_ms(r.udp) < 2 * stalled_ms);
    play(&r, 4000);
    assert_true(rtsp_udp_wait_ms(r.udp) > usual_ms * 9 / 10);
    rig_close(&r);
}

/* A key frame comes at once, and is little of what half a second brings: it is not taken for the
 * rate of all of it. */
static void test_key_frames(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    play(&r, 10);
    int64_t usual_ms = rtsp_udp_wait_ms(r.udp);
    for (int i = 0; i < 10; i++) {
        receive(&r, 5 * PER_WINDOW);
        play(&r, 20);
    }
    assert_in_range(rtsp_udp_wait_ms(r.udp), usual_ms / 3, usual_ms / 2 + usual_ms / 8);
    rig_close(&r);
}

/* A key frame that is larger than the buffer must be read while it comes. */
static void test_key_frame_above_the_buffer(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    play(&r, 1);
    /* as many as fill half of the buffer */
    unsigned half = (unsigned)(rtsp_udp_wait_ms(r.udp) * PER_WINDOW / (5 * WINDOW_MS));
    for (int i = 0; i < 3; i++)
        receive(&r, half);
    now_ms += WINDOW_MS;
    play(&r, 20);
    assert_int_equal(rtsp_udp_wait_ms(r.udp), 0);
    rig_close(&r);
}

/* Half a buffer came in half a second of lazy reading: it may wait for that time again, and twice
 * as much makes the time shorter. */
static void test_lazy_rate(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    play(&r, 1);
    /* as many as fill half of the buffer */
    unsigned half = (unsigned)(rtsp_udp_wait_ms(r.udp) * PER_WINDOW / (5 * WINDOW_MS));
    rtsp_udp_set_lazy(r.udp, true);
    const unsigned count[] = {half * 5 / 4, half / 4};
    for (int i = 0; i < 2; i++) {
        now_ms += 5 * WINDOW_MS;
        send_datagrams(&r, count[i]);
        while (r.received < r.sent)
            rtsp_udp_gather(r.udp);
        assert_in_range(rtsp_udp_wait_ms(r.udp), 350, 450);
    }
    rig_close(&r);
}

/* What waits while lazy is reported at once when it is gathered. */
static void test_gather(void **state)
{
    struct rig r;
    (void)state;
    rig_open(&r);
    play(&r, 1);
    rtsp_udp_set_lazy(r.udp, true);
    send_datagrams(&r, 40); /* more than one system call reads */
    (void)uv_run(&r.loop, UV_RUN_NOWAIT);
    assert_int_equal(r.received, PER_WINDOW);
    while (r.received < r.sent)
        rtsp_udp_gather(r.udp);
    rtsp_udp_set_lazy(r.udp, false);
    receive(&r, 1);
    rig_close(&r);
}

int64_t __wrap_rtsp_transport_gather_us(const struct rtsp_transport *transport)
{
    const struct rig *r = (const void *)transport;
    int64_t ms = rtsp_udp_wait_ms(r->udp);
    return ms < INT64_MAX / 1000 ? ms * 1000 : INT64_MAX;
}

void __wrap_rtsp_transport_set_lazy(struct rtsp_transport *transport, bool lazy)
{
    struct rig *r = (void *)transport;
    rtsp_udp_set_lazy(r->udp, lazy);
}

uint64_t __wrap_rtsp_transport_overruns(const struct rtsp_transport *transport)
{
    const struct rig *r = (const void *)transport;
    return rtsp_udp_overruns(r->udp);
}

/* More than any buffer holds, since nobody reads it.  The kernel says how many it dropped. */
static void flood(struct rig *r)
{
    uint64_t before = rtsp_udp_overruns(r->udp);
    for (int i = 0; i < 100 && rtsp_udp_overruns(r->udp) == before; i++)
        send_datagrams(r, 500);
    assert_true(rtsp_udp_overruns(r->udp) > before);
}

/* Datagrams that this host drops are told from those that the network loses.  Only the former end
 * lazy reading, for good, and only if it was lazy then. */
static void test_own_drops_end_lazy_reading(void **state)
{
    const struct ipc_limits limits = {.stall_timeout_ms = 8000};
    const struct rtsp_patience patience = {.limits = &limits};
    struct rtsp_lazy lazy = {.at_us = INT64_MAX};
    struct rig r;
    (void)state;
    rig_open(&r);
    struct rtsp_transport *transport = (void *)&r;
    play(&r, 2);
    assert_int_equal(rtsp_udp_overruns(r.udp), 0);
    rtsp_udp_set_lazy(r.udp, true);
    flood(&r);
    uint64_t before = rtsp_udp_overruns(r.udp);
    while (r.received < r.sent - before) /* it may take more than one turn */
        rtsp_udp_gather(r.udp);
    rtsp_udp_set_lazy(r.udp, false);
    r.received = r.sent;
    play(&r, 4000); /* that much at once is forgotten */

    rtsp_lazy_begin(&lazy, transport, &patience);
    assert_true(rtsp_lazy_is_on(&lazy));
    rtsp_lazy_check(&lazy, transport); /* the network may have lost any number of packets */
    assert_true(rtsp_lazy_is_on(&lazy));
    flood(&r);
    rtsp_lazy_check(&lazy, transport);
    assert_false(rtsp_lazy_is_on(&lazy));
    rtsp_udp_check(r.udp);
    rtsp_lazy_begin(&lazy, transport, &patience);
    assert_false(rtsp_lazy_is_on(&lazy));
    rig_close(&r);
}

/* A packet that overtook another one waits for it 60 ms; both may have come by then. */
static void test_gather_before_giving_up(void **state)
{
    const struct rtsp_lazy eager = {.at_us = INT64_MAX}, lazy = {.at_us = 1400000};
    (void)state;
    assert_false(rtsp_lazy_is_due(&lazy, INT64_MAX, 1060000));
    assert_true(rtsp_lazy_is_due(&lazy, 1060000, 1060000));
    assert_false(rtsp_lazy_is_due(&lazy, 1060000, 1059999));
    assert_true(rtsp_lazy_is_due(&lazy, INT64_MAX, 1400000));
    assert_false(rtsp_lazy_is_due(&eager, 1060000, 1060000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_stall_is_forgotten),
        cmocka_unit_test(test_key_frames),
        cmocka_unit_test(test_key_frame_above_the_buffer),
        cmocka_unit_test(test_lazy_rate),
        cmocka_unit_test(test_gather),
        cmocka_unit_test(test_gather_before_giving_up),
        cmocka_unit_test(test_own_drops_end_lazy_reading),
    };
    return cmocka_run_group_tests_name("rtsp udp", tests, NULL, NULL);
}
