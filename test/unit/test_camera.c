/* master/camera: cameras are found by URL and ID; names of the configuration come and go. */
#include "master/camera.h"

#include "common/clock.h"
#include "common/url_redact.h"
#include "master/conf_file.h"
#include "master/conf_option.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct camera_set set;
static struct conf conf;

static int setup(void **state)
{
    conf_option_set_defaults(&conf);
    return 0;
}

static int teardown(void **state)
{
    camera_set_clear(&set);
    conf_free(&conf);
    return 0;
}

static void configure(const char *text)
{
    char error[1024];
    conf_free(&conf);
    conf_option_set_defaults(&conf);
    assert_int_equal(conf_read(&conf, "test", text, strlen(text), error, sizeof(error)), 0);
    camera_set_configure(&set, &conf);
}

static struct camera *add(const char *text, enum ipc_transport transport)
{
    struct camera_url url;
    char key[IPC_URL_MAX];
    const char *reason;
    assert_int_equal(url_parse(&url, text, strlen(text), &reason), 0);
    (void)url_format(&url, key);
    struct camera *cam = camera_set_add(&set, &url, key, transport);
    assert_ptr_equal(camera_set_find(&set, key, transport), cam);
    assert_ptr_equal(camera_set_find_id(&set, cam->id), cam);
    return cam;
}

static void test_find(void **state)
{
    struct camera *tcp = add("rtsp://u:p@10.0.0.9/s", IPC_TRANSPORT_RTSP_TCP);
    struct camera *udp = add("rtsp://u:p@10.0.0.9/s", IPC_TRANSPORT_RTSP_UDP);
    assert_string_equal(tcp->shown, "rtsp://***@10.0.0.9/s");
    assert_string_not_equal(tcp->id, udp->id);
    assert_int_equal(set.count, 2);
    camera_set_remove(&set, tcp);
    assert_int_equal(set.count, 1);
    assert_ptr_equal(set.list[0], udp);
    assert_null(camera_set_find(&set, "rtsp://u:p@10.0.0.9/s", IPC_TRANSPORT_RTSP_TCP));
    assert_ptr_equal(camera_set_find(&set, "rtsp://u:p@10.0.0.9/s", IPC_TRANSPORT_RTSP_UDP), udp);
}

/* Other passwords: the same ID but for a suffix, whose number costs nothing to find. */
static void test_suffixes(void **state)
{
    struct camera *first = add("rtsp://u:p@10.0.0.9/s", IPC_TRANSPORT_RTSP_TCP);
    size_t len = strlen(first->id);
    assert_int_equal(len, 16);
    for (int i = 0; i < 2000; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "rtsp://u:wrong%d@10.0.0.9/s", i);
        struct camera *cam = add(text, IPC_TRANSPORT_RTSP_TCP);
        assert_memory_equal(cam->id, first->id, len);
        assert_int_equal(cam->id[len], '-');
        assert_true(strlen(cam->id) < URL_STREAM_ID_MAX);
        if (i % 2 == 0)
            camera_set_remove(&set, cam);
    }
    assert_int_equal(set.last_suffix, 2000);
}

static void test_names(void **state)
{
    static const char both[] = "[camera \"gate\"]\nurl = rtsp://10.0.0.9/s\n"
                               "[camera \"yard\"]\nurl = rtsp://10.0.0.8/s\n";
    struct camera *nine = add("rtsp://10.0.0.9/s", IPC_TRANSPORT_RTSP_TCP);
    struct camera *udp = add("rtsp://10.0.0.9/s", IPC_TRANSPORT_RTSP_UDP);
    char id[IPC_CAMERA_ID_MAX];
    (void)snprintf(id, sizeof(id), "%s", nine->id);

    configure(both);
    struct camera *eight = add("rtsp://10.0.0.8/s", IPC_TRANSPORT_RTSP_TCP);
    assert_string_equal(nine->id, "gate");
    assert_string_equal(eight->id, "yard");
    assert_true(nine->named && eight->named && !udp->named);
    assert_null(camera_set_find_id(&set, id));

    configure("[camera \"yard\"]\nurl = rtsp://10.0.0.9/s\n" /* swapped */
              "[camera \"gate\"]\nurl = rtsp://10.0.0.8/s\n");
    assert_string_equal(nine->id, "yard");
    assert_ptr_equal(camera_set_find_id(&set, "gate"), eight);

    configure("");
    assert_string_equal(nine->id, id);
    assert_false(nine->named);
    assert_null(camera_set_find_id(&set, "yard"));
}

/* A camera that the file names twice is called by the first name, or by the one that it has. */
static void test_two_names(void **state)
{
    static const char key[] = "rtsp://10.0.0.9/s";
    configure("[camera \"a\"]\nurl = rtsp://10.0.0.9/s\n[camera \"b\"]\nurl = rtsp://10.0.0.9/s\n");
    assert_string_equal(camera_set_configured(&set, key, IPC_TRANSPORT_RTSP_TCP)->name, "a");
    assert_null(camera_set_configured(&set, key, IPC_TRANSPORT_RTSP_UDP));
    struct camera *cam = add(key, IPC_TRANSPORT_RTSP_TCP);
    assert_string_equal(cam->id, "a");
    configure("[camera \"b\"]\nurl = rtsp://10.0.0.9/s\n[camera \"a\"]\nurl = rtsp://10.0.0.9/s\n");
    assert_string_equal(cam->id, "a");
}

/* A worker may say what it likes. */
static void test_state(void **state)
{
    struct camera cam = {.state = {.state = IPC_CAMERA_STREAMING}};
    assert_int_equal(camera_state(&cam), IPC_CAMERA_STATE_COUNT);
    cam.worker = (struct worker *)&cam;
    assert_int_equal(camera_state(&cam), IPC_CAMERA_STREAMING);
    cam.state.state = 77;
    assert_int_equal(camera_state(&cam), IPC_CAMERA_STATE_COUNT);
}

/* A failure counts as long as somebody asks again and again. */
static void test_old_failures(void **state)
{
    const int64_t old_ms = clock_ms() - CAMERA_WANTED_MS;
    struct camera cam = {
        .health = {.down_since_us = 1, .failed_us = 2, .reason = HTTP_ERROR_CAMERA_TIMEOUT}};
    cam.state_since_ms = clock_ms();
    assert_true(camera_is_wanted(&cam));
    camera_begin_attempt(&cam);
    assert_int_equal(cam.health.down_since_us, 1);
    cam.state_since_ms = old_ms;
    cam.asked_ms = clock_ms(); /* and was refused */
    assert_true(camera_is_wanted(&cam));
    camera_begin_attempt(&cam);
    cam.asked_ms = old_ms;
    assert_false(camera_is_wanted(&cam));
    cam.refused_until_ms = clock_ms();
    camera_begin_attempt(&cam);
    assert_int_equal(cam.health.reason, HTTP_ERROR_CAMERA_TIMEOUT);
    cam.refused_until_ms = 0;
    camera_begin_attempt(&cam);
    assert_int_equal(cam.health.down_since_us, 0);
    assert_int_equal(cam.health.reason, HTTP_ERROR_NONE);
    assert_int_equal(cam.health.failed_us, 2); /* for stream=auto */
    cam.worker = (struct worker *)&cam;
    assert_true(camera_is_wanted(&cam));
}

/* --- while a worker of the last program is left ------------------------------- */

static struct camera heir, past;

static void begin_upgrade(void)
{
    const struct client_key client = {.bits = {1}};
    const union address from = {0};
    heir = (struct camera){.worker = (struct worker *)&heir, .state.state = IPC_CAMERA_CONNECTING};
    past = (struct camera){.worker = (struct worker *)&past,
                           .heir = &heir,
                           .state.state = IPC_CAMERA_STREAMING,
                           .stats = {.viewers = 1, .width = 1280}};
    LIST_INSERT_HEAD(&heir.predecessors, &past, link);
    (void)guest_list_add(&past.guests, &client, &from, IPC_CLIENT_STREAM);
    (void)guest_list_add(&past.guests, &client, &from, IPC_CLIENT_STREAM);
    (void)guest_list_add(&heir.guests, &client, &from, IPC_CLIENT_MJPEG);
}

static void end_upgrade(void)
{
    guest_list_clear(&past.guests);
    guest_list_clear(&heir.guests);
}

/* The viewers see the old worker's pictures until the new one has some, or refuses. */
static void test_old_worker_serves(void **state)
{
    begin_upgrade();
    assert_ptr_equal(camera_serving(&heir), &past);
    assert_int_equal(camera_stats(&heir).viewers, 3); /* what they were given */
    past.stats_ms = 1;
    assert_int_equal(camera_stats(&heir).viewers, 2); /* one has left, it says */
    assert_int_equal(camera_stats(&heir).width, 1280);
    assert_int_equal(camera_viewers(&heir), 3);
    heir.worker = NULL; /* a refused password */
    assert_ptr_equal(camera_serving(&heir), &past);
    assert_true(camera_is_served(&heir));
    heir.worker = past.worker;
    heir.state.state = IPC_CAMERA_STREAMING;
    assert_ptr_equal(camera_serving(&heir), &heir);
    assert_int_equal(camera_stats(&heir).viewers, 2);
    assert_int_equal(camera_stats(&heir).width, 0);
    end_upgrade();
}

/* The camera has gone, for both. */
static void test_old_worker_has_no_pictures(void **state)
{
    begin_upgrade();
    past.state.state = IPC_CAMERA_BACKOFF;
    assert_ptr_equal(camera_serving(&heir), &heir);
    end_upgrade();
    begin_upgrade();
    guest_list_clear(&past.guests);
    assert_ptr_equal(camera_serving(&heir), &past); /* for whoever polls */
    past.worker = NULL;                             /* it leaves */
    assert_ptr_equal(camera_serving(&heir), &heir);
    end_upgrade();
    LIST_REMOVE(&past, link);
    heir.worker = NULL;
    assert_false(camera_is_served(&heir));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_find, setup, teardown),
        cmocka_unit_test_setup_teardown(test_suffixes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_names, setup, teardown),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_old_failures),
        cmocka_unit_test(test_old_worker_serves),
        cmocka_unit_test(test_old_worker_has_no_pictures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
