/* flv_output: what one write holds, and when the connection has to end. */
#include "worker/viewers/flv_output.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define FRAME_US 40000
#define FRAME_BYTES 1000

static const struct viewer_join join_live = {.join = IPC_JOIN_LIVE};
static const struct viewer_join join_gop = {.join = IPC_JOIN_GOP};

/* A viewer at one end of a socket pair, and what it reads at the other. */
struct viewer {
    int ours;
    int theirs;
    struct frame_ring *ring;
    struct codec_config *config;
    struct codec_config *audio;
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

static struct frame *new_picture(struct codec_config *config, bool key, int64_t dts_us)
{
    struct frame *f = frame_new(config, FRAME_BYTES);
    memset(f->data, 0x55, f->len);
    f->key = key;
    f->dts_us = f->pts_us = f->received_us = dts_us;
    return f;
}

static void push(struct viewer *v, struct codec_config *config, bool key, int64_t dts_us)
{
    frame_ring_push(v->ring, new_picture(config, key, dts_us));
}

static int open_viewer(void **state)
{
    static struct viewer v;
    static const uint8_t asc[] = {0x11, 0x88};
    int fds[2];
    v = (struct viewer){.limits = {.queue_max_ms = 3000}};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0)
        return -1;
    v.ours = fds[0];
    v.theirs = fds[1];
    v.ring = frame_ring_new((size_t)1 << 30, INT64_C(1) << 50);
    v.config = new_config(AV_CODEC_ID_H264, 30);
    v.audio = codec_config_new(TRACK_AUDIO, AV_CODEC_ID_AAC, asc, sizeof(asc));
    v.audio->sample_rate = 48000;
    v.audio->channels = 1;
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
    codec_config_unref(&v->audio);
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
    flv_output_start(&v->output, &join_live, v->config, NULL);
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
    flv_output_start(&v->output, &join_live, v->config, NULL);
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
    flv_output_start(&v->output, &join_gop, v->config, NULL);
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
    flv_output_start(&v->output, &join_gop, v->config, NULL);
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

/* Frames of sound, counted from the newest of 50 pictures. */
static void push_sound(struct viewer *v, int from, int to)
{
    for (int i = from; i < to; i++) {
        struct frame *f = frame_new(v->audio, FRAME_BYTES);
        f->received_us = i * (int64_t)21333; /* with the pictures */
        f->dts_us = f->pts_us = 49 * FRAME_US + f->received_us;
        frame_ring_push(v->ring, f);
    }
}

/* A GOP with half a second of sound, and a viewer who comes. */
static void start_with_sound(struct viewer *v, int pictures)
{
    v->output.want_audio = true;
    push_gop(v, pictures);
    push_sound(v, -25, 0);
    flv_output_start(&v->output, &join_live, v->config, v->audio);
}

/* What a viewer has read: V and A for pictures and sounds, s for silent ones. */
struct tags {
    char kinds[256];
    uint32_t ts_ms[256];
    size_t count;
};

static void read_tags(const uint8_t *p, const uint8_t *end, struct tags *tags)
{
    *tags = (struct tags){0};
    while (p < end) {
        unsigned type;
        size_t len;
        uint32_t ts_ms;
        const uint8_t *data = p + 11;
        p = read_tag(p, &type, &len, &ts_ms);
        if (type == 18 || data[1] == 0)
            continue;
        tags->kinds[tags->count] = type == 9 ? 'V' : len < FRAME_BYTES ? 's' : 'A';
        tags->ts_ms[tags->count++] = ts_ms;
    }
}

static size_t write_all(struct viewer *v, uint8_t *buf, size_t size)
{
    size_t got = 0;
    enum flv_output_result result;
    do {
        result = flv_output_write(&v->output, v->ours);
        ssize_t n = read(v->theirs, buf + got, size - got);
        got += n > 0 ? (size_t)n : 0;
    } while (result == FLV_OUTPUT_MORE || result == FLV_OUTPUT_FULL);
    assert_int_equal(result, FLV_OUTPUT_DONE);
    return got;
}

/* Who plays goes on at the newest key frame, though it is damaged and joins begin at another. */
static void test_too_far_behind_a_damaged_key_frame(void **state)
{
    struct viewer *v = *state;
    static uint8_t buf[1 << 17];
    uint64_t key;
    push_gop(v, 26);
    flv_output_start(&v->output, &join_live, v->config, NULL);
    size_t before = write_all(v, buf, sizeof(buf));
    assert_true(before > 26 * (size_t)FRAME_BYTES);
    for (int i = 26; i < 126; i++) {
        struct frame *f = new_picture(v->config, i == 120, i * (int64_t)FRAME_US);
        f->damaged = true;
        frame_ring_push(v->ring, f);
    }
    assert_true(frame_ring_key(v->ring, &key));
    assert_int_equal(key, 0);
    assert_in_range(write_all(v, buf, sizeof(buf)), 6 * FRAME_BYTES, 7 * FRAME_BYTES - 1);
    assert_int_equal(v->output.frames_skipped, 120 - 26);
}

/* With join=live: right after the key frame, before all that follows. */
static void test_sound_begins_with_silence(void **state)
{
    struct viewer *v = *state;
    static uint8_t buf[200000];
    struct tags tags;
    start_with_sound(v, 50);
    push_sound(v, 0, 25);
    size_t got = write_all(v, buf, sizeof(buf));
    read_tags(buf + FLV_HEADER_BYTES, buf + got, &tags);

    size_t silent = strspn(tags.kinds + 1, "s");
    assert_in_range(silent, 18, 20); /* 0.4 s */
    assert_true(tags.kinds[0] == 'V' && tags.kinds[silent + 1] == 'V');
    int pictures = 0;
    uint32_t last_ms = 0;
    for (size_t i = 0; i < tags.count; i++) {
        pictures += tags.kinds[i] == 'V';
        if (tags.kinds[i] == 'V')
            continue;
        assert_true(i <= silent || tags.kinds[i] == 'A');
        assert_in_range(tags.ts_ms[i], i == 1 ? 0 : last_ms + 20, last_ms + 43);
        last_ms = tags.ts_ms[i];
    }
    assert_int_equal(pictures, 50);
    assert_in_range(last_ms, 500, 800);
}

/* One of whole tags, as everything else is. */
static void test_silence_is_a_websocket_message(void **state)
{
    struct viewer *v = *state;
    static uint8_t buf[200000];
    v->output.websocket = true;
    start_with_sound(v, 1);
    size_t got = write_all(v, buf, sizeof(buf));
    struct tags tags;
    size_t messages = 0, at = 0;
    for (; at < got; messages++) { /* RFC 6455, 5.2: binary, with a length of 16 bits */
        assert_int_equal(buf[at], 0x82);
        size_t head = buf[at + 1] == 126 ? 4 : 2;
        size_t len = head == 4 ? (size_t)(buf[at + 2] << 8 | buf[at + 3]) : buf[at + 1];
        const uint8_t *p = buf + at + head;
        if (messages == 2) {
            read_tags(p, p + len, &tags);
            assert_int_equal(strspn(tags.kinds, "s"), tags.count);
            assert_in_range(tags.count, 18, 20);
        }
        at += head + len;
    }
    assert_int_equal(at, got);
    assert_true(messages >= 3);
}

/* The socket takes nothing, until the viewer is too far behind: it begins anew, without silence. */
static void test_a_beginning_that_nobody_took(void **state)
{
    struct viewer *v = *state;
    static uint8_t buf[2000000];
    struct tags tags;
    start_with_sound(v, 50);
    memset(buf, 0, sizeof(buf));
    size_t filled = 0;
    ssize_t n;
    while ((n = send(v->ours, buf, 4096, MSG_DONTWAIT)) > 0)
        filled += (size_t)n;
    assert_int_equal(flv_output_write(&v->output, v->ours), FLV_OUTPUT_FULL);
    assert_int_equal(v->output.bytes, 0);

    for (int i = 50; i < 150; i++) /* 4 s, and a key frame */
        push(v, v->config, i == 140, i * (int64_t)FRAME_US);
    push_sound(v, 90 * FRAME_US / 21333, 100 * FRAME_US / 21333);
    assert_int_equal(read_all(v), filled);
    size_t got = write_all(v, buf, sizeof(buf));
    read_tags(buf + FLV_HEADER_BYTES, buf + got, &tags);
    assert_int_equal(tags.kinds[0], 'V');
    assert_null(strchr(tags.kinds, 's'));
    for (int track = 0; track < 2; track++) {
        int64_t last_ms = -1;
        for (size_t i = 0; i < tags.count; i++) {
            if ((tags.kinds[i] == 'V') != (track == 0))
                continue;
            assert_true(tags.ts_ms[i] > last_ms);
            last_ms = tags.ts_ms[i];
        }
    }
}

/* Another output on the same socket goes on after what a slot says. */
static bool resume(struct viewer *v, const struct handover_slot *slot)
{
    const struct ipc_client request = {.kind = IPC_CLIENT_STREAM, .audio = 1, .resumed = 1};
    flv_output_free(&v->output);
    flv_output_init(&v->output, v->ring, &v->limits, &request);
    return flv_output_resume(&v->output, slot, 0, v->config, v->audio);
}

/* As if a worker had died, and its successor had connected to the camera anew. */
static struct handover_slot watch_and_die(struct viewer *v, struct tags *seen)
{
    static uint8_t buf[200000];
    struct handover_slot slot = {0};
    start_with_sound(v, 50);
    push_sound(v, 0, 25);
    size_t got = write_all(v, buf, sizeof(buf));
    read_tags(buf + FLV_HEADER_BYTES, buf + got, seen);
    flv_output_record(&v->output, &slot);
    assert_int_equal(slot.bytes, got);
    frame_ring_clear(v->ring);
    push(v, v->config, true, 7000 * (int64_t)FRAME_US);
    return slot;
}

static int64_t last_of(const struct tags *tags, bool video)
{
    int64_t last_ms = -1;
    for (size_t i = 0; i < tags->count; i++)
        last_ms = (tags->kinds[i] == 'V') == video ? tags->ts_ms[i] : last_ms;
    return last_ms;
}

static void test_another_worker_goes_on(void **state)
{
    struct viewer *v = *state;
    static uint8_t buf[200000];
    struct tags before, after;
    const struct handover_slot slot = watch_and_die(v, &before);
    assert_int_equal(slot.last_ms[HANDOVER_VIDEO], last_of(&before, true));
    assert_int_equal(slot.last_ms[HANDOVER_AUDIO], last_of(&before, false));

    assert_true(resume(v, &slot));
    size_t got = write_all(v, buf, sizeof(buf));
    push(v, v->config, false, 7001 * (int64_t)FRAME_US);
    got += write_all(v, buf + got, sizeof(buf) - got);
    read_tags(buf, buf + got, &after); /* no header, and tags from the first byte on */
    assert_string_equal(after.kinds, "VV");
    assert_in_range(after.ts_ms[0], last_of(&before, true) + 1, last_of(&before, true) + 20);
    assert_in_range(after.ts_ms[1], after.ts_ms[0] + 39, after.ts_ms[0] + 41);
    assert_in_range(got, 2 * FRAME_BYTES, 2 * (FRAME_BYTES + 40)); /* no sequence header again */
    struct handover_slot next = {0};
    flv_output_record(&v->output, &next);
    assert_int_equal(next.bytes, slot.bytes + got);
}

static void test_another_worker_tells_of_new_parameter_sets(void **state)
{
    struct viewer *v = *state;
    static uint8_t buf[200000];
    struct tags tags;
    struct handover_slot slot = watch_and_die(v, &tags);
    slot.told[HANDOVER_VIDEO]++;
    assert_true(resume(v, &slot));
    size_t got = write_all(v, buf, sizeof(buf));
    assert_int_equal(buf[0], 9);
    assert_int_equal(buf[12], 0); /* AVCPacketType: sequence header */
    read_tags(buf, buf + got, &tags);
    assert_string_equal(tags.kinds, "V");
}

static void test_another_worker_with_another_codec_or_track(void **state)
{
    struct viewer *v = *state;
    struct tags tags;
    const struct handover_slot slot = watch_and_die(v, &tags);
    struct handover_slot other = slot;
    other.codec = 0x68766331; /* hvc1 */
    assert_false(resume(v, &other));
    other = slot;
    other.told[HANDOVER_AUDIO] = 0;
    assert_false(resume(v, &other));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, open_viewer, close_viewer)
    const struct CMUnitTest tests[] = {
        TEST(test_too_far_behind_a_damaged_key_frame),
        TEST(test_key_frame_comes_first_and_alone),
        TEST(test_near_2_31_ms_it_ends),
        TEST(test_another_codec_ends_it_after_what_came_before),
        TEST(test_new_parameter_sets_come_without_a_gap),
        TEST(test_sound_begins_with_silence),
        TEST(test_silence_is_a_websocket_message),
        TEST(test_a_beginning_that_nobody_took),
        TEST(test_another_worker_goes_on),
        TEST(test_another_worker_tells_of_new_parameter_sets),
        TEST(test_another_worker_with_another_codec_or_track),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
