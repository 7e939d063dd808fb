/*
 * worker/transcoder and worker/rendition: HEVC made here with libx265, with its frame number in
 * the picture, goes in; what comes out is decoded and compared.
 */
#include "worker/rendition.h"

#include "common/clock.h"
#include "worker/transcoder.h"

#include <libavcodec/avcodec.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FPS 25
#define STEP_US (1000000 / FPS)
#define BITS 16 /* of the frame number, as black and white blocks along the top */
#define FRAMES_MAX 700
#define RECEIVED_BASE_US 77000000

/* --- HEVC ------------------------------------------------------------------ */

struct movie {
    int width;
    int height;
    enum AVPixelFormat format;
    int frame_count;
    int key_interval;
    int b_frames;
};

struct clip {
    struct codec_config *config;
    unsigned count;
    struct frame *frames[FRAMES_MAX];
};

/* Luma of the test picture, 8 bit. */
static unsigned luma_at(const struct movie *m, int x, int y, int number)
{
    if (y < m->height / 8)
        return (number >> (x * BITS / m->width) & 1) != 0 ? 200 : 40;
    return 60 + (unsigned)((x * 120 / m->width + y * 40 / m->height + number) % 128);
}

static void draw(const struct movie *m, AVFrame *f, int number)
{
    bool deep = m->format == AV_PIX_FMT_YUV420P10;

    assert_true(av_frame_make_writable(f) >= 0);
    for (int plane = 0; plane < 3; plane++) {
        int w = plane == 0 ? m->width : m->width / 2, h = plane == 0 ? m->height : m->height / 2;
        for (int y = 0; y < h; y++) {
            uint8_t *row = f->data[plane] + (ptrdiff_t)y * f->linesize[plane];
            for (int x = 0; x < w; x++) {
                unsigned v = plane == 0 ? luma_at(m, x, y, number) : 128;
                if (deep) {
                    row[2 * x] = (uint8_t)(v << 2);
                    row[2 * x + 1] = (uint8_t)(v >> 6);
                } else {
                    row[x] = (uint8_t)v;
                }
            }
        }
    }
}

struct nal {
    const uint8_t *data;
    size_t len;
};

static unsigned split_annex_b(const uint8_t *data, size_t len, struct nal *nals, unsigned max)
{
    unsigned count = 0;
    for (size_t i = 0; i + 3 < len; i++) {
        if (data[i] == 0 && data[i + 1] == 0 && data[i + 2] == 1) {
            assert_true(count < max);
            nals[count++].data = data + i + 3;
            i += 2;
        }
    }
    for (unsigned k = 0; k < count; k++) {
        const uint8_t *end = k + 1 < count ? nals[k + 1].data - 3 : data + len;
        while (end > nals[k].data && end[-1] == 0)
            end--;
        nals[k].len = (size_t)(end - nals[k].data);
    }
    return count;
}

/* hvcC with VPS, SPS and PPS; the fields that decoders do not read stay zero. */
static struct codec_config *hevc_config(const struct movie *m, const AVCodecContext *enc)
{
    struct nal nals[8];
    uint8_t record[1024] = {1};
    size_t n = 23;
    unsigned count = split_annex_b(enc->extradata, (size_t)enc->extradata_size, nals, 8);

    record[21] = 3;
    for (unsigned i = 0; i < count; i++) {
        unsigned type = nals[i].data[0] >> 1 & 0x3f;
        if (type < 32 || type > 34)
            continue;
        record[22]++;
        record[n++] = (uint8_t)(0x80 | type);
        record[n++] = 0;
        record[n++] = 1;
        record[n++] = (uint8_t)(nals[i].len >> 8);
        record[n++] = (uint8_t)nals[i].len;
        assert_true(n + nals[i].len < sizeof(record));
        memcpy(record + n, nals[i].data, nals[i].len);
        n += nals[i].len;
    }
    struct codec_config *c = codec_config_new(TRACK_VIDEO, AV_CODEC_ID_HEVC, record, n);
    assert_non_null(c);
    c->width = m->width;
    c->height = m->height;
    c->frame_rate_num = FPS;
    c->frame_rate_den = 1;
    return c;
}

static struct frame *to_frame(struct codec_config *config, const AVPacket *p)
{
    struct nal nals[64];
    size_t len = 0;
    unsigned count = split_annex_b(p->data, (size_t)p->size, nals, 64);

    for (unsigned i = 0; i < count; i++)
        len += 4 + nals[i].len;
    struct frame *f = frame_new(config, len);
    assert_non_null(f);
    uint8_t *to = f->data;
    for (unsigned i = 0; i < count; i++) {
        for (int k = 0; k < 4; k++)
            *to++ = (uint8_t)(nals[i].len >> (24 - 8 * k));
        memcpy(to, nals[i].data, nals[i].len);
        to += nals[i].len;
    }
    f->key = (p->flags & AV_PKT_FLAG_KEY) != 0;
    f->pts_us = p->pts;
    f->dts_us = p->dts;
    f->received_us = RECEIVED_BASE_US + p->pts;
    return f;
}

static void make_clip(const struct movie *m, struct clip *clip)
{
    const AVCodec *codec = avcodec_find_encoder_by_name("libx265");
    assert_non_null(codec);
    AVCodecContext *enc = avcodec_alloc_context3(codec);
    AVFrame *f = av_frame_alloc();
    AVPacket *p = av_packet_alloc();
    char params[128];

    clip->count = 0;
    enc->width = f->width = m->width;
    enc->height = f->height = m->height;
    enc->pix_fmt = m->format;
    f->format = m->format;
    enc->time_base = (AVRational){1, 1000000};
    enc->framerate = (AVRational){FPS, 1};
    enc->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    (void)snprintf(params, sizeof(params),
                   "log-level=error:keyint=%d:min-keyint=%d:bframes=%d:scenecut=0:rc-lookahead=5:"
                   "open-gop=0:crf=18",
                   m->key_interval, m->key_interval, m->b_frames);
    assert_int_equal(0, av_opt_set(enc->priv_data, "x265-params", params, 0));
    assert_int_equal(0, av_opt_set(enc->priv_data, "preset", "ultrafast", 0));
    assert_int_equal(0, avcodec_open2(enc, codec, NULL));
    clip->config = hevc_config(m, enc);
    assert_true(av_frame_get_buffer(f, 0) >= 0);
    for (int i = 0; i <= m->frame_count; i++) {
        if (i < m->frame_count) {
            draw(m, f, i);
            f->pts = (int64_t)i * STEP_US;
        }
        assert_int_equal(0, avcodec_send_frame(enc, i < m->frame_count ? f : NULL));
        while (avcodec_receive_packet(enc, p) == 0) {
            assert_true(clip->count < FRAMES_MAX);
            clip->frames[clip->count++] = to_frame(clip->config, p);
            av_packet_unref(p);
        }
    }
    assert_int_equal(m->frame_count, clip->count);
    av_packet_free(&p);
    av_frame_free(&f);
    avcodec_free_context(&enc);
}

static void free_clip(struct clip *clip)
{
    for (unsigned i = 0; i < clip->count; i++)
        frame_unref(&clip->frames[i]);
    codec_config_unref(&clip->config);
}

/* --- H.264: what came out, judged ------------------------------------------- */

struct judge {
    const struct movie *movie;
    int width; /* expected */
    int height;
    AVCodecContext *dec;
    struct codec_config *config;
    unsigned count;
    unsigned keys;
    int64_t last_pts_us;
    int64_t last_key_us;
    int64_t longest_key_interval_us;
    int64_t skip_from_us; /* pictures in [from, to) must not come */
    int64_t skip_to_us;
    double worst_error; /* mean absolute luma difference of the worst picture */
};

static void judge_open(struct judge *j, const struct movie *m, int width, int height)
{
    memset(j, 0, sizeof(*j));
    j->movie = m;
    j->width = width;
    j->height = height;
    j->last_pts_us = -1;
    j->last_key_us = -1;
}

static void judge_close(struct judge *j)
{
    avcodec_free_context(&j->dec);
    codec_config_unref(&j->config);
}

static int number_in(const struct judge *j, const AVFrame *f)
{
    int number = 0;
    const uint8_t *row = f->data[0] + (ptrdiff_t)(j->height / 16) * f->linesize[0];
    for (int bit = 0; bit < BITS; bit++)
        number |= (row[(2 * bit + 1) * j->width / (2 * BITS)] > 120) << bit;
    return number;
}

static double mean_error(const struct judge *j, const AVFrame *f, int number)
{
    double sum = 0;
    for (int y = 0; y < j->height; y++) {
        for (int x = 0; x < j->width; x++) {
            int want = (int)luma_at(j->movie, x * j->movie->width / j->width,
                                    y * j->movie->height / j->height, number);
            sum += abs(want - f->data[0][(ptrdiff_t)y * f->linesize[0] + x]);
        }
    }
    return sum / ((double)j->width * j->height);
}

static void judge_open_decoder(struct judge *j, struct codec_config *config)
{
    avcodec_free_context(&j->dec);
    codec_config_unref(&j->config);
    j->config = codec_config_ref(config);
    assert_int_equal(AV_CODEC_ID_H264, config->codec);
    assert_int_equal(1, config->record[0]);
    assert_int_equal(0xff, config->record[4]); /* length fields of 4 bytes */
    j->dec = avcodec_alloc_context3(avcodec_find_decoder(AV_CODEC_ID_H264));
    j->dec->extradata = av_mallocz(config->record_len + AV_INPUT_BUFFER_PADDING_SIZE);
    memcpy(j->dec->extradata, config->record, config->record_len);
    j->dec->extradata_size = (int)config->record_len;
    j->dec->flags |= AV_CODEC_FLAG_LOW_DELAY;
    j->dec->thread_count = 1;
    assert_int_equal(0, avcodec_open2(j->dec, avcodec_find_decoder(AV_CODEC_ID_H264), NULL));
}

static void judge_timing(struct judge *j, const struct frame *frame)
{
    assert_int_equal(frame->pts_us, frame->dts_us);
    assert_true(frame->pts_us > j->last_pts_us);
    assert_int_equal(0, frame->pts_us % STEP_US);
    assert_int_equal(RECEIVED_BASE_US + frame->pts_us, frame->received_us);
    assert_false(frame->damaged);
    assert_false(frame->pts_us >= j->skip_from_us && frame->pts_us < j->skip_to_us);
    j->last_pts_us = frame->pts_us;
    if (frame->key) {
        int64_t interval_us = frame->pts_us - j->last_key_us;
        if (j->last_key_us >= 0 && interval_us > j->longest_key_interval_us)
            j->longest_key_interval_us = interval_us;
        j->last_key_us = frame->pts_us;
        j->keys++;
    }
}

static void judge_frame(struct judge *j, struct frame *frame)
{
    if (j->count == 0)
        assert_true(frame->key);
    assert_int_equal(j->width, frame->config->width);
    assert_int_equal(j->height, frame->config->height);
    judge_timing(j, frame);
    if (frame->config != j->config) {
        assert_true(frame->key);
        judge_open_decoder(j, frame->config);
    }
    AVPacket *p = av_packet_alloc();
    AVFrame *f = av_frame_alloc();
    assert_int_equal(0, av_new_packet(p, (int)frame->len));
    memcpy(p->data, frame->data, frame->len);
    assert_int_equal(0, avcodec_send_packet(j->dec, p));
    assert_int_equal(0, avcodec_receive_frame(j->dec, f));
    assert_int_equal(j->width, f->width);
    assert_int_equal(j->height, f->height);
    assert_int_not_equal(AV_PICTURE_TYPE_B, f->pict_type);
    int number = (int)(frame->pts_us / STEP_US);
    assert_int_equal(number, number_in(j, f));
    double error = mean_error(j, f, number);
    if (error > j->worst_error)
        j->worst_error = error;
    j->count++;
    av_packet_free(&p);
    av_frame_free(&f);
}

/* --- transcoder -------------------------------------------------------------- */

static void judge_and_free(void *ctx, struct frame *frame)
{
    judge_frame(ctx, frame);
    frame_unref(&frame);
}

static bool always(void *ctx, int64_t pts_us)
{
    return true;
}

static struct transcoder *open_transcoder(struct judge *j)
{
    struct transcoder_sink sink = {.on_frame = judge_and_free, .wanted = always, .ctx = j};
    struct transcoder *t = transcoder_new(2000000, &sink);
    assert_non_null(t);
    return t;
}

static void test_pictures_and_times(void **state)
{
    static const struct movie m = {320, 192, AV_PIX_FMT_YUV420P, 200, 125, 3};
    static struct clip clip;
    struct judge j;

    make_clip(&m, &clip);
    judge_open(&j, &m, 320, 192);
    struct transcoder *t = open_transcoder(&j);
    for (unsigned i = 0; i < clip.count; i++)
        assert_int_equal(0, transcoder_push(t, clip.frames[i]));
    /* All but what the decoder holds back to put it in order; one key frame in 2 s, though the
     * camera has one in 5 s. */
    assert_in_range(j.count, 195, 200);
    assert_int_equal((j.count - 1) * (int64_t)STEP_US, j.last_pts_us);
    assert_int_equal(4, j.keys);
    assert_int_equal(2000000, j.longest_key_interval_us);
    assert_true(j.worst_error < 4);
    transcoder_free(t);
    judge_close(&j);
    free_clip(&clip);
}

static void test_key_on_request(void **state)
{
    static const struct movie m = {320, 192, AV_PIX_FMT_YUV420P, 30, 100, 0};
    static struct clip clip;
    struct judge j;

    make_clip(&m, &clip);
    judge_open(&j, &m, 320, 192);
    struct transcoder *t = open_transcoder(&j);
    for (unsigned i = 0; i < clip.count; i++) {
        if (i == 17)
            transcoder_request_key(t);
        assert_int_equal(0, transcoder_push(t, clip.frames[i]));
        assert_int_equal(i + 1, j.count); /* no picture is held back without a reason */
        assert_int_equal(i < 17 ? 1 : 2, j.keys);
    }
    assert_int_equal(17 * STEP_US, j.last_key_us);
    transcoder_free(t);
    judge_close(&j);
    free_clip(&clip);
}

static void check_size(int width, int height, enum AVPixelFormat format, int out_width,
                       int out_height)
{
    struct movie m = {width, height, format, 4, 4, 0};
    static struct clip clip;
    struct judge j;

    make_clip(&m, &clip);
    judge_open(&j, &m, out_width, out_height);
    struct transcoder *t = open_transcoder(&j);
    for (unsigned i = 0; i < clip.count; i++)
        assert_int_equal(0, transcoder_push(t, clip.frames[i]));
    assert_int_equal(4, j.count);
    assert_true(j.worst_error < 4);
    transcoder_free(t);
    judge_close(&j);
    free_clip(&clip);
}

static void test_sizes_and_depths(void **state)
{
    check_size(320, 192, AV_PIX_FMT_YUV420P10, 320, 192);
    check_size(2560, 1440, AV_PIX_FMT_YUV420P, 1920, 1080);
    check_size(2560, 1440, AV_PIX_FMT_YUV420P10, 1920, 1080);
    check_size(1440, 2560, AV_PIX_FMT_YUV420P, 1080, 1920);
    check_size(2048, 1536, AV_PIX_FMT_YUV420P, 1440, 1080);
    check_size(2592, 800, AV_PIX_FMT_YUV420P, 1920, 592);
}

/* The picture changes its size in the middle: a new configuration, with a key frame. */
static void test_size_changes(void **state)
{
    static const struct movie small = {320, 192, AV_PIX_FMT_YUV420P, 10, 10, 0};
    static const struct movie large = {640, 384, AV_PIX_FMT_YUV420P, 20, 20, 0};
    static struct clip a, b;
    struct judge j;

    make_clip(&small, &a);
    make_clip(&large, &b);
    judge_open(&j, &small, 320, 192);
    struct transcoder *t = open_transcoder(&j);
    for (unsigned i = 0; i < a.count; i++)
        assert_int_equal(0, transcoder_push(t, a.frames[i]));
    assert_int_equal(10, j.count);
    j.movie = &large;
    j.width = 640;
    j.height = 384;
    for (unsigned i = 0; i < b.count; i++)
        assert_int_equal(0, transcoder_push(t, b.frames[i]));
    assert_int_equal(20, j.count); /* those with times already used are left out */
    assert_int_equal(2, j.keys);
    transcoder_free(t);
    judge_close(&j);
    free_clip(&a);
    free_clip(&b);
}

static void test_damage_waits_for_key(void **state)
{
    static const struct movie m = {320, 192, AV_PIX_FMT_YUV420P, 75, 25, 0};
    static struct clip clip;
    struct judge j;

    make_clip(&m, &clip);
    judge_open(&j, &m, 320, 192);
    j.skip_from_us = 10 * STEP_US;
    j.skip_to_us = 50 * STEP_US;
    struct transcoder *t = open_transcoder(&j);
    clip.frames[10]->damaged = true;
    clip.frames[25]->damaged = true; /* a damaged key frame does not help */
    for (unsigned i = 5; i < clip.count; i++)
        assert_int_equal(0, transcoder_push(t, clip.frames[i]));
    assert_int_equal(25, j.count); /* started at 5: no key frame before 50 */
    transcoder_flush(t);
    assert_int_equal(0, transcoder_push(t, clip.frames[60]));
    assert_int_equal(25, j.count);
    transcoder_free(t);
    judge_close(&j);
    free_clip(&clip);
}

/* --- rendition ---------------------------------------------------------------- */

struct viewer {
    struct judge judge;
    struct rendition *rendition;
    int64_t wait_pts_us; /* stop the loop once this picture has come */
    bool closed;
    uv_loop_t loop;
    uv_timer_t deadline;
};

static void on_emit(void *ctx, struct frame *frame)
{
    struct viewer *v = ctx;
    judge_frame(&v->judge, frame);
    if (frame->pts_us >= v->wait_pts_us)
        uv_stop(&v->loop);
}

static void on_closed(void *ctx)
{
    ((struct viewer *)ctx)->closed = true;
}

static void on_deadline(uv_timer_t *timer)
{
    fail_msg("%s", "nothing came within the deadline");
}

static void viewer_open(struct viewer *v, const struct movie *m)
{
    memset(v, 0, sizeof(*v));
    judge_open(&v->judge, m, m->width, m->height);
    assert_int_equal(0, uv_loop_init(&v->loop));
    assert_int_equal(0, uv_timer_init(&v->loop, &v->deadline));
    assert_int_equal(0, rendition_open(&v->loop, on_emit, v, &v->rendition));
}

static void viewer_wait(struct viewer *v, int64_t pts_us)
{
    v->wait_pts_us = pts_us;
    assert_int_equal(0, uv_timer_start(&v->deadline, on_deadline, 60000, 0));
    while (v->judge.last_pts_us < pts_us)
        (void)uv_run(&v->loop, UV_RUN_ONCE);
}

static void viewer_close(struct viewer *v)
{
    unsigned count = v->judge.count;
    int64_t begin_us = clock_us();
    rendition_close(&v->rendition, on_closed, v);
    assert_null(v->rendition);
    assert_true(clock_us() - begin_us < 50000);
    assert_false(v->closed);
    uv_close((uv_handle_t *)&v->deadline, NULL);
    while (uv_run(&v->loop, UV_RUN_DEFAULT) != 0)
        ;
    assert_true(v->closed);
    assert_int_equal(count, v->judge.count);
    assert_int_equal(0, uv_loop_close(&v->loop));
    judge_close(&v->judge);
}

/* A whole GOP at once, as after a join: the newest picture soon, the old ones never. */
static void test_backlog_is_skipped(void **state)
{
    static const struct movie m = {320, 192, AV_PIX_FMT_YUV420P, 240, 250, 0};
    static struct clip clip;
    static struct viewer v;
    struct rendition_stats stats;

    make_clip(&m, &clip);
    viewer_open(&v, &m);
    for (unsigned i = 0; i < 200; i++)
        rendition_push(v.rendition, clip.frames[i]);
    viewer_wait(&v, 199 * STEP_US);
    rendition_get_stats(v.rendition, &stats);
    assert_int_equal(200, stats.frames_in);
    assert_int_equal(0, stats.frames_dropped);
    assert_int_equal(200, stats.frames_out + stats.frames_late);
    /* The first ones may have been taken before the rest was there. */
    assert_true(stats.frames_late > 100);
    for (unsigned i = 200; i < 240; i++) {
        if (i == 210)
            rendition_request_key(v.rendition);
        rendition_push(v.rendition, clip.frames[i]);
        viewer_wait(&v, i * (int64_t)STEP_US);
        if (i == 210)
            assert_int_equal(210 * STEP_US, v.judge.last_key_us);
    }
    viewer_close(&v);
    free_clip(&clip);
}

/* More than can be decoded: the queue is bounded, and it goes on at a key frame. */
static void test_overload_is_bounded(void **state)
{
    static const struct movie m = {320, 192, AV_PIX_FMT_YUV420P, 700, 50, 0};
    static struct clip clip;
    static struct viewer v;
    struct rendition_stats stats;
    unsigned refs = 0;

    make_clip(&m, &clip);
    viewer_open(&v, &m);
    /* Far more than the thread can decode meanwhile, and no key frame to go on from. */
    for (unsigned round = 0; round < 60; round++) {
        for (unsigned i = round == 0 ? 0 : 1; i < 50; i++)
            rendition_push(v.rendition, clip.frames[i]);
    }
    rendition_get_stats(v.rendition, &stats);
    assert_true(stats.frames_dropped > RENDITION_QUEUE_FRAMES);
    for (unsigned i = 0; i < clip.count; i++)
        refs += atomic_load(&clip.frames[i]->refs) - 1;
    assert_true(refs <= RENDITION_QUEUE_FRAMES + 1);

    /* Nothing before the next key frame is queued; that one clears the way. */
    v.judge.skip_from_us = 51 * STEP_US;
    v.judge.skip_to_us = 650 * STEP_US;
    for (unsigned i = 51; i < 700; i++) {
        if (i % 50 != 0 || i == 650)
            rendition_push(v.rendition, clip.frames[i]);
    }
    viewer_wait(&v, 699 * STEP_US);
    viewer_close(&v);
    free_clip(&clip);
}

/* Damage: what depends on it is not even queued. */
static void test_damage_is_not_queued(void **state)
{
    static const struct movie m = {320, 192, AV_PIX_FMT_YUV420P, 60, 25, 0};
    static struct clip clip;
    static struct viewer v;
    struct rendition_stats before, stats;

    make_clip(&m, &clip);
    viewer_open(&v, &m);
    clip.frames[28]->damaged = true;
    v.judge.skip_from_us = 28 * STEP_US;
    v.judge.skip_to_us = 50 * STEP_US;
    for (unsigned i = 0; i < 28; i++)
        rendition_push(v.rendition, clip.frames[i]);
    viewer_wait(&v, 27 * STEP_US);
    rendition_get_stats(v.rendition, &before);
    for (unsigned i = 28; i < clip.count; i++)
        rendition_push(v.rendition, clip.frames[i]);
    viewer_wait(&v, 59 * STEP_US);
    rendition_get_stats(v.rendition, &stats);
    assert_true(clip.frames[50]->key);
    assert_int_equal(50 - 28, stats.frames_dropped - before.frames_dropped);
    viewer_close(&v);
    free_clip(&clip);
}

static void test_close_at_any_time(void **state)
{
    static const struct movie m = {320, 192, AV_PIX_FMT_YUV420P, 100, 25, 0};
    static struct clip clip;
    static struct viewer v;

    make_clip(&m, &clip);
    for (unsigned pushed = 0; pushed <= 100; pushed += 20) {
        viewer_open(&v, &m);
        for (unsigned i = 0; i < pushed; i++)
            rendition_push(v.rendition, clip.frames[i]);
        viewer_close(&v);
    }
    struct rendition *none = NULL;
    rendition_close(&none, NULL, NULL);
    free_clip(&clip);
}

/* libx265, the camera of this test, never frees some of what it allocates. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libx265";
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pictures_and_times),   cmocka_unit_test(test_key_on_request),
        cmocka_unit_test(test_sizes_and_depths),     cmocka_unit_test(test_size_changes),
        cmocka_unit_test(test_damage_waits_for_key), cmocka_unit_test(test_backlog_is_skipped),
        cmocka_unit_test(test_overload_is_bounded),  cmocka_unit_test(test_damage_is_not_queued),
        cmocka_unit_test(test_close_at_any_time),
    };
    av_log_set_level(AV_LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
