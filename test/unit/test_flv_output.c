/* flv_output: what one write holds, and when the connection has to end. */
#include "worker/flv_output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define FRAME_US 40000
#define FRAME_BYTES 1000

/* A viewer at one end of a socket pair, and what it reads at the other. */
struct viewer {
    int ours;
    int theirs;
    struct frame_ring *ring;
    struct codec_config *config;
    struct ipc_limits limits;
    struct flv_output output;
};

static struct codec_config *new_config(enum AVCodecID codec, uint8_t level)
{
    const uint8_t record[] = {1, 0x42, 0xc0, level, 0xff, 0xe0, 0};
    struct codec_config *config = codec_config_new(TRACK_VIDEO, codec, record, sizeof(record));
    config->width = 320;
    config->height = 180;
    return config;
}

static void push(struct viewer *v, struct codec_config *config, bool key, int64_t dts_us)
{
    struct frame *f = frame_new(config, FRAME_BYTES);
    memset(f->data, 0x55, f->len);
    f->key = key;
    f->dts_us = f->pts_us = dts_us;
    frame_ring_push(v->ring, f);
}

static int open_viewer(void **state)
{
    static struct viewer v;
    int fds[2];
    v = (struct viewer){.limits = {.queue_max_ms = 3000}};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0)
        return -1;
    v.ours = fds[0];
    v.theirs = fds[1];
    v.ring = frame_ring_new((size_t)1 << 30, INT64_C(1) << 50);
    v.config = new_config(AV_CODEC_ID_H264, 30);
    const struct ipc_client request = {.kind = IPC_CLIENT_STREAM};
    flv_output_init(&v.output, v.ring, &v.limits, &request);
    *state = &v;
    return 0;
}

static int close_viewer(void **state)
{
    struct viewer *v = *state;
    flv_output_free(&v->output);
    frame_ring_free(&v->ring);
    codec_config_unref(&v->config);
    (void)close(v->ours);
    (void)close(v->theirs);
    return 0;
}

static size_t read_all(struct viewer *v)
{
    char buf[65536];
    size_t total = 0;
    ssize_t n;
    while ((n = read(v->theirs, buf, sizeof(buf))) > 0)
        total += (size_t)n;
    return total;
}

static void push_gop(struct viewer *v, int frames)
{
    for (int i = 0; i < frames; i++)
        push(v, v->config, i == 0, i * (int64_t)FRAME_US);
}

static void test_key_frame_comes_first_and_alone(void **state)
{
    struct viewer *v = *state;
    push_gop(v, 100);
    flv_output_start(&v->output, IPC_JOIN_LIVE, v->config, NULL, 0);
    assert_int_equal(flv_output_write(&v->output, v->ours), FLV_OUTPUT_MORE);
    assert_in_range(read_all(v), FRAME_BYTES, 2 * FRAME_BYTES - 1);
    int writes = 0;
    size_t rest = 0;
    enum flv_output_result result;
    do {
        result = flv_output_write(&v->output, v->ours);
        rest += read_all(v);
        writes++;
    } while (result == FLV_OUTPUT_MORE);
    assert_int_equal(result, FLV_OUTPUT_DONE);
    assert_true(rest > 99 * FRAME_BYTES);
    assert_in_range(writes, 2, 20); /* in parts, but not one by one */
}

static void test_near_2_31_ms_it_ends(void **state)
{
    struct viewer *v = *state;
    push_gop(v, 1);
    flv_output_start(&v->output, IPC_JOIN_LIVE, v->config, NULL, 0);
    assert_int_equal(flv_output_write(&v->output, v->ours), FLV_OUTPUT_DONE);
    v->limits.queue_max_ms = UINT32_MAX; /* 24 days in one step */
    push(v, v->config, true, (int64_t)VIEWER_CLOCK_MAX_MS * 1000 - FRAME_US);
    assert_int_equal(flv_output_write(&v->output, v->ours), FLV_OUTPUT_DONE);
    push(v, v->config, false, (int64_t)VIEWER_CLOCK_MAX_MS * 1000 + FRAME_US);
    assert_int_equal(flv_output_write(&v->output, v->ours), FLV_OUTPUT_END);
    assert_true(flv_output_is_between_messages(&v->output)); /* after a whole tag */
}

static void test_another_codec_ends_it_after_what_came_before(void **state)
{
    struct viewer *v = *state;
    struct codec_config *hevc = new_config(AV_CODEC_ID_HEVC, 30);
    push_gop(v, 2);
    flv_output_start(&v->output, IPC_JOIN_GOP, v->config, NULL, 0);
    push(v, hevc, true, 2 * FRAME_US);
    assert_int_equal(flv_output_write(&v->output, v->ours), FLV_OUTPUT_MORE);
    assert_int_equal(flv_output_write(&v->output, v->ours), FLV_OUTPUT_CODEC);
    assert_in_range(read_all(v), 2 * FRAME_BYTES, 3 * FRAME_BYTES - 1);
    codec_config_unref(&hevc);
}

/* Chromium's media source bridges no gap there: viewer_clock.c. */
static void test_new_parameter_sets_come_without_a_gap(void **state)
{
    struct viewer *v = *state;
    struct codec_config *other = new_config(AV_CODEC_ID_H264, 31);
    push_gop(v, 50);
    flv_output_start(&v->output, IPC_JOIN_GOP, v->config, NULL, 0);
    while (flv_output_write(&v->output, v->ours) == FLV_OUTPUT_MORE)
        (void)read_all(v);
    int64_t last_ms = v->output.at.clock.last_ms[TRACK_VIDEO];
    push(v, other, true, 100 * FRAME_US);
    while (flv_output_write(&v->output, v->ours) == FLV_OUTPUT_MORE) {
    }
    assert_in_range(v->output.at.clock.last_ms[TRACK_VIDEO], last_ms + 1, last_ms + 20);
    push(v, other, false, 101 * FRAME_US);
    assert_int_equal(flv_output_write(&v->output, v->ours), FLV_OUTPUT_DONE);
    assert_in_range(v->output.at.clock.last_ms[TRACK_VIDEO], last_ms + 40, last_ms + 60);
    codec_config_unref(&other);
}

/* Type, length of the data and time of a tag (E.4.1). @return what follows its PreviousTagSize. */
static const uint8_t *read_tag(const uint8_t *p, unsigned *type, size_t *len, uint32_t *ts_ms)
{
    *type = p[0];
    *len = (size_t)(p[1] << 16 | p[2] << 8 | p[3]);
    *ts_ms = (uint32_t)p[7] << 24 | (uint32_t)(p[4] << 16 | p[5] << 8 | p[6]);
    return p + 11 + *len + 4;
}

/* With join=live: right after the key frame, before all that follows. */
static void test_sound_begins_with_silence(void **state)
{
    struct viewer *v = *state;
    const uint8_t record[] = {0x11, 0x88};
    struct codec_config *audio =
        codec_config_new(TRACK_AUDIO, AV_CODEC_ID_AAC, record, sizeof(record));
    audio->sample_rate = 48000;
    audio->channels = 1;
    v->output.want_audio = true;
    push_gop(v, 50);
    for (int i = 0; i < 50; i++) { /* half a second before the viewer came, and half after */
        struct frame *f = frame_new(audio, 100);
        f->received_us = (i - 25) * (int64_t)21333; /* with the pictures */
        f->dts_us = f->pts_us = 49 * FRAME_US + f->received_us;
        frame_ring_push(v->ring, f);
        if (i == 25)
            flv_output_start(&v->output, IPC_JOIN_LIVE, v->config, audio, 0);
    }
    static uint8_t buf[200000];
    size_t got = 0;
    enum flv_output_result result;
    do {
        result = flv_output_write(&v->output, v->ours);
        ssize_t n = read(v->theirs, buf + got, sizeof(buf) - got);
        got += n > 0 ? (size_t)n : 0;
    } while (result == FLV_OUTPUT_MORE);

    int silent = 0, sounds = 0, pictures = 0;
    uint32_t last_sound_ms = 0;
    for (const uint8_t *p = buf + FLV_HEADER_BYTES; p < buf + got;) {
        unsigned type;
        size_t len;
        uint32_t ts_ms;
        const uint8_t *data = p + 11;
        p = read_tag(p, &type, &len, &ts_ms);
        if (type == 9 && data[1] == 1)
            pictures++;
        if (type != 8 || data[1] == 0)
            continue;
        if (silent + sounds > 0)
            assert_in_range(ts_ms, last_sound_ms + 20, last_sound_ms + 43);
        last_sound_ms = ts_ms;
        if (len == 2 + 4) { /* of silence; the camera's have 100 bytes */
            assert_int_equal(pictures, 1);
            assert_int_equal(sounds, 0);
            silent++;
        } else {
            sounds++;
        }
    }
    assert_int_equal(pictures, 50);
    assert_in_range(silent, 400 / 22, 400 / 21 + 1);
    assert_in_range(last_sound_ms, 500, 800);
    assert_in_range(sounds, 5, 20);
    codec_config_unref(&audio);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_viewer, close_viewer)
    const struct CMUnitTest tests[] = {
        TEST(test_key_frame_comes_first_and_alone),
        TEST(test_near_2_31_ms_it_ends),
        TEST(test_another_codec_ends_it_after_what_came_before),
        TEST(test_new_parameter_sets_come_without_a_gap),
        TEST(test_sound_begins_with_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
