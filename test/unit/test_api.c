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

static int setup(void **state)
{
    static const char text[] =
        "[camera \"gate\"]\nurl = rtsp://admin:hunter2@10.0.0.9/s\n"
        "always_on = yes\n[camera \"yard\"]\nurl = rtmp://10.0.0.8/live/x\ntitle = 后院\n";
    char error[512];
    conf_option_set_defaults(&conf);
    return conf_read(&conf, "test", text, sizeof(text) - 1, error, sizeof(error));
}

static int teardown(void **state)
{
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

static void test_cameras(void **state)
{
    json_t *top = take(api_cameras(&conf));
    json_t *list = json_object_get(top, "cameras");
    assert_int_equal(2, json_array_size(list));
    json_t *gate = json_array_get(list, 0), *yard = json_array_get(list, 1);
    assert_text("gate", gate, "name");
    assert_text("rtsp://***@10.0.0.9/s", gate, "camera_url");
    assert_text("rtsp-tcp", gate, "cam_type");
    assert_true(json_is_null(json_object_get(gate, "title")));
    assert_text("后院", yard, "title");
    assert_true(json_is_true(json_object_get(gate, "always_on")));
    assert_text("rtmp://10.0.0.8/live/x", yard, "camera_url");
    assert_true(json_is_false(json_object_get(yard, "always_on")));
    json_decref(top);
}

static void fill(struct camera *cam, const char *id, const char *key)
{
    memset(cam, 0, sizeof(*cam));
    (void)snprintf(cam->id, sizeof(cam->id), "%s", id);
    (void)snprintf(cam->key, sizeof(cam->key), "%s", key);
    (void)snprintf(cam->shown, sizeof(cam->shown), "rtsp://***@10.0.0.9/s");
    cam->state_since_ms = clock_ms() - 60000;
}

static void test_streams(void **state)
{
    struct camera named, other;
    const struct camera *items[] = {&named, &other};
    struct camera_list list = {items, 0};

    json_t *top = take(api_streams(&list));
    assert_int_equal(0, json_array_size(json_object_get(top, "streams")));
    json_decref(top);

    fill(&named, "gate", "rtsp://admin:hunter2@10.0.0.9/s");
    named.worker = (struct worker *)(uintptr_t)8; /* only compared with NULL */
    named.state.state = IPC_CAMERA_STREAMING;
    named.named = true;
    named.state.restarts = 3;
    named.stats.video_codec = 0x68766331;
    named.stats.audio_codec = 0x6d703461;
    named.stats.no_audio = IPC_NO_AUDIO_ENCRYPTED;
    named.stats.width = 1280;
    named.stats.height = 720;
    named.stats.frame_rate_mhz = 12500;
    named.stats.viewers = 7;
    named.bit_rate_bps = 4000000;
    fill(&other, "0123456789abcdef", "rtsp://10.0.0.7/s");
    other.refused_until_ms = clock_ms() + 60000;
    list.count = 2;

    top = take(api_streams(&list));
    json_t *one = json_array_get(json_object_get(top, "streams"), 0);
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
    assert_true(json_is_null(json_object_get(one, "last_error")));
    assert_int_equal(20, json_string_length(json_object_get(one, "since")));

    json_t *two = json_array_get(json_object_get(top, "streams"), 1);
    assert_true(json_is_null(json_object_get(two, "name")));
    assert_true(json_is_null(json_object_get(two, "video_codec")));
    assert_true(json_is_null(json_object_get(two, "no_audio")));
    assert_text("stopped", two, "state");
    assert_text("camera_unauthorized", two, "last_error");
    json_decref(top);

    top = take(api_stream(&other));
    assert_text("0123456789abcdef", top, "id");
    json_decref(top);

    top = take(api_streams_of("gate", "大门", &named));
    assert_text("gate", top, "camera");
    assert_text("大门", top, "title");
    assert_text("gate", json_array_get(json_object_get(top, "streams"), 0), "id");
    json_decref(top);
    top = take(api_streams_of("rtsp://h/x", "", NULL));
    assert_true(json_is_null(json_object_get(top, "title")));
    assert_int_equal(0, json_array_size(json_object_get(top, "streams")));
    json_decref(top);
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
    fill(&camera, "gate", "rtsp://10.0.0.9/s");
    for (size_t i = 0; i < audio_names_count; i++) {
        camera.stats.audio_codec = audio_format_fourcc(audio_names[i].codec);
        json_t *top = take(api_stream(&camera));
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
        cmocka_unit_test(test_cameras),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_audio_codecs),
        cmocka_unit_test(test_every_audio_codec_has_a_name),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
