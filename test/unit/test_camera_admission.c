/* master/camera_admission: what one client may have of what all share. */
#include "master/camera_admission.h"

#include "common/clock.h"
#include "master/conf_option.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct conf conf;
static struct camera_admission admission;
static const struct client_key greedy = {{1, 1}}, modest = {{1, 2}};
static const char *message;

static int setup(void **state)
{
    conf_option_set_defaults(&conf);
    memset(&admission, 0, sizeof(admission));
    admission.conf = &conf;
    return 0;
}

static int teardown(void **state)
{
    login_guard_clear(&admission.logins);
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
    const struct workers_held held = {.busy = 40, .requested = 9, .own = 9, .leaving = 31};
    const struct workers_held more = {.busy = 41, .requested = 9, .own = 9, .leaving = 32};
    const struct workers_held others = {.busy = 41, .requested = 9};
    assert_int_equal(start(&greedy, false, &held), HTTP_ERROR_NONE);
    assert_int_equal(start(&greedy, false, &more), HTTP_ERROR_OVERLOADED);
    assert_int_equal(start(&modest, false, &others), HTTP_ERROR_NONE);
    assert_int_equal(start(&greedy, true, &more), HTTP_ERROR_NONE);
    const struct workers_held few = {.busy = 8, .leaving = 7}, enough = {.busy = 8, .leaving = 8};
    conf.server.client_share = 1;
    assert_int_equal(start(&greedy, false, &few), HTTP_ERROR_NONE);
    assert_int_equal(start(&greedy, false, &enough), HTTP_ERROR_OVERLOADED);
}

static void test_starts_of_one_client(void **state)
{
    const struct workers_held none = {0};
    const struct client_key local = {{0}};
    for (int i = 0; i < STARTS_PER_MINUTE; i++)
        assert_int_equal(start(&greedy, i % 2 == 0, &none), HTTP_ERROR_NONE);
    int more = 0; /* while time passes, some become free */
    while (more < STARTS_PER_MINUTE &&
           camera_admission_restart(&admission, &greedy, &message) == HTTP_ERROR_NONE)
        more++;
    assert_in_range(more, 0, STARTS_PER_MINUTE - 1);
    assert_non_null(strstr(message, "600 cameras within a minute"));
    assert_int_equal(start(&modest, false, &none), HTTP_ERROR_NONE);
    for (int i = 0; i < 2 * STARTS_PER_MINUTE; i++)
        assert_int_equal(camera_admission_restart(&admission, &local, &message), HTTP_ERROR_NONE);
    conf.server.client_share = 100;
    assert_int_equal(start(&greedy, false, &none), HTTP_ERROR_NONE);
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

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_cameras_of_one_client), CASE(test_every_client_may_have_64),
        CASE(test_workers_that_leave),    CASE(test_starts_of_one_client),
        CASE(test_viewers_of_one_camera),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
