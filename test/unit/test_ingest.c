/* worker/camera/ingest: a picture that never ends is no sign that the camera lives. */
#include "worker/camera/ingest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "test/unit/sample_video.h"

#define S INT64_C(1000000)
#define BIG_BYTES (1 << 20)

static struct ingest *ingest;
static struct sample pictures;

static void on_tracks(void *ctx, enum AVCodecID camera_audio, struct codec_config *audio)
{
}

static void on_frame(void *ctx, struct frame *f)
{
    frame_unref(&f);
}

static int setup(void **state)
{
    AVCodecParameters *video = avcodec_parameters_alloc();
    video->codec_id = AV_CODEC_ID_H264;
    const struct media_track track = {video, {1, 1000000}};
    pictures = sample_encode(AV_CODEC_ID_H264, 25, 64, 64, "keyint=25:bframes=0");
    ingest = ingest_new();
    ingest_connect(ingest, &(struct ingest_output){on_tracks, on_frame, NULL});
    int rc = ingest_sink(ingest)->on_tracks(ingest_sink(ingest)->ctx, &track, NULL);
    avcodec_parameters_free(&video);
    return rc;
}

static int teardown(void **state)
{
    ingest_free(&ingest);
    sample_free(&pictures);
    return 0;
}

/* @return whether the packet shows that the camera is alive. */
static bool push(const uint8_t *data, size_t len, int64_t pts, int64_t at_us)
{
    const struct media_packet packet = {.track = TRACK_VIDEO,
                                        .form = MEDIA_ANNEX_B,
                                        .data = data,
                                        .len = len,
                                        .pts = pts,
                                        .dts = AV_NOPTS_VALUE,
                                        .received_us = at_us};
    return ingest_sink(ingest)->on_packet(ingest_sink(ingest)->ctx, &packet);
}

static bool push_picture(int number, int64_t pts, int64_t at_us)
{
    const AVPacket *unit = pictures.unit[number];
    return push(unit->data, (size_t)unit->size, pts, at_us);
}

static void test_time_without_end(void **state)
{
    int64_t at_us = S;
    assert_true(push_picture(0, 0, at_us));
    assert_true(push_picture(0, 0, at_us + 3 * S));
    assert_false(push_picture(0, 0, at_us + 5 * S));
    assert_false(push_picture(0, 0, at_us + 60 * S));
    assert_true(push_picture(1, 40000, at_us + 61 * S)); /* the next one */
}

/* Nothing but the rest of one slice, as fast as it can come. */
static void test_bytes_without_end(void **state)
{
    static uint8_t rest[BIG_BYTES + AV_INPUT_BUFFER_PADDING_SIZE];
    unsigned alive = 0, sent = 0;
    memset(rest, 0x55, BIG_BYTES);
    assert_true(push_picture(0, 0, S));
    for (; sent < 64; sent++)
        alive += push(rest, BIG_BYTES, 0, S + sent);
    assert_in_range(alive, 0, FRAME_MAX_BYTES / BIG_BYTES);
    assert_true(push_picture(0, 40000, 2 * S)); /* a key frame */
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_time_without_end),
        CASE(test_bytes_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
