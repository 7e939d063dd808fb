/* worker/pictures/snapshot: a camera that sends JPEG.  Its own JPEG is given out to those who ask
 * for no size, part or quality. */
#include "test/unit/snapshot_bench.h"
#include "worker/pictures/camera_jpeg.h"

#define PICTURES 6

/* Replace the bench's frames by JPEGs of the same pictures. */
static void bench_open_jpeg(struct bench *b)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
    AVCodecContext *enc = avcodec_alloc_context3(codec);
    AVPacket *pkt = av_packet_alloc();
    AVFrame *f = av_frame_alloc();
    bench_open(b, AV_CODEC_ID_H264, 60, 0);
    encoded_free(&b->e);
    memset(&b->e, 0, sizeof(b->e));
    b->e.config = codec_config_new(TRACK_VIDEO, AV_CODEC_ID_MJPEG, NULL, 0);
    b->e.config->width = enc->width = WIDTH;
    b->e.config->height = enc->height = HEIGHT;
    enc->pix_fmt = AV_PIX_FMT_YUVJ420P;
    enc->time_base = (AVRational){1, 25};
    enc->thread_count = 1;
    assert_int_equal(avcodec_open2(enc, codec, NULL), 0);
    for (int i = 0; i < PICTURES; i++) {
        f->width = WIDTH;
        f->height = HEIGHT;
        f->format = enc->pix_fmt;
        f->pts = i;
        f->quality = 2 * FF_QP2LAMBDA;
        assert_int_equal(av_frame_get_buffer(f, 0), 0);
        memset(f->data[0], 20 + i * 30, (size_t)f->linesize[0] * HEIGHT);
        for (int p = 1; p < 3; p++)
            memset(f->data[p], 128, (size_t)f->linesize[p] * HEIGHT / 2);
        assert_int_equal(avcodec_send_frame(enc, f), 0);
        av_frame_unref(f);
        assert_int_equal(avcodec_receive_packet(enc, pkt), 0);
        struct frame *frame = frame_new(b->e.config, (size_t)pkt->size);
        memcpy(frame->data, pkt->data, (size_t)pkt->size);
        frame->key = true;
        frame->pts_us = frame->dts_us = i * ENCODED_INTERVAL_US;
        frame->number = (uint64_t)i + 1;
        b->e.frames[b->e.count++] = frame;
        av_packet_unref(pkt);
    }
    av_frame_free(&f);
    av_packet_free(&pkt);
    avcodec_free_context(&enc);
}

static const uint8_t *body_of(const struct answer *a, size_t *len)
{
    const char *body = strstr(a->data, "\r\n\r\n");
    assert_non_null(body);
    *len = a->len - (size_t)(body + 4 - a->data);
    return (const uint8_t *)body + 4;
}

/* Is the body this frame's JPEG, byte for byte, but for the EXIF segment after SOI? */
static bool is_own(const struct answer *a, const struct frame *frame)
{
    size_t len;
    const uint8_t *body = body_of(a, &len);
    if (len < frame->len || memcmp(body, "\xFF\xD8\xFF\xE1", 4) != 0)
        return false;
    return memcmp(body + len - (frame->len - 2), frame->data + 2, frame->len - 2) == 0;
}

static struct answer *ask_for(struct bench *b, struct ipc_client r)
{
    struct answer *a = ask(b, &r);
    assert_true(wait_for(b, a, 10000));
    check_status(a, "200");
    return a;
}

static void test_own_jpeg(void **state)
{
    struct bench b;
    struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
    char value[64];
    r.quality = 0;
    bench_open_jpeg(&b);
    struct answer *early = ask(&b, &r); /* before any picture */
    assert_false(wait_for(&b, early, 20));
    push(&b, 1);
    assert_true(wait_for(&b, early, 10000));
    assert_true(is_own(early, b.e.frames[0]));
    assert_string_equal(header(early, "X-Snapshot-Codec", value, sizeof(value)), "MJPEG");
    assert_string_equal(header(early, "X-Snapshot-Size", value, sizeof(value)), "256x144");
    answer_free(early);
    for (int kind = 0; kind < IPC_PICTURE_COUNT; kind++) {
        push(&b, 1);
        r.picture = (uint32_t)kind;
        for (int again = 0; again < 2; again++) {
            struct answer *a = ask_for(&b, r);
            assert_true(is_own(a, b.e.frames[b.pushed - 1]));
            answer_free(a);
        }
    }
    struct snapshot_stats stats = snapshot_get_stats(b.snapshot);
    assert_int_equal(stats.decoded, 0);
    assert_int_equal(stats.pictures, 3); /* one for each picture and kind */
    bench_close(&b);
}

/* Any wish makes it a picture of ours. */
static void test_wishes(void **state)
{
    struct bench b;
    bench_open_jpeg(&b);
    push(&b, 3);
    for (int wish = 0; wish < 3; wish++) {
        struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
        char value[64];
        r.quality = wish == 0 ? 90 : 0;
        r.width = wish == 1 ? 128 : 0;
        r.crop_width = r.crop_height = wish == 2 ? 64 : 0;
        struct answer *a = ask_for(&b, r);
        static const char *const sizes[] = {"256x144", "128x72", "64x64"};
        assert_false(is_own(a, b.e.frames[2]));
        assert_string_equal(header(a, "X-Snapshot-Size", value, sizeof(value)), sizes[wish]);
        answer_free(a);
    }
    assert_true(snapshot_get_stats(b.snapshot).decoded > 0);
    struct ipc_client r = request_of(IPC_CLIENT_SNAPSHOT);
    r.quality = 0;
    struct answer *a = ask_for(&b, r);
    assert_true(is_own(a, b.e.frames[2]));
    answer_free(a);
    bench_close(&b);
}

static void test_mjpeg(void **state)
{
    struct bench b;
    struct ipc_client r = request_of(IPC_CLIENT_MJPEG);
    r.quality = 0;
    r.fps = 30;
    bench_open_jpeg(&b);
    struct answer *a = ask(&b, &r);
    while (b.pushed < PICTURES) {
        push(&b, 1);
        assert_false(wait_for(&b, a, 60));
    }
    int last;
    check_status(a, "200");
    assert_in_range(count_parts(a, &last), 2, PICTURES);
    const struct frame *newest = b.e.frames[PICTURES - 1];
    assert_non_null(memmem(a->data, a->len, newest->data + 2, newest->len - 2));
    assert_int_equal(snapshot_get_stats(b.snapshot).decoded, 0);
    answer_free(a);
    bench_close(&b);
}

static void test_what_is_no_jpeg(void **state)
{
    struct codec_config *jpeg = codec_config_new(TRACK_VIDEO, AV_CODEC_ID_MJPEG, NULL, 0);
    struct codec_config *h264 = codec_config_new(TRACK_VIDEO, AV_CODEC_ID_H264, NULL, 0);
    jpeg->width = h264->width = jpeg->height = h264->height = 16;
    struct frame *frame = frame_new(h264, 4);
    memcpy(frame->data, "\xFF\xD8\xFF\xD9", 4);
    assert_null(camera_jpeg_make(frame, 1));
    frame_unref(&frame);
    frame = frame_new(jpeg, 4);
    memcpy(frame->data, "\xFF\xD8\xFF\xD9", 4);
    frame->damaged = true;
    assert_null(camera_jpeg_make(frame, 1));
    frame->damaged = false;
    struct jpeg *made = camera_jpeg_make(frame, 0);
    assert_int_equal(made->len, 4);
    jpeg_unref(&made);
    frame_unref(&frame);
    codec_config_unref(&jpeg);
    codec_config_unref(&h264);
}

/* A camera that tells the time itself keeps its EXIF. */
static void test_exif_of_the_camera(void **state)
{
    static const uint8_t file[] = {0xFF, 0xD8, 0xFF, 0xE0, 0, 2, 0xFF, 0xE1, 0, 3, 'x', 0xFF, 0xD9};
    struct codec_config *config = codec_config_new(TRACK_VIDEO, AV_CODEC_ID_MJPEG, NULL, 0);
    config->width = config->height = 16;
    struct frame *frame = frame_new(config, sizeof(file));
    memcpy(frame->data, file, sizeof(file));
    struct jpeg *made = camera_jpeg_make(frame, 1700000000000000);
    assert_int_equal(made->len, sizeof(file));
    assert_memory_equal(made->data, file, sizeof(file));
    jpeg_unref(&made);
    frame_unref(&frame);
    codec_config_unref(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_jpeg),
        cmocka_unit_test(test_wishes),
        cmocka_unit_test(test_mjpeg),
        cmocka_unit_test(test_what_is_no_jpeg),
        cmocka_unit_test(test_exif_of_the_camera),
    };
    av_log_set_level(AV_LOG_QUIET);
    return cmocka_run_group_tests_name("snapshot_jpeg_camera", tests, NULL, NULL);
}
