/* master/camera_succession: how long clients wait for a worker that cannot be started. */
#include "common/clock.h"
#include "common/log.h"
#include "master/camera_table_private.h"
#include "master/workers_private.h"
#include "test/unit/log_capture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

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

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_no_worker_can_be_started),
        CASE(test_no_worker_may_be_started),
    };
    log_open(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_set_process("master");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
