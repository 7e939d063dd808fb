/* worker/viewers/outputs: viewers who play while the camera's size or codec changes. */
#include "worker/viewers/outputs.h"

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/transcode_mode.h"
#include "test/unit/encode_video.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define PICTURES 4
#define DEADLINE_MS 30000

/* What a camera sends: intra pictures of one codec and size, again and again. */
struct scene {
    enum AVCodecID codec;
    int width;
    int height;
    bool broken; /* no decoder can make anything of it */
};

/* A viewer's connection, and what its decoder shows. */
struct viewer {
    int fd;
    uint8_t *data;
    size_t len;
    size_t at; /* of the next tag; 0: the answer's head has not ended */
    AVCodecContext *decoder;
    int width; /* of the newest picture */
    int height;
    int64_t last_ms;
    bool closed;
};

struct bench {
    uv_loop_t loop;
    struct ipc_limits limits;
    struct outputs *outputs;
    struct viewer viewer;
    int64_t dts_us;
    bool closed;
};

/* --- the camera ----------------------------------------------------------- */

static void encode_jpegs(const struct scene *scene, struct encoded *out)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
    AVCodecContext *enc = avcodec_alloc_context3(codec);
    AVPacket *pkt = av_packet_alloc();
    AVFrame *picture = av_frame_alloc();
    enc->width = picture->width = scene->width;
    enc->height = picture->height = scene->height;
    enc->pix_fmt = AV_PIX_FMT_YUVJ420P;
    enc->time_base = (AVRational){1, 25};
    enc->thread_count = 1;
    assert_int_equal(avcodec_open2(enc, codec, NULL), 0);
    picture->format = enc->pix_fmt;
    picture->pts = 0;
    assert_int_equal(av_frame_get_buffer(picture, 0), 0);
    for (int p = 0; p < 3; p++)
        memset(picture->data[p], 100,
               (size_t)(picture->linesize[p] * picture->height) / (p > 0 ? 2 : 1));
    assert_int_equal(avcodec_send_frame(enc, picture), 0);
    assert_int_equal(avcodec_receive_packet(enc, pkt), 0);
    memset(out, 0, sizeof(*out));
    out->config = codec_config_new(TRACK_VIDEO, AV_CODEC_ID_MJPEG, NULL, 0);
    out->config->width = scene->width;
    out->config->height = scene->height;
    out->frames[0] = frame_new(out->config, (size_t)pkt->size);
    memcpy(out->frames[0]->data, pkt->data, (size_t)pkt->size);
    out->count = 1;
    av_frame_free(&picture);
    av_packet_free(&pkt);
    avcodec_free_context(&enc);
}

static void scene_encode(const struct scene *scene, struct encoded *out)
{
    if (scene->codec == AV_CODEC_ID_MJPEG) {
        encode_jpegs(scene, out);
        return;
    }
    const struct video_spec spec = {.codec = scene->codec,
                                    .format = AV_PIX_FMT_YUV420P,
                                    .width = scene->width,
                                    .height = scene->height,
                                    .pictures = PICTURES,
                                    .gop = 1,
                                    .matrix = AVCOL_SPC_UNSPECIFIED,
                                    .range = AVCOL_RANGE_UNSPECIFIED,
                                    .paint = encode_paint_number};
    encode_video(&spec, out);
}

static void push_picture(struct bench *b, const struct encoded *clip, int number, bool broken)
{
    const struct frame *from = clip->frames[number % clip->count];
    struct frame *f = frame_new(clip->config, from->len);
    memcpy(f->data, from->data, from->len);
    if (broken)
        memset(f->data, 0, f->len);
    f->key = true;
    f->dts_us = f->pts_us = b->dts_us;
    f->received_us = clock_us();
    b->dts_us += ENCODED_INTERVAL_US;
    outputs_push(b->outputs, f);
}

/* --- the viewer ----------------------------------------------------------- */

static void open_decoder(struct viewer *v, const uint8_t *record, size_t len)
{
    const AVCodec *codec = avcodec_find_decoder(AV_CODEC_ID_H264);
    avcodec_free_context(&v->decoder);
    v->decoder = avcodec_alloc_context3(codec);
    v->decoder->extradata = av_mallocz(len + AV_INPUT_BUFFER_PADDING_SIZE);
    memcpy(v->decoder->extradata, record, len);
    v->decoder->extradata_size = (int)len;
    v->decoder->flags |= AV_CODEC_FLAG_LOW_DELAY;
    v->decoder->thread_count = 1;
    assert_int_equal(avcodec_open2(v->decoder, codec, NULL), 0);
}

static void decode(struct viewer *v, const uint8_t *data, size_t len)
{
    AVPacket *pkt = av_packet_alloc();
    AVFrame *picture = av_frame_alloc();
    assert_int_equal(av_new_packet(pkt, (int)len), 0);
    memcpy(pkt->data, data, len);
    assert_int_equal(avcodec_send_packet(v->decoder, pkt), 0);
    while (avcodec_receive_frame(v->decoder, picture) == 0) {
        v->width = picture->width;
        v->height = picture->height;
        av_frame_unref(picture);
    }
    av_frame_free(&picture);
    av_packet_free(&pkt);
}

static void take_tag(struct viewer *v, const uint8_t *tag, size_t len)
{
    int64_t ms = (int64_t)tag[7] << 24 | tag[4] << 16 | tag[5] << 8 | tag[6];
    if (tag[0] != 9)
        return;
    assert_int_equal(tag[11] & 0x8f, 7); /* H.264, also where the camera sends HEVC */
    assert_true(ms >= v->last_ms);
    v->last_ms = ms;
    if (tag[12] == 0)
        open_decoder(v, tag + 16, len - 5);
    else
        decode(v, tag + 16, len - 5);
}

static void take_tags(struct viewer *v)
{
    const uint8_t *flv = v->at == 0 && v->len > 0 ? memmem(v->data, v->len, "FLV\1", 4) : NULL;
    if (flv != NULL)
        v->at = (size_t)(flv - v->data) + 13;
    while (v->at > 0 && v->len - v->at >= 15) {
        const uint8_t *tag = v->data + v->at;
        size_t len = (size_t)tag[1] << 16 | (size_t)tag[2] << 8 | tag[3];
        if (v->len - v->at < len + 15)
            return;
        take_tag(v, tag, len);
        v->at += len + 15;
    }
}

static void viewer_read(struct viewer *v)
{
    uint8_t buf[16384];
    ssize_t n;
    while ((n = read(v->fd, buf, sizeof(buf))) > 0) {
        v->data = realloc(v->data, v->len + (size_t)n);
        assert_non_null(v->data);
        memcpy(v->data + v->len, buf, (size_t)n);
        v->len += (size_t)n;
    }
    v->closed = v->closed || n == 0;
    take_tags(v);
}

static void viewer_open(struct bench *b, uint32_t allow_h265, uint32_t height)
{
    static struct ipc_client request; /* too large for the stack */
    int sv[2];
    request = (struct ipc_client){.kind = IPC_CLIENT_STREAM,
                                  .audio = 1,
                                  .allow_h265 = allow_h265,
                                  .height = height,
                                  .accepted_us = clock_us(),
                                  .peer = "[::1]:1"};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv), 0);
    b->viewer = (struct viewer){.fd = sv[0]};
    outputs_add_client(b->outputs, &sv[1], &request);
}

/* --- both ----------------------------------------------------------------- */

static void bench_open(struct bench *b)
{
    static const struct client_return back;
    *b = (struct bench){.limits = {.gop_max_bytes = 4 << 20,
                                   .queue_max_ms = 60000,
                                   .connect_timeout_ms = 60000,
                                   .viewer_stall_timeout_ms = 60000}};
    assert_int_equal(uv_loop_init(&b->loop), 0);
    b->outputs = outputs_new(&b->loop, &b->limits, "rtsp://***@camera/", &back);
    outputs_set_tracks(b->outputs, NULL);
}

static void on_closed(void *ctx)
{
    ((struct bench *)ctx)->closed = true;
}

static void bench_close(struct bench *b)
{
    outputs_close(b->outputs, on_closed, b);
    (void)uv_run(&b->loop, UV_RUN_DEFAULT);
    assert_true(b->closed);
    assert_int_equal(uv_loop_close(&b->loop), 0);
    avcodec_free_context(&b->viewer.decoder);
    free(b->viewer.data);
    fd_close(&b->viewer.fd);
}

/* Send pictures until the viewer sees this size, or is disconnected. @return false: that. */
static bool play(struct bench *b, const struct scene *scene, int width, int height)
{
    static struct encoded clip;
    struct viewer *v = &b->viewer;
    int64_t by_ms = clock_ms() + DEADLINE_MS;
    scene_encode(scene, &clip);
    v->width = v->height = 0;
    for (int i = 0; !v->closed && (v->width != width || v->height != height); i++) {
        if (clock_ms() > by_ms)
            fail_msg("%d x %d, not %d x %d", v->width, v->height, width, height);
        push_picture(b, &clip, i, scene->broken);
        outputs_check(b->outputs);
        for (int turn = 0; turn < 10; turn++) {
            (void)uv_run(&b->loop, UV_RUN_NOWAIT);
            viewer_read(v);
            (void)usleep(1000);
        }
    }
    encoded_free(&clip);
    return !v->closed;
}

#define JPEG(w, h)                     \
    {                                  \
        AV_CODEC_ID_MJPEG, w, h, false \
    }
#define H264(w, h)                    \
    {                                 \
        AV_CODEC_ID_H264, w, h, false \
    }
#define HEVC(w, h)                    \
    {                                 \
        AV_CODEC_ID_HEVC, w, h, false \
    }

/* Whoever plays H.264 gets what it asked for, in the same answer, whatever the camera turns to. */
static void test_the_answer_goes_on(void **state)
{
    static const struct {
        const char *name;
        struct scene before, after;
        int width, height; /* of what the viewer gets then */
        uint32_t allow_h265, lines;
    } cases[] = {
        {"larger", HEVC(320, 240), HEVC(640, 480), 480, 360, 0, 360},
        {"smaller, and one size for all", JPEG(640, 480), JPEG(320, 240), 320, 240, 1, 360},
        {"to HEVC", H264(640, 480), HEVC(640, 480), 480, 360, 0, 360},
        {"from HEVC", HEVC(640, 480), H264(640, 480), 640, 480, 0, 360},
        {"to JPEG, by the original", H264(320, 240), JPEG(640, 480), 480, 360, 1, 300},
        {"from JPEG to HEVC", JPEG(640, 480), HEVC(640, 480), 480, 360, 1, 360},
        {"from JPEG", JPEG(640, 480), H264(320, 240), 320, 240, 1, 360},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct scene *before = &cases[i].before;
        bool smaller = before->codec != AV_CODEC_ID_H264 && before->height > 360;
        struct bench b;
        bench_open(&b);
        viewer_open(&b, cases[i].allow_h265, cases[i].lines);
        print_message("%s\n", cases[i].name);
        assert_true(
            play(&b, before, smaller ? 480 : before->width, smaller ? 360 : before->height));
        assert_true(play(&b, &cases[i].after, cases[i].width, cases[i].height));
        bench_close(&b);
    }
}

/* No player accepts another codec. */
static void test_who_played_the_original_is_disconnected(void **state)
{
    static const struct scene before = H264(320, 240), after = HEVC(320, 240);
    struct bench b;
    (void)state;
    bench_open(&b);
    viewer_open(&b, 1, 0);
    assert_true(play(&b, &before, 320, 240));
    assert_false(play(&b, &after, 320, 240));
    bench_close(&b);
}

/* Nobody is left with a picture that stands still. */
static void test_transcoding_is_forbidden(void **state)
{
    static const struct scene before = H264(320, 240), after = HEVC(320, 240);
    struct bench b;
    (void)state;
    bench_open(&b);
    b.limits.transcode = TRANSCODE_NEVER;
    viewer_open(&b, 0, 0);
    assert_true(play(&b, &before, 320, 240));
    assert_false(play(&b, &after, 320, 240));
    bench_close(&b);
}

/* Nor with nothing at all, if it lasts. */
static void test_nothing_can_be_decoded(void **state)
{
    static const struct scene before = H264(320, 240), after[] = {JPEG(320, 240), HEVC(320, 240)};
    (void)state;
    for (size_t i = 0; i < sizeof(after) / sizeof(after[0]); i++) {
        struct scene broken = after[i];
        struct bench b;
        broken.broken = true;
        bench_open(&b);
        viewer_open(&b, 0, 0);
        assert_true(play(&b, &before, 320, 240));
        b.limits.connect_timeout_ms = 300;
        assert_false(play(&b, &broken, 320, 240));
        bench_close(&b);
    }
}

static void send_broken(struct bench *b, const struct scene *scene)
{
    static struct encoded clip;
    uint64_t before = outputs_transcoder_stats(b->outputs).frames_in;
    scene_encode(scene, &clip);
    for (int i = 0; i < 10 || outputs_transcoder_stats(b->outputs).frames_in < before + 10; i++) {
        push_picture(b, &clip, i, true);
        outputs_check(b->outputs);
        (void)uv_run(&b->loop, UV_RUN_NOWAIT);
        (void)usleep(10000);
    }
    encoded_free(&clip);
}

static void test_some_pictures_cannot_be_decoded(void **state)
{
    static const struct scene before = H264(320, 240), after = JPEG(320, 240);
    struct bench b;
    (void)state;
    bench_open(&b);
    viewer_open(&b, 0, 0);
    assert_true(play(&b, &before, 320, 240));
    send_broken(&b, &after);
    assert_true(play(&b, &after, 320, 240));
    bench_close(&b);
}

int main(void)
{
    log_set_level(LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_answer_goes_on),
        cmocka_unit_test(test_who_played_the_original_is_disconnected),
        cmocka_unit_test(test_transcoding_is_forbidden),
        cmocka_unit_test(test_nothing_can_be_decoded),
        cmocka_unit_test(test_some_pictures_cannot_be_decoded),
    };
    return cmocka_run_group_tests_name("outputs that change", tests, NULL, NULL);
}
