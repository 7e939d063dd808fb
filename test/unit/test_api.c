/* master/api: the JSON of /api/…, and that no password is in it. */
#include "master/api.h"

#include "common/clock.h"
#include "master/conf_file.h"
#include "master/conf_option.h"
#include "worker/audio/audio_format.h"

#include <jansson.h>
#include <libavcodec/avcodec.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct conf conf;
static struct camera_set set;

static int setup(void **state)
{
    static const char text[] =
        "[camera \"gate\"]\nurl = rtsp://admin:hunter2@10.0.0.9/s\n"
        "always_on = yes\n[camera \"yard\"]\nurl = rtmp://10.0.0.8/live/x\ntitle = 后院\n"
        "group = Garden\nsub = rtsp://u:hunter2@10.0.0.8/small\n[camera \"yard-again\"]\nurl = "
        "rtmp://10.0.0.8/live/x\n";
    char error[512];
    conf_option_set_defaults(&conf);
    int rc = conf_read(&conf, "test", text, sizeof(text) - 1, error, sizeof(error));
    camera_set_configure(&set, &conf);
    return rc;
}

static int teardown(void **state)
{
    camera_set_clear(&set);
    conf_free(&conf);
    return 0;
}

static json_t *take(char *text)
{
    assert_non_null(text);
    assert_null(strstr(text, "hunter2"));
    json_t *json = json_loads(text, 0, NULL);
    assert_non_null(json);
    free(text);
    return json;
}

static void assert_text(const char *want, const json_t *object, const char *name)
{
    assert_string_equal(want, json_string_value(json_object_get(object, name)));
}

static struct camera *add(const char *text)
{
    struct camera_url url;
    char key[IPC_URL_MAX];
    const char *reason;
    assert_int_equal(0, url_parse(&url, text, strlen(text), &reason));
    (void)url_format(&url, key);
    return camera_set_add(&set, &url, key, url_default_transport(url.scheme));
}

static void fill(struct camera *cam, const char *id)
{
    memset(cam, 0, sizeof(*cam));
    (void)snprintf(cam->id, sizeof(cam->id), "%s", id);
    (void)snprintf(cam->shown, sizeof(cam->shown), "rtsp://***@10.0.0.9/s");
}

static void assert_null_member(const json_t *object, const char *name)
{
    assert_true(json_is_null(json_object_get(object, name)));
}

/* Nobody has asked for them. */
static void test_unwatched(void **state)
{
    json_t *top = take(api_cameras(&conf, &set));
    json_t *list = json_object_get(top, "cameras");
    assert_int_equal(3, json_array_size(list));
    json_t *gate = json_array_get(list, 0), *yard = json_array_get(list, 1);
    assert_text("gate", gate, "name");
    assert_text("rtsp://***@10.0.0.9/s", gate, "camera_url");
    assert_text("rtsp-tcp", gate, "cam_type");
    assert_null_member(gate, "title");
    assert_null_member(gate, "group");
    assert_true(json_is_true(json_object_get(gate, "always_on")));
    assert_text("后院", yard, "title");
    assert_text("Garden", yard, "group");
    assert_text("rtmp://10.0.0.8/live/x", yard, "camera_url");
    assert_true(json_is_false(json_object_get(yard, "always_on")));
    assert_text("unwatched", yard, "state");
    assert_null_member(yard, "since");
    assert_null_member(yard, "reason");
    assert_null_member(yard, "down_since");
    assert_null_member(yard, "last_frame_at");
    json_decref(top);

    top = take(api_streams(&conf, &set));
    list = json_object_get(top, "streams");
    assert_int_equal(2, json_array_size(list)); /* yard once, by its first name */
    assert_text("yard", json_array_get(list, 1), "id");
    assert_text("yard", json_array_get(list, 1), "name");
    assert_text("unwatched", json_array_get(list, 1), "state");
    json_decref(top);
}

static void test_streams(void **state)
{
    struct camera *named = add("rtsp://admin:hunter2@10.0.0.9/s"),
                  *other = add("rtsp://10.0.0.7/s");

    named->worker = (struct worker *)(uintptr_t)8; /* only compared with NULL */
    named->state.state = IPC_CAMERA_STREAMING;
    named->state.restarts = 3;
    named->stats.video_codec = 0x68766331;
    named->stats.audio_codec = 0x6d703461;
    named->stats.no_audio = IPC_NO_AUDIO_ENCRYPTED;
    named->stats.width = 1280;
    named->stats.height = 720;
    named->stats.frame_rate_mhz = 12500;
    named->stats.viewers = 7;
    named->stats_ms = 1;
    named->bit_rate_bps = 4000000;
    other->refused_until_ms = clock_ms() + 60000;

    json_t *top = take(api_streams(&conf, &set));
    assert_int_equal(strlen("2026-01-02T03:04:05Z"),
                     json_string_length(json_object_get(top, "time")));
    json_t *list = json_object_get(top, "streams");
    assert_int_equal(3, json_array_size(list));
    json_t *one = json_array_get(list, 0);
    assert_text("gate", one, "id");
    assert_text("gate", one, "name");
    assert_text("streaming", one, "state");
    assert_text("H.265", one, "video_codec");
    assert_text("AAC", one, "audio_codec");
    assert_text("encrypted", one, "no_audio");
    assert_text("rtsp://***@10.0.0.9/s", one, "camera_url");
    assert_int_equal(1280, json_integer_value(json_object_get(one, "width")));
    assert_int_equal(4000000, json_integer_value(json_object_get(one, "bit_rate")));
    assert_int_equal(7, json_integer_value(json_object_get(one, "viewers")));
    assert_int_equal(3, json_integer_value(json_object_get(one, "restarts")));
    assert_true(json_real_value(json_object_get(one, "frame_rate")) == 12.5);
    assert_null_member(one, "last_error");
    assert_int_equal(20, json_string_length(json_object_get(one, "since")));

    json_t *two = json_array_get(list, 1);
    assert_null_member(two, "name");
    assert_null_member(two, "video_codec");
    assert_null_member(two, "no_audio");
    assert_text("stopped", two, "state");
    assert_text("camera_unauthorized", two, "last_error");
    assert_text("yard", json_array_get(list, 2), "id");
    json_decref(top);

    top = take(api_stream(&conf, other));
    assert_string_equal(other->id, json_string_value(json_object_get(top, "id")));
    json_decref(top);

    camera_set_remove(&set, other);
    camera_set_remove(&set, named);
}

static void test_one_camera(void **state)
{
    const struct conf_camera *yard = conf_find_camera(&conf, "yard-again");
    struct camera *cam = add("rtmp://10.0.0.8/live/x");
    json_t *top = take(api_streams_of(&conf, "yard-again", yard, cam));
    assert_text("yard-again", top, "camera");
    assert_null_member(top, "title");
    assert_text("yard", json_array_get(json_object_get(top, "streams"), 0), "id");
    json_decref(top);
    top = take(api_streams_of(&conf, "yard", conf_find_camera(&conf, "yard"), NULL));
    assert_text("后院", top, "title");
    assert_text("unwatched", json_array_get(json_object_get(top, "streams"), 0), "state");
    json_decref(top);
    top = take(api_streams_of(&conf, "rtsp://h/x", NULL, NULL));
    assert_null_member(top, "title");
    assert_int_equal(0, json_array_size(json_object_get(top, "streams")));
    json_decref(top);
    camera_set_remove(&set, cam);
}

static void test_sub_stream(void **state)
{
    json_t *top = take(api_cameras(&conf, &set));
    json_t *list = json_object_get(top, "cameras");
    assert_int_equal(3, json_array_size(list));
    assert_null_member(json_array_get(list, 0), "sub");
    json_t *sub = json_object_get(json_array_get(list, 1), "sub");
    assert_text("rtsp://***@10.0.0.8/small", sub, "camera_url");
    assert_text("rtsp-tcp", sub, "cam_type");
    assert_text("unwatched", sub, "state");
    json_decref(top);
    top = take(api_streams(&conf, &set));
    assert_int_equal(2, json_array_size(json_object_get(top, "streams"))); /* it is no camera */
    json_decref(top);

    struct camera *cam = add("rtsp://u:hunter2@10.0.0.8/small");
    cam->worker = (struct worker *)(uintptr_t)8; /* only compared with NULL */
    cam->state.state = IPC_CAMERA_STREAMING;
    top = take(api_streams(&conf, &set));
    json_t *one = json_array_get(json_object_get(top, "streams"), 0);
    assert_text("yard:sub", one, "id");
    assert_text("yard:sub", one, "name");
    assert_text("yard", one, "sub_of");
    assert_text("后院", one, "title");
    assert_null_member(json_array_get(json_object_get(top, "streams"), 1), "sub_of");
    json_decref(top);
    top = take(api_cameras(&conf, &set));
    sub = json_object_get(json_array_get(json_object_get(top, "cameras"), 1), "sub");
    assert_text("streaming", sub, "state");
    json_decref(top);
    camera_set_remove(&set, cam);
}

/* A camera that is down: since when, why, and when it last sent a picture. */
static void test_down(void **state)
{
    const struct ipc_state streaming = {.state = IPC_CAMERA_STREAMING};
    const struct ipc_state lost = {.state = IPC_CAMERA_BACKOFF,
                                   .error = HTTP_ERROR_CAMERA_UNREACHABLE};
    const struct ipc_state again = {.state = IPC_CAMERA_CONNECTING,
                                    .error = HTTP_ERROR_CAMERA_UNREACHABLE};
    const struct ipc_state timeout = {.state = IPC_CAMERA_BACKOFF,
                                      .error = HTTP_ERROR_CAMERA_TIMEOUT};
    struct camera *cam = add("rtmp://10.0.0.8/live/x");
    int64_t now_us = clock_us();
    camera_health_on_state(&cam->health, &streaming, now_us - 300000000);
    camera_health_on_picture(&cam->health, now_us - 200000000, now_us - 199000000);
    camera_health_on_state(&cam->health, &lost, now_us - 190000000);
    camera_health_on_state(&cam->health, &again, now_us - 180000000);
    camera_health_on_state(&cam->health, &timeout, now_us - 170000000);
    camera_health_on_picture(&cam->health, 0, now_us); /* its next worker has seen none */
    assert_int_equal(cam->health.down_since_us, now_us - 190000000);
    assert_int_equal(cam->health.last_frame_us, now_us - 200000000);

    json_t *top = take(api_cameras(&conf, &set));
    for (size_t i = 1; i < 3; i++) { /* by either name */
        json_t *one = json_array_get(json_object_get(top, "cameras"), i);
        assert_text("unwatched", one, "state"); /* it has no worker */
        assert_text("camera_timeout", one, "reason");
        assert_int_equal(20, json_string_length(json_object_get(one, "down_since")));
        assert_int_equal(20, json_string_length(json_object_get(one, "last_frame_at")));
    }
    json_t *then = json_incref(
        json_object_get(json_array_get(json_object_get(top, "cameras"), 1), "down_since"));
    json_decref(top);
    for (int i = 0; i < 50; i++) { /* the same moment each time */
        top = take(api_stream(&conf, cam));
        assert_string_equal(json_string_value(then),
                            json_string_value(json_object_get(top, "down_since")));
        json_decref(top);
    }
    json_decref(then);

    camera_health_on_picture(&cam->health, now_us + 9000000, now_us); /* a lie */
    assert_int_equal(cam->health.last_frame_us, now_us);
    camera_health_on_quarantine(&cam->health, now_us);
    assert_int_equal(cam->health.reason, HTTP_ERROR_CAMERA_TIMEOUT);
    camera_health_on_state(&cam->health, &streaming, now_us);
    assert_int_equal(cam->health.down_since_us, 0);
    assert_int_equal(cam->health.reason, HTTP_ERROR_NONE);
    camera_health_on_quarantine(&cam->health, now_us);
    assert_int_equal(cam->health.reason, HTTP_ERROR_OVERLOADED);
    assert_int_equal(cam->health.down_since_us, now_us);
    camera_health_forgive(&cam->health);
    assert_true(camera_health_is_known(&cam->health));
    camera_set_remove(&set, cam);
}

/* What the API calls a camera's sound. */
static const struct {
    enum AVCodecID codec;
    const char *name;
} audio_names[] = {
    {AV_CODEC_ID_AAC, "AAC"},
    {AV_CODEC_ID_AAC_LATM, "AAC"},
    {AV_CODEC_ID_PCM_ALAW, "G.711 A-law"},
    {AV_CODEC_ID_PCM_MULAW, "G.711 µ-law"},
    {AV_CODEC_ID_ADPCM_G722, "G.722"},
    {AV_CODEC_ID_ADPCM_G726, "G.726"},
    {AV_CODEC_ID_ADPCM_G726LE, "G.726"},
    {AV_CODEC_ID_OPUS, "Opus"},
    {AV_CODEC_ID_MP2, "MP2"},
    {AV_CODEC_ID_MP3, "MP3"},
    {AV_CODEC_ID_PCM_S16BE, "PCM"},
    {AV_CODEC_ID_PCM_S16LE, "PCM"},
    {AV_CODEC_ID_PCM_U8, "PCM"},
    {AV_CODEC_ID_ADPCM_SWF, "ADPCM"},
    {AV_CODEC_ID_NELLYMOSER, "Nellymoser"},
    /* cannot become AAC: told all the same */
    {AV_CODEC_ID_SPEEX, "spee"},
    {AV_CODEC_ID_FLAC, "FLAC"},
    {AV_CODEC_ID_AC3, "AC-3"},
    {AV_CODEC_ID_EAC3, "E-AC-3"},
};
static const size_t audio_names_count = sizeof(audio_names) / sizeof(audio_names[0]);

static void test_audio_codecs(void **state)
{
    struct camera camera;
    (void)state;
    fill(&camera, "0123456789abcdef");
    for (size_t i = 0; i < audio_names_count; i++) {
        camera.stats.audio_codec = audio_format_fourcc(audio_names[i].codec);
        json_t *top = take(api_stream(&conf, &camera));
        assert_text(audio_names[i].name, top, "audio_codec");
        json_decref(top);
    }
    assert_int_equal(0, audio_format_fourcc(AV_CODEC_ID_NONE));
}

static bool is_named(enum AVCodecID codec)
{
    size_t i = 0;
    while (i < audio_names_count && audio_names[i].codec != codec)
        i++;
    return i < audio_names_count;
}

/* Whatever can become AAC has a name: a codec that is added must be given one. */
static void test_every_audio_codec_has_a_name(void **state)
{
    const AVCodecDescriptor *d = NULL;
    (void)state;
    while ((d = avcodec_descriptor_next(d)) != NULL) {
        AVCodecParameters *par = avcodec_parameters_alloc();
        struct audio_format format;
        par->codec_type = d->type;
        par->codec_id = d->id;
        par->sample_rate = 8000;
        if (!is_named(d->id) && audio_format_choose(par, &format) == 0)
            fail_msg("%s is not in the table above", d->name);
        avcodec_parameters_free(&par);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unwatched),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_one_camera),
        cmocka_unit_test(test_sub_stream),
        cmocka_unit_test(test_down),
        cmocka_unit_test(test_audio_codecs),
        cmocka_unit_test(test_every_audio_codec_has_a_name),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
