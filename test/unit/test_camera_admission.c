/* master/camera_admission: what one client may have of what all share. */
#include "master/camera_admission.h"

#include "common/clock.h"
#include "master/conf_camera.h"
#include "master/conf_option.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct conf conf;
static struct camera_admission admission;
static const struct client_key greedy = {{1, 1}}, modest = {{1, 2}};
static const char *message;

static int setup(void **state)
{
    conf_option_set_defaults(&conf);
    conf.camera_count = 0;
    memset(&admission, 0, sizeof(admission));
    admission.conf = &conf;
    return 0;
}

static int teardown(void **state)
{
    login_memory_clear(&admission.logins);
    client_share_clear(&admission.viewers);
    return 0;
}

static enum http_error start(const struct client_key *client, bool named,
                             const struct workers_held *held)
{
    static const struct camera_url url = {.host = "10.0.0.9", .port = 554};
    struct ipc_client m = {.kind = IPC_CLIENT_STREAM};
    const struct camera_request request = {.url = &url, .client = client, .message = &m};
    return camera_admission_start(&admission, &request, named, held, &message);
}

/* Whether its cameras stream or not. */
static void test_cameras_of_one_client(void **state)
{
    const struct workers_held below = {.busy = 127, .requested = 127, .own = 127};
    const struct workers_held half = {.busy = 128, .requested = 128, .own = 128};
    const struct workers_held others = {.busy = 128, .requested = 128};
    assert_int_equal(start(&greedy, false, &below), HTTP_ERROR_NONE);
    assert_int_equal(start(&greedy, false, &half), HTTP_ERROR_CLIENT_SHARE);
    assert_int_equal(start(&greedy, true, &half), HTTP_ERROR_NONE);
    assert_int_equal(start(&modest, false, &others), HTTP_ERROR_NONE);
    conf.server.client_share = 100;
    assert_int_equal(start(&greedy, false, &half), HTTP_ERROR_NONE);
}

/* A wall of tiles, whatever the others hold. */
static void test_every_client_may_have_64(void **state)
{
    const struct workers_held held = {.busy = 250, .requested = 250, .own = 63};
    const struct workers_held more = {.busy = 250, .requested = 250, .own = 64};
    assert_int_equal(start(&modest, false, &held), HTTP_ERROR_NONE);
    assert_int_equal(start(&modest, false, &more), HTTP_ERROR_CLIENT_SHARE);
}

static void test_workers_that_leave(void **state)
{
    const struct workers_held held = {.busy = 72, .requested = 9, .own = 9, .leaving = 63};
    const struct workers_held more = {.busy = 73, .requested = 9, .own = 9, .leaving = 64};
    const struct workers_held others = {.busy = 41, .requested = 9};
    assert_int_equal(start(&greedy, false, &held), HTTP_ERROR_NONE);
    assert_int_equal(start(&greedy, false, &more), HTTP_ERROR_OVERLOADED);
    assert_int_equal(start(&modest, false, &others), HTTP_ERROR_NONE);
    assert_int_equal(start(&greedy, true, &more), HTTP_ERROR_NONE);
    conf.server.client_share = 1;
    assert_int_equal(start(&greedy, false, &held), HTTP_ERROR_NONE);
    assert_int_equal(start(&greedy, false, &more), HTTP_ERROR_OVERLOADED);
}

/* A wall of 64 tiles shows its third page, and nothing of the first two has left yet.  The camera
 * table's answer to client_share is to let one of its own make room: not when that is no use. */
static void test_page_is_turned(void **state)
{
    struct workers_held held = {.busy = 128, .requested = 128, .own = 128};
    for (; held.leaving < CLIENT_SHARE_FLOOR; held.leaving++) {
        assert_int_equal(start(&greedy, false, &held), HTTP_ERROR_CLIENT_SHARE);
        held.own--;
        held.requested--;
        assert_int_equal(start(&greedy, false, &held), HTTP_ERROR_NONE);
        held.own++;
        held.requested++;
        held.busy++;
    }
    assert_int_equal(start(&greedy, false, &held), HTTP_ERROR_OVERLOADED);
}

/* @return how many of `most` starts of the client succeed. */
static int count_starts(const struct client_key *client, bool named, int most)
{
    const struct workers_held none = {0};
    int n = 0;
    while (n < most && start(client, named, &none) == HTTP_ERROR_NONE) {
        camera_admission_started(&admission, client, named);
        n++;
    }
    return n;
}

static void test_starts_of_one_client(void **state)
{
    const struct client_key local = {{0}};
    int n = count_starts(&greedy, false, 2 * STARTS_PER_MINUTE);
    assert_in_range(n, STARTS_PER_MINUTE, 2 * STARTS_PER_MINUTE - 1); /* time passes */
    assert_non_null(strstr(message, "600 cameras within a minute"));
    while (camera_admission_restart(&admission, &greedy, &message) == HTTP_ERROR_NONE)
        camera_admission_started(&admission, &greedy, false); /* a restart is one, too */
    assert_int_equal(count_starts(&modest, false, 1), 1);
    assert_int_equal(count_starts(&local, false, 2 * STARTS_PER_MINUTE), 2 * STARTS_PER_MINUTE);
    conf.server.client_share = 100;
    assert_int_equal(count_starts(&greedy, false, 1), 1);
}

/* A recorder polls each camera once a minute, and each has left in between. */
static void test_starts_of_cameras_of_the_configuration(void **state)
{
    conf.camera_count = 1000;
    assert_int_equal(count_starts(&greedy, true, 2 * 1000), 2 * 1000);
    conf.camera_count = 0;
    conf.server.max_cameras = 1000;
    assert_int_equal(count_starts(&modest, true, 2 * 1000), 2 * 1000);
    int most = 2 * (STARTS_PER_MINUTE + 4 * 1000);
    assert_in_range(count_starts(&modest, true, most), 0, most - 1);
    assert_non_null(strstr(message, "600 starts and four for each camera"));
    assert_int_equal(count_starts(&modest, false, STARTS_PER_MINUTE), STARTS_PER_MINUTE);
}

/* No worker can be started for a while: whoever asks again meanwhile has started nothing. */
static void test_starts_that_fail(void **state)
{
    const struct workers_held none = {0};
    for (int i = 0; i < 2 * STARTS_PER_MINUTE; i++) {
        assert_int_equal(start(&greedy, false, &none), HTTP_ERROR_NONE);
        assert_int_equal(camera_admission_restart(&admission, &greedy, &message), HTTP_ERROR_NONE);
    }
    assert_int_equal(count_starts(&greedy, false, STARTS_PER_MINUTE), STARTS_PER_MINUTE);
}

#define NAMED 128

static struct camera cameras[1024], *list[1024];

static void make_cameras(void)
{
    for (size_t i = 0; i < 1024; i++) {
        cameras[i] = (struct camera){.named = i < NAMED};
        (void)snprintf(cameras[i].id, sizeof(cameras[i].id), "camera-%zu", i);
        LIST_INIT(&cameras[i].predecessors);
        list[i] = &cameras[i];
    }
    admission.cameras.list = list;
    admission.cameras.count = NAMED;
}

static void serve(struct camera *cam)
{
    cam->worker = (struct worker *)cam; /* only whether there is one matters */
}

/* @return how many cameras a client may start beside `others`. */
static size_t take_share(const struct client_key *client, size_t others)
{
    size_t own = 0;
    struct workers_held held = {.busy = others, .requested = others};
    while (start(client, false, &held) == HTTP_ERROR_NONE) {
        serve(list[admission.cameras.count++]);
        own++;
        held.requested = held.busy = others + own;
        held.own = own;
    }
    return own;
}

/* Half of the places are kept for cameras of the configuration, or have them: the share is of the
 * other half. */
static void test_share_of_what_the_configuration_leaves(void **state)
{
    make_cameras();
    conf.server.max_cameras = 512;
    for (size_t i = 0; i < NAMED; i++) {
        struct conf_camera configured = {.is_sub = false};
        (void)snprintf(configured.name, sizeof(configured.name), "camera-%zu", i);
        assert_non_null(conf_camera_add(&conf, &configured));
    }
    assert_int_equal(take_share(&greedy, 0), (512 - NAMED) / 2);
    assert_non_null(strstr(message, "its share of the cameras"));
    assert_int_equal(take_share(&modest, (512 - NAMED) / 2), (512 - NAMED) / 4);
    make_cameras();
    for (size_t i = 0; i < NAMED; i++)
        serve(&cameras[i]);
    assert_int_equal(take_share(&greedy, 0), (512 - NAMED) / 2);
    make_cameras();
    conf.server.max_cameras = 256;
    assert_int_equal(take_share(&greedy, 0), 64);
    assert_int_equal(take_share(&modest, 64), 64);
    assert_non_null(strstr(message, "for cameras of the configuration"));
    conf_clear_cameras(&conf);
}

static void test_viewers_of_one_camera(void **state)
{
    struct camera cam = {.id = "door"};
    struct ipc_client m = {.kind = IPC_CLIENT_STREAM};
    const union address from = {0};
    struct camera_request request = {.client = &greedy, .message = &m};
    conf.server.max_viewers_per_camera = 12;
    for (int i = 0; i < 6; i++) {
        assert_int_equal(camera_admission_client(&admission, &cam, &request, &message),
                         HTTP_ERROR_NONE);
        (void)guest_list_add(&cam.guests, &greedy, &from, IPC_CLIENT_STREAM);
    }
    assert_int_equal(camera_admission_client(&admission, &cam, &request, &message),
                     HTTP_ERROR_CLIENT_SHARE);
    m.kind = IPC_CLIENT_SNAPSHOT;
    assert_int_equal(camera_admission_client(&admission, &cam, &request, &message),
                     HTTP_ERROR_NONE);
    m.kind = IPC_CLIENT_MJPEG;
    assert_int_equal(camera_admission_client(&admission, &cam, &request, &message),
                     HTTP_ERROR_CLIENT_SHARE);
    request.client = &modest;
    assert_int_equal(camera_admission_client(&admission, &cam, &request, &message),
                     HTTP_ERROR_NONE);
    guest_list_clear(&cam.guests);
}

/* The old worker serves whoever comes: its viewers count, and no crash of the new ones matters. */
static void test_while_an_old_worker_is_left(void **state)
{
    struct camera cam = {.id = "door", .crashes = 100, .crashed_ms = clock_ms()};
    struct camera past = {.heir = &cam, .state.state = IPC_CAMERA_STREAMING};
    struct ipc_client m = {.kind = IPC_CLIENT_STREAM};
    const union address from = {0};
    struct camera_request request = {.client = &greedy, .message = &m};
    conf.server.max_viewers_per_camera = 12;
    assert_int_equal(camera_admission_client(&admission, &cam, &request, &message),
                     HTTP_ERROR_OVERLOADED);
    LIST_INSERT_HEAD(&cam.predecessors, &past, link);
    serve(&past);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(camera_admission_client(&admission, &cam, &request, &message),
                         HTTP_ERROR_NONE);
        (void)guest_list_add(&past.guests, &greedy, &from, IPC_CLIENT_STREAM);
    }
    assert_int_equal(camera_admission_client(&admission, &cam, &request, &message),
                     HTTP_ERROR_CLIENT_SHARE);
    request.client = &modest;
    assert_int_equal(camera_admission_client(&admission, &cam, &request, &message),
                     HTTP_ERROR_NONE);
    guest_list_clear(&past.guests);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_cameras_of_one_client), CASE(test_every_client_may_have_64),
        CASE(test_workers_that_leave),    CASE(test_page_is_turned),
        CASE(test_starts_of_one_client),  CASE(test_starts_of_cameras_of_the_configuration),
        CASE(test_starts_that_fail),      CASE(test_share_of_what_the_configuration_leaves),
        CASE(test_viewers_of_one_camera), CASE(test_while_an_old_worker_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
