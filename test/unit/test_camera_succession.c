/* master/camera_succession: how long clients wait for a worker that cannot be started. */
#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/url.h"
#include "master/camera_table_private.h"
#include "master/workers_private.h"
#include "test/unit/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

static struct log_capture captured;
static struct conf conf;
static struct workers workers; /* they start none: they are being closed */
static struct camera_table table;
static struct camera cam;

static int setup(void **state)
{
    const struct client_key client = {.bits = {1}};
    const union address from = {0};
    log_capture_begin(&captured);
    workers = (struct workers){.conf = &conf, .closing.asked = true};
    table = (struct camera_table){.workers = &workers, .admission.conf = &conf};
    cam = (struct camera){.table = &table, .id = "door", .gone_ms = clock_ms()};
    camera_clients_init(&table.clients, &table.admission.viewers, NULL, NULL);
    (void)guest_list_add(&cam.guests, &client, &from, IPC_CLIENT_SNAPSHOT);
    return 0;
}

static int teardown(void **state)
{
    camera_clients_drop(&table.clients, &cam);
    client_share_clear(&table.admission.viewers);
    log_capture_end(&captured);
    return 0;
}

static void wait_long(void)
{
    cam.gone_ms -= 2 * CAMERA_SUCCEED_MS;
    camera_succession_tick(&cam);
}

static void test_no_worker_can_be_started(void **state)
{
    camera_succession_tick(&cam);
    assert_int_equal(cam.guests.count, 1);
    wait_long();
    assert_int_equal(cam.guests.count, 0);
    assert_int_equal(log_capture_count(&captured, "no worker process can be started"), 1);
}

/* Another program takes this one's place, or fails to: either way they go on. */
static void test_no_worker_may_be_started(void **state)
{
    table.paused = true;
    wait_long();
    assert_int_equal(cam.guests.count, 1);
    table.paused = false;
    camera_succession_tick(&cam);
    assert_int_equal(cam.guests.count, 1); /* their time has begun anew */
    wait_long();
    assert_int_equal(cam.guests.count, 0);
}

/* @return a camera of the table. */
static struct camera *add(const char *text)
{
    struct camera_url url;
    const char *reason;
    assert_int_equal(url_parse(&url, text, strlen(text), &reason), 0);
    return camera_table_add(&table, &url, text, IPC_TRANSPORT_RTSP_TCP);
}

/* The name's new camera has had no worker yet, or none for long: their time begins with the move.
 */
static void test_clients_that_move(void **state)
{
    const char *const urls[] = {"rtsp://old/", "rtsp://new/"};
    const struct ipc_client asked = {.kind = IPC_CLIENT_STREAM, .camera = "door"};
    const struct client_key client = {.bits = {1}};
    const union address from = {0};
    struct conf_camera named = {.name = "door", .transport = IPC_TRANSPORT_RTSP_TCP};
    int ends[2];
    text_index_put(&conf.names, named.name, &named);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    struct camera *old = add(urls[0]), *new = add(urls[1]);
    uint32_t ticket = guest_list_add(&old->guests, &client, &from, IPC_CLIENT_STREAM);
    struct visit *visit = visit_new(&asked, ends[0]);
    camera_clients_remember(&table.clients, guest_list_find(&old->guests, ticket), visit);
    for (int i = 0; i < 2; i++) { /* there and back again */
        struct camera *target = i == 0 ? new : old;
        target->gone_ms = 0;
        target->stats_ms = 1; /* its worker has reported, none */
        (void)snprintf(named.key, sizeof(named.key), "%s", urls[1 - i]);
        camera_succession_renamed(&table);
        assert_int_equal(target->guests.count, 1);
        assert_int_equal(camera_stats(target).viewers, 1);
        camera_succession_tick(target);
        assert_int_equal(target->guests.count, 1);
    }
    assert_int_equal(log_capture_count(&captured, "no worker process"), 0);
    camera_clients_drop(&table.clients, old);
    camera_clients_drop(&table.clients, new);
    camera_set_clear(&table.admission.cameras);
    text_index_clear(&conf.names);
    fd_close(&ends[0]);
    fd_close(&ends[1]);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static unsigned returned;

static void on_returned(void *ctx, const struct ipc_return *connection, const union address *from,
                        int *fd)
{
    returned++;
    fd_close(fd);
}

/* The master has no second descriptor of it: it ends with its answer, and must not come back. */
static void test_connection_that_cannot_be_compared(void **state)
{
    struct worker worker = {.state = WORKER_ENDING, .files = IPC_WORKER_FILES};
    struct ipc_client m = {
        .kind = IPC_CLIENT_SNAPSHOT, .keep = 1, .head_bytes = 9, .rest_bytes = 9};
    const struct client_key client = {.bits = {1}};
    const union address from = {0};
    const struct camera_request request = {
        .client = &client, .from = &from, .name = "door", .message = &m};
    int ends[2];
    returned = 0;
    camera_clients_init(&table.clients, &table.admission.viewers, on_returned, NULL);
    cam.worker = &worker;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    int copy = dup(ends[0]);
    assert_int_equal(camera_clients_send(&table.clients, &cam, &request, &ends[0]), 0);
    assert_int_equal(m.keep + m.head_bytes + m.rest_bytes, 0);
    const struct ipc_return back = {.ticket = m.ticket};
    assert_true(camera_clients_return(&table.clients, &cam, &back, &copy));
    assert_int_equal(returned, 0);
    assert_null(guest_list_find(&cam.guests, m.ticket));
    assert_false(camera_clients_return(&table.clients, &cam, &back, &copy));
    cam.worker = NULL;
    fd_close(&copy);
    fd_close(&ends[1]);
}

/* The last program's worker makes way and has the camera's only session until it has gone: who
 * comes meanwhile waits for that, and no second worker connects beside it. */
static void test_comes_while_the_old_worker_makes_way(void **state)
{
    struct worker worker = {.state = WORKER_ENDING, .files = IPC_WORKER_FILES};
    struct ipc_client m = {.kind = IPC_CLIENT_SNAPSHOT};
    const struct client_key client = {.bits = {1}};
    const union address from = {0};
    struct camera *heir = add("rtsp://door/");
    struct camera past = {.table = &table,
                          .heir = heir,
                          .worker = &worker,
                          .yielding = true,
                          .state.state = IPC_CAMERA_STREAMING};
    const struct camera_request request = {.url = &heir->url,
                                           .transport = heir->transport,
                                           .client = &client,
                                           .from = &from,
                                           .name = "door",
                                           .message = &m};
    const char *message = NULL;
    int ends[2];
    conf.server.client_share = 50;
    LIST_INSERT_HEAD(&heir->predecessors, &past, link);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(camera_table_dispatch(&table, &request, &ends[0], &message), HTTP_ERROR_NONE);
    assert_int_equal(past.guests.count, 1);
    assert_null(heir->worker);
    camera_clients_drop(&table.clients, &past);
    LIST_REMOVE(&past, link);
    camera_set_clear(&table.admission.cameras);
    fd_close(&ends[0]);
    fd_close(&ends[1]);
}

/* One of a thousand viewers has closed, and the worker does not say so. */
static void test_keeps_one_of_many(void **state)
{
    struct worker worker = {.state = WORKER_BUSY};
    const struct ipc_client asked = {.kind = IPC_CLIENT_STREAM, .camera = "door"};
    const struct client_key client = {.bits = {1}};
    const union address from = {0};
    int ends[2];
    uint32_t ticket = 0;
    cam.worker = &worker;
    for (int i = 0; i < 1000; i++) {
        ticket = guest_list_add(&cam.guests, &client, &from, IPC_CLIENT_STREAM);
        client_share_take(&table.admission.viewers, &client);
    }
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    guest_list_find(&cam.guests, ticket)->visit = visit_new(&asked, ends[0]);
    table.clients.sockets++;
    fd_close(&ends[1]);
    while (camera_clients_obey(&cam))
        cam.reports++;
    assert_in_range(cam.reports, CLIENT_GONE_REPORTS, 2 * CLIENT_GONE_REPORTS);
    cam.worker = NULL;
    fd_close(&ends[0]);
}

#define SHARE 128

/* Who started a camera has left: it counts for another viewer, if that one's share allows it. */
static void test_starter_leaves(void **state)
{
    static struct worker others[SHARE], worker;
    const struct client_key viewer = {.bits = {1}}, starter = {.bits = {2}};
    conf.server.max_cameras = 2 * SHARE + 1;
    conf.server.client_share = 50;
    cam.worker = &worker;
    cam.starter = starter;
    worker = (struct worker){.state = WORKER_BUSY};
    LIST_INIT(&workers.list);
    LIST_INSERT_HEAD(&workers.list, &worker, link);
    for (int i = 0; i < SHARE; i++) {
        others[i] = (struct worker){.state = WORKER_BUSY};
        worker_count_for(&others[i], &viewer);
        LIST_INSERT_HEAD(&workers.list, &others[i], link);
    }
    worker_count_for(&worker, &starter);
    camera_find_starter(&cam);
    assert_true(client_key_equal(&worker.client, &starter));
    worker_count_for(&others[0], &starter);
    camera_find_starter(&cam);
    assert_true(client_key_equal(&worker.client, &viewer));
    camera_find_starter(&cam); /* it stays */
    assert_true(client_key_equal(&worker.client, &viewer));
    cam.worker = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_no_worker_can_be_started),
        CASE(test_no_worker_may_be_started),
        CASE(test_clients_that_move),
        CASE(test_connection_that_cannot_be_compared),
        CASE(test_comes_while_the_old_worker_makes_way),
        CASE(test_keeps_one_of_many),
        CASE(test_starter_leaves),
    };
    log_open(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_set_process("master");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
