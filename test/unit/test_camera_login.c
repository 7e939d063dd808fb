/* master/camera_login: cameras of one host with the same password ask one after the other. */
#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/url.h"
#include "master/camera_table_private.h"
#include "master/conf_camera.h"
#include "master/conf_option.h"
#include "master/workers_private.h"
#include "test/unit/log_capture.h"
#include "test/unit/played_nursery.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#define CAMERAS 12

static struct log_capture captured;

/* Time passes when the test says so. */
static int64_t passed_ms;

int64_t __real_clock_ms(void);
int64_t __wrap_clock_ms(void);

int64_t __wrap_clock_ms(void)
{
    return __real_clock_ms() + passed_ms;
}

static struct rig {
    uv_loop_t loop;
    struct conf conf;
    struct camera_table *table;
    unsigned closed;
} rig;

bool __wrap_nursery_link_is_open(const struct nursery_link *link)
{
    return true;
}

/* Its channel stays open, as of a worker that runs; workers_close() is not kept waiting for it. */
static int spawned[4 * CAMERAS];
static size_t spawned_count;

int __wrap_nursery_link_spawn(struct nursery_link *link, uint32_t worker_id, int *channel)
{
    assert_true(spawned_count < 4 * CAMERAS);
    spawned[spawned_count++] = fd_take(channel);
    return 0;
}

static void configure(const char *password, unsigned other)
{
    for (unsigned i = 0; i < CAMERAS; i++) {
        struct conf_camera c = {.always_on = true, .transport = IPC_TRANSPORT_RTSP_TCP};
        const char *reason;
        char text[64];
        (void)snprintf(c.name, sizeof(c.name), "channel-%u", i);
        (void)snprintf(text, sizeof(text), "rtsp://%s10.0.0.9/%u", password, i);
        if (i == other)
            (void)snprintf(text, sizeof(text), "rtsp://u:p@10.0.0.7/%u", i);
        assert_int_equal(url_parse(&c.url, text, strlen(text), &reason), 0);
        (void)url_format(&c.url, c.key);
        assert_non_null(conf_camera_add(&rig.conf, &c));
    }
}

static int setup(void **state)
{
    rig = (struct rig){.closed = 0};
    spawned_count = 0;
    passed_ms = 0;
    log_capture_begin(&captured);
    conf_option_set_defaults(&rig.conf);
    rig.conf.server.spare_workers = 0;
    return uv_loop_init(&rig.loop);
}

static struct camera *camera(unsigned i)
{
    return rig.table->admission.cameras.list[i];
}

static void turn(void)
{
    for (int i = 0; i < 5; i++)
        (void)uv_run(&rig.loop, UV_RUN_NOWAIT);
}

static void open_table(const char *password, unsigned other)
{
    configure(password, other);
    assert_int_equal(camera_table_open(&rig.loop, &rig.conf, NULL, NULL, &rig.table), 0);
    camera_table_begin(rig.table);
    turn(); /* the first tick starts them */
    (void)uv_timer_stop(&rig.table->tick);
}

/* The table's next tick comes. */
static void tick_after(int64_t ms)
{
    passed_ms += ms;
    uv_timer_set_repeat(&rig.table->tick, 1);
    assert_int_equal(uv_timer_again(&rig.table->tick), 0);
    (void)uv_run(&rig.loop, UV_RUN_ONCE);
    (void)uv_timer_stop(&rig.table->tick);
    turn();
}

static void on_closed(void *ctx)
{
    rig.closed++;
}

static int teardown(void **state)
{
    camera_table_close(rig.table, on_closed, NULL);
    nursery->on_died(rig.table->workers);
    (void)uv_run(&rig.loop, UV_RUN_DEFAULT);
    assert_int_equal(rig.closed, 1);
    while (spawned_count > 0)
        fd_close(&spawned[--spawned_count]);
    conf_clear_cameras(&rig.conf);
    log_capture_end(&captured);
    return uv_loop_close(&rig.loop);
}

/* @return how many ask their camera, or are about to. */
static unsigned count_asking(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < CAMERAS; i++)
        n += camera(i)->worker != NULL && camera(i)->login_waits_ms == 0;
    return n;
}

static void report(struct camera *cam, enum ipc_camera_state is, enum http_error error)
{
    const struct ipc_state state = {.state = is, .error = error, .retry_ms = 300000};
    cam->worker->env->events->on_state(cam, &state);
}

static void test_a_wrong_password_is_sent_once(void **state)
{
    open_table("u:wrong@", CAMERAS);
    assert_int_equal(count_asking(), 1);
    assert_int_equal(spawned_count, 1);
    assert_int_equal(rig.table->logins_wait, CAMERAS - 1);
    report(camera(0), IPC_CAMERA_CONNECTING, HTTP_ERROR_NONE);
    turn();
    assert_int_equal(count_asking(), 1);
    report(camera(0), IPC_CAMERA_BACKOFF, HTTP_ERROR_CAMERA_UNAUTHORIZED);
    turn();
    assert_int_equal(spawned_count, 1);
    assert_int_equal(rig.table->logins_wait, 0);
    for (unsigned i = 1; i < CAMERAS; i++) {
        assert_null(camera(i)->worker);
        assert_int_equal(camera(i)->worker_deaths, 0);
        assert_int_equal(camera(i)->health.reason, HTTP_ERROR_CAMERA_UNAUTHORIZED);
        assert_int_equal(camera_state(camera(i)), IPC_CAMERA_IDLE);
        assert_true(camera_login_is_refused(camera(i)));
    }
    assert_int_equal(log_capture_count(&captured, "has just rejected this password"), CAMERAS - 1);
}

/* The recorder has let the first one in: its first picture is not waited for. */
static void test_a_right_password_lets_all_start(void **state)
{
    open_table("u:right@", CAMERAS);
    report(camera(0), IPC_CAMERA_CONNECTING, HTTP_ERROR_NONE);
    turn();
    assert_int_equal(count_asking(), 1);
    report(camera(0), IPC_CAMERA_CONNECTING, HTTP_ERROR_NONE);
    turn();
    assert_int_equal(count_asking(), CAMERAS);
    assert_int_equal(rig.table->logins_wait, 0);
}

/* One by one, each until its answer, which says nothing about the password. */
static void test_other_answers(void **state)
{
    open_table("u:p@", CAMERAS);
    for (unsigned i = 0; i < CAMERAS; i++) {
        assert_int_equal(count_asking(), i + 1);
        report(camera(i), IPC_CAMERA_CONNECTING, HTTP_ERROR_NONE);
        report(camera(i), IPC_CAMERA_BACKOFF, HTTP_ERROR_CAMERA_NOT_FOUND);
        turn();
    }
}

/* It dies without an answer: the next one asks. */
static void test_the_first_ones_worker_dies(void **state)
{
    open_table("u:p@", CAMERAS);
    camera_succession_gone(camera(0));
    turn();
    assert_null(camera(0)->worker);
    assert_int_equal(count_asking(), 1);
    assert_int_equal(camera(1)->login_waits_ms, 0);
}

/* It may be slow to reject the password.  But nobody waits longer than for a camera of its own. */
static void test_a_silent_host(void **state)
{
    open_table("u:p@", CAMERAS);
    for (unsigned i = 0; i < LOGIN_FREE; i++) {
        assert_int_equal(count_asking(), i + 1);
        report(camera(i), IPC_CAMERA_CONNECTING, HTTP_ERROR_NONE);
        passed_ms += LOGIN_TURN_MS;
        camera_login_step(rig.table);
    }
    assert_int_equal(count_asking(), LOGIN_FREE);
    passed_ms += rig.conf.camera.connect_timeout_ms - LOGIN_FREE * LOGIN_TURN_MS;
    camera_login_step(rig.table);
    assert_int_equal(count_asking(), CAMERAS);
}

/* It is told to leave before its worker has closed the connection. */
static void test_stopped_right_after_the_rejection(void **state)
{
    const struct ipc_state rejected = {.state = IPC_CAMERA_BACKOFF,
                                       .error = HTTP_ERROR_CAMERA_UNAUTHORIZED};
    open_table("u:wrong@", CAMERAS);
    for (unsigned i = 0; i < LOGIN_FREE; i++) {
        report(camera(0), IPC_CAMERA_CONNECTING, HTTP_ERROR_NONE);
        camera(0)->worker->env->events->on_state(camera(0), &rejected);
        assert_in_range(camera(0)->refused_until_ms - clock_ms(), 1, LOGIN_REFUSED_MS);
        assert_int_equal(camera_table_stop(rig.table, "channel-0"), 0);
        if (i + 1 < LOGIN_FREE)
            assert_int_equal(camera_table_start(camera(0), true), 0);
    }
    assert_int_equal(camera_table_restart(rig.table, "channel-0"), -EACCES);
}

/* A program restarts or stops it again and again, before the recorder has answered. */
static void test_left_before_the_answer(void **state)
{
    open_table("u:wrong@", CAMERAS);
    report(camera(0), IPC_CAMERA_CONNECTING, HTTP_ERROR_NONE);
    assert_int_equal(camera_table_restart(rig.table, "channel-0"), 0);
    camera_succession_gone(camera(0));
    turn();
    assert_int_equal(count_asking(), 1);
    report(camera(1), IPC_CAMERA_CONNECTING, HTTP_ERROR_NONE);
    assert_int_equal(camera_table_stop(rig.table, "channel-1"), 0);
    turn();
    assert_int_equal(count_asking(), 1);
    report(camera(2), IPC_CAMERA_CONNECTING, HTTP_ERROR_NONE);
    assert_int_equal(camera_table_restart(rig.table, "channel-2"), -EACCES);
    assert_int_equal(camera_table_stop(rig.table, "channel-2"), 0);
    turn();
    assert_int_equal(count_asking(), 0);
    assert_in_range(camera_table_refusal_ms(camera(3)), 1, LOGIN_WAIT_MS);
}

/* The worker's second report crosses the operator's order. */
static void test_restarted_right_after_the_rejection(void **state)
{
    const struct ipc_state rejected = {.state = IPC_CAMERA_BACKOFF,
                                       .error = HTTP_ERROR_CAMERA_UNAUTHORIZED};
    open_table("u:wrong@", CAMERAS);
    report(camera(0), IPC_CAMERA_CONNECTING, HTTP_ERROR_NONE);
    camera(0)->worker->env->events->on_state(camera(0), &rejected);
    assert_int_equal(camera_table_restart(rig.table, "channel-0"), 0);
    report(camera(0), IPC_CAMERA_IDLE, HTTP_ERROR_CAMERA_UNAUTHORIZED);
    assert_false(camera_login_is_refused(camera(0)));
}

static void reject(unsigned i)
{
    report(camera(i), IPC_CAMERA_CONNECTING, HTTP_ERROR_NONE);
    report(camera(i), IPC_CAMERA_BACKOFF, HTTP_ERROR_CAMERA_UNAUTHORIZED);
    report(camera(i), IPC_CAMERA_IDLE, HTTP_ERROR_CAMERA_UNAUTHORIZED);
    turn();
}

/* The user lacks the rights for the first one. */
static void test_another_one_asks_after_a_minute(void **state)
{
    open_table("u:right@", CAMERAS);
    reject(0);
    assert_in_range(camera_table_refusal_ms(camera(0)), LOGIN_REFUSED_MS - 5000, LOGIN_REFUSED_MS);
    assert_in_range(camera_table_refusal_ms(camera(7)), LOGIN_WAIT_MS - 5000, LOGIN_WAIT_MS);
    tick_after(LOGIN_WAIT_MS / 2);
    assert_int_equal(count_asking(), 1);
    const int64_t down_since_us = camera(7)->health.down_since_us;
    tick_after(LOGIN_WAIT_MS / 2);
    assert_int_equal(count_asking(), 2);
    assert_int_equal(rig.table->logins_wait, CAMERAS - 2);
    assert_int_equal(camera(7)->health.reason, HTTP_ERROR_CAMERA_UNAUTHORIZED);
    assert_int_equal(camera(7)->health.down_since_us, down_since_us);
    report(camera(1), IPC_CAMERA_CONNECTING, HTTP_ERROR_NONE);
    report(camera(1), IPC_CAMERA_CONNECTING, HTTP_ERROR_NONE);
    turn();
    assert_int_equal(rig.table->logins_wait, 0);
    assert_int_equal(count_asking(), CAMERAS);
    assert_true(camera_login_is_refused(camera(0)));
}

/* It was asked already: its worker is idle.  The account was locked for a while, say. */
static void test_a_rejected_one_asks_again(void **state)
{
    open_table("u:right@", CAMERAS);
    reject(0);
    const uint32_t before = camera(0)->worker->id;
    tick_after(LOGIN_WAIT_MS);
    report(camera(1), IPC_CAMERA_CONNECTING, HTTP_ERROR_NONE);
    report(camera(1), IPC_CAMERA_CONNECTING, HTTP_ERROR_NONE);
    turn();
    tick_after(LOGIN_WAIT_MS);
    assert_int_equal(camera(0)->worker->id, before);
    tick_after(LOGIN_REFUSED_MS);
    assert_int_not_equal(camera(0)->worker->id, before);
    assert_true(camera(0)->logging_in);
}

/* A recorder that somebody has given another password ends all sessions. */
static void test_changed_while_all_stream(void **state)
{
    open_table("u:old@", CAMERAS);
    for (unsigned i = 0; i < CAMERAS; i++) {
        report(camera(i), IPC_CAMERA_CONNECTING, HTTP_ERROR_NONE);
        report(camera(i), IPC_CAMERA_STREAMING, HTTP_ERROR_NONE);
        turn();
    }
    for (unsigned i = 0; i < CAMERAS; i++)
        report(camera(i), IPC_CAMERA_BACKOFF, HTTP_ERROR_CAMERA_UNREACHABLE);
    reject(7);
    for (unsigned i = 0; i < CAMERAS; i++)
        assert_int_equal(camera(i)->yielding, i != 7);
    for (unsigned i = 0; i < CAMERAS; i++) {
        if (i != 7)
            camera_succession_gone(camera(i));
        assert_int_equal(camera(i)->worker_deaths, 0);
    }
    for (unsigned sent = 2; sent <= LOGIN_FREE; sent++) {
        tick_after(1000);
        assert_int_equal(count_asking(), sent);
        reject(sent - 2);
    }
    tick_after(1000);
    assert_int_equal(count_asking(), LOGIN_FREE);
    assert_int_equal(rig.table->logins_wait, 0);
}

static enum http_error ask_for(unsigned i, int *fd)
{
    const struct client_key client = {.bits = {1}};
    const union address from = {0};
    struct ipc_client message = {.kind = IPC_CLIENT_SNAPSHOT};
    const struct camera_request request = {.url = &camera(i)->url,
                                           .transport = camera(i)->transport,
                                           .client = &client,
                                           .from = &from,
                                           .name = camera(i)->id,
                                           .message = &message};
    const char *why = NULL;
    return camera_table_dispatch(rig.table, &request, fd, &why);
}

/* Those whose password was rejected have a worker, which would send it at the next request. */
static void test_rejected_ones_take_turns_again(void **state)
{
    int ends[2][2];
    open_table("u:wrong@", CAMERAS);
    for (unsigned i = 0; i < LOGIN_FREE; i++) {
        reject(i);
        tick_after(LOGIN_WAIT_MS);
    }
    assert_int_equal(count_asking(), LOGIN_FREE);
    for (int i = 0; i < 2; i++)
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends[i]), 0);
    passed_ms += LOGIN_REFUSED_MS - 2 * LOGIN_WAIT_MS; /* the first one's five minutes are over */
    assert_int_equal(ask_for(0, &ends[0][0]), HTTP_ERROR_CAMERA_UNAUTHORIZED);
    passed_ms += 3 * LOGIN_WAIT_MS;
    for (unsigned i = 0; i < 2; i++) {
        const struct worker *before = camera(i)->worker;
        assert_int_equal(ask_for(i, &ends[i][0]), HTTP_ERROR_NONE);
        assert_ptr_not_equal(camera(i)->worker, before);
        assert_int_equal(camera(i)->worker->held, i > 0);
    }
    for (int i = 0; i < 2; i++)
        fd_close(&ends[i][1]);
}

static void test_who_does_not_wait(void **state)
{
    open_table("u:p@", 7);
    assert_int_equal(count_asking(), 2); /* one of each host */
}

static void test_cameras_without_password(void **state)
{
    open_table("", CAMERAS);
    assert_int_equal(count_asking(), CAMERAS);
}

/* Another program takes this one's place: it need not wait for an answer. */
static void test_another_program_goes_on(void **state)
{
    open_table("u:p@", CAMERAS);
    assert_false(camera_table_settle(rig.table, true)); /* the first one is still beginning */
    assert_int_equal(rig.table->logins_wait, 0);
    assert_non_null(camera(0)->worker);
    for (unsigned i = 1; i < CAMERAS; i++) {
        assert_null(camera(i)->worker);
        assert_int_equal(camera(i)->worker_deaths, 0);
    }
    camera_table_resume(rig.table);
}

static void test_told_to_make_way_while_it_waits(void **state)
{
    open_table("u:p@", CAMERAS);
    assert_int_equal(camera_succession_yield(camera(5)), 0);
    assert_int_equal(camera(5)->login_waits_ms, 0);
    assert_false(camera(5)->worker->held);
    assert_int_equal(camera_table_leave(camera(6)), 0);
    assert_null(camera(6)->worker);
    assert_int_equal(rig.table->logins_wait, CAMERAS - 3);
}

/* Workers of cameras that wait are not started only to end. */
static void test_the_server_stops_while_they_wait(void **state)
{
    open_table("u:p@", CAMERAS);
    camera_table_drain(rig.table, 1000);
    turn();
    assert_int_equal(rig.table->logins_wait, 0);
    assert_int_equal(spawned_count, 1);
    assert_int_equal(camera_table_busy(rig.table), 1);
}

/* The machine is busy: the first one's worker has not started yet, so nobody was asked. */
static void test_the_first_one_starts_late(void **state)
{
    open_table("u:p@", CAMERAS);
    passed_ms += rig.conf.camera.connect_timeout_ms;
    camera_login_step(rig.table);
    assert_int_equal(count_asking(), LOGIN_FREE);
    report(camera(0), IPC_CAMERA_CONNECTING, HTTP_ERROR_NONE);
    camera_login_step(rig.table);
    assert_int_equal(count_asking(), LOGIN_FREE);
    passed_ms += rig.conf.camera.connect_timeout_ms;
    camera_login_step(rig.table);
    assert_int_equal(count_asking(), CAMERAS);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_wrong_password_is_sent_once),
        CASE(test_a_right_password_lets_all_start),
        CASE(test_other_answers),
        CASE(test_the_first_ones_worker_dies),
        CASE(test_a_silent_host),
        CASE(test_another_one_asks_after_a_minute),
        CASE(test_a_rejected_one_asks_again),
        CASE(test_changed_while_all_stream),
        CASE(test_rejected_ones_take_turns_again),
        CASE(test_stopped_right_after_the_rejection),
        CASE(test_restarted_right_after_the_rejection),
        CASE(test_left_before_the_answer),
        CASE(test_who_does_not_wait),
        CASE(test_cameras_without_password),
        CASE(test_another_program_goes_on),
        CASE(test_told_to_make_way_while_it_waits),
        CASE(test_the_server_stops_while_they_wait),
        CASE(test_the_first_one_starts_late),
    };
    log_open(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_set_process("master");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
