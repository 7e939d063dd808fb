#include "worker/transcode/transcoder.h"

#include "common/bytes.h"
#include "common/clock.h"

#include "common/log.h"
#include "worker/media/av_util.h"
#include "worker/video/parameter_sets.h"

#include <assert.h>
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define THREADS_MAX 4
/* Pixels per second that one thread decodes, and encodes, in time on a slow machine.  More threads
 * cost more: they wait for each other, and slices are worse to compress. */
#define ONE_THREAD_DECODES (1920 * 1088 * 30)
#define ONE_THREAD_ENCODES (1280 * 720 * 30)
#define USUAL_FRAME_RATE 25
#define NAL_LENGTH_SIZE 4

struct transcoder {
    struct transcoder_sink sink;
    int lines_max;
    int64_t key_interval_us;

    struct codec_config *in; /* Shared: what the decoder was opened with */
    AVCodecContext *dec;
    AVPacket *packet;
    AVFrame *picture;
    bool await_key; /* at the start, or after an error */

    AVCodecContext *enc;
    AVPacket *coded;
    AVFrame *scaled;    /* its memory is used again for each picture */
    AVFrame *to_encode; /* refers to scaled, or to a picture that fits as it is */
    struct SwsContext *sws;
    struct parameter_sets sets; /* the encoder's */
    struct codec_config *out;   /* Shared with the frames emitted */
    bool want_key;
    int64_t last_pts_us; /* pts of the last picture encoded; AV_NOPTS_VALUE: none */
    int64_t last_key_us;
};

static int errno_of(int averror)
{
    return averror == AVERROR(ENOMEM) ? -ENOMEM : -EIO;
}

static AVRational frame_rate(const struct codec_config *config)
{
    if (config->frame_rate_num > 0 && config->frame_rate_den > 0)
        return (AVRational){config->frame_rate_num, config->frame_rate_den};
    return (AVRational){USUAL_FRAME_RATE, 1};
}

/* Cameras may claim fewer pictures than they send.
 * @param one_thread  pixels per second that one thread is enough for. */
static int thread_count(int width, int height, AVRational claimed, int one_thread)
{
    double rate = fmax(av_q2d(claimed), USUAL_FRAME_RATE);
    long n = sysconf(_SC_NPROCESSORS_ONLN);
    bool known = width > 0 && height > 0;
    if (n < 2 || (known && (double)width * height * rate <= one_thread))
        return 1;
    return n > THREADS_MAX ? THREADS_MAX : (int)n;
}

int transcoder_available(enum AVCodecID codec)
{
    bool ok =
        avcodec_find_decoder(codec) != NULL && avcodec_find_encoder_by_name("libx264") != NULL;
    return ok ? 0 : -ENOTSUP;
}

struct transcoder *transcoder_new(int lines_max, int64_t key_interval_us,
                                  const struct transcoder_sink *sink)
{
    struct transcoder *t = calloc(1, sizeof(*t));
    if (t == NULL)
        return NULL;
    t->sink = *sink;
    t->lines_max = lines_max;
    t->key_interval_us = key_interval_us;
    t->await_key = true;
    t->last_pts_us = AV_NOPTS_VALUE;
    parameter_sets_init(&t->sets, AV_CODEC_ID_H264);
    t->packet = av_packet_alloc();
    t->coded = av_packet_alloc();
    t->picture = av_frame_alloc();
    t->scaled = av_frame_alloc();
    t->to_encode = av_frame_alloc();
    if (t->packet == NULL || t->coded == NULL || t->picture == NULL || t->scaled == NULL ||
        t->to_encode == NULL) {
        transcoder_free(t);
        return NULL;
    }
    return t;
}

void transcoder_free(struct transcoder *t)
{
    if (t == NULL)
        return;
    avcodec_free_context(&t->dec);
    avcodec_free_context(&t->enc);
    av_packet_free(&t->packet);
    av_packet_free(&t->coded);
    av_frame_free(&t->picture);
    av_frame_free(&t->scaled);
    av_frame_free(&t->to_encode);
    sws_freeContext(t->sws);
    codec_config_unref(&t->in);
    codec_config_unref(&t->out);
    parameter_sets_clear(&t->sets);
    free(t);
}

void transcoder_request_key(struct transcoder *t)
{
    t->want_key = true;
}

void transcoder_flush(struct transcoder *t)
{
    if (t->dec != NULL)
        avcodec_flush_buffers(t->dec);
    t->await_key = true;
}

/* --- out: annex B to length fields ---------------------------------------- */

/* Compute the size with length fields; update the configuration if there are parameter sets. */
static int survey_coded(struct transcoder *t, struct nal_cursor cursor, size_t *total)
{
    struct nal nal, slice = {0};

    *total = 0;
    parameter_sets_begin_unit(&t->sets);
    while (nal_next_annex_b(&cursor, &nal)) {
        enum nal_role role = nal_role(AV_CODEC_ID_H264, nal.data);
        if (role == NAL_PARAMETER_SET)
            parameter_sets_add(&t->sets, &nal, true);
        else if (role == NAL_SLICE && slice.data == NULL)
            slice = nal;
        *total += NAL_LENGTH_SIZE + nal.len;
    }
    if (slice.data == NULL)
        return -EIO;
    int rc = parameter_sets_config(&t->sets, &slice, &t->out);
    return rc < 0 ? rc : 0;
}

static int emit_coded(struct transcoder *t)
{
    struct nal_cursor cursor = {t->coded->data, t->coded->data + t->coded->size};
    struct nal nal;
    size_t total;

    int rc = survey_coded(t, cursor, &total);
    if (rc != 0)
        return rc;
    struct frame *frame = frame_new(t->out, total);
    if (frame == NULL)
        return -ENOMEM;
    for (uint8_t *to = frame->data; nal_next_annex_b(&cursor, &nal); to += nal.len) {
        to = bytes_put32(to, (uint32_t)nal.len);
        memcpy(to, nal.data, nal.len);
    }
    frame->key = (t->coded->flags & AV_PKT_FLAG_KEY) != 0;
    frame->pts_us = t->coded->pts;
    frame->dts_us = t->coded->dts;
    frame->received_us = clock_us();
    t->sink.on_frame(t->sink.ctx, frame);
    return 0;
}

/* --- encoder --------------------------------------------------------------- */

/* Fit into a 16:9 picture of so many lines, landscape or portrait; keep the aspect ratio; make both
 * sides even. */
static void fit_size(int lines_max, int width, int height, int *out_width, int *out_height)
{
    int long_side_max = lines_max * 16 / 9;
    int long_side = width > height ? width : height;
    int short_side = width > height ? height : width;
    double scale = 1;

    if (long_side > long_side_max)
        scale = (double)long_side_max / long_side;
    if (short_side * scale > lines_max)
        scale = (double)lines_max / short_side;
    *out_width = (int)(width * scale + 0.5) & ~1;
    *out_height = (int)(height * scale + 0.5) & ~1;
    if (*out_width < 2)
        *out_width = 2;
    if (*out_height < 2)
        *out_height = 2;
}

/* bit/s */
static int64_t max_rate(int pixels)
{
    if (pixels > 1280 * 720)
        return 8000000;
    return pixels > 640 * 360 ? 4000000 : 2000000;
}

static void set_options(AVDictionary **options)
{
    av_dict_set(options, "preset", "veryfast", 0);
    /* Without p8x8 the blocks of P pictures are not divided.  That saves up to a quarter of
     * x264's time, and takes up to 6 % more bits: docs/performance.md. */
    av_dict_set(options, "partitions", "i8x8,i4x4", 0);
    av_dict_set(options, "tune", "zerolatency", 0);
    av_dict_set(options, "crf", "23", 0);
    av_dict_set(options, "forced-idr", "1", 0);
    av_dict_set(options, "sc_threshold", "0", 0);
}

static int open_encoder(struct transcoder *t, const AVFrame *picture, int width, int height)
{
    const AVCodec *codec = avcodec_find_encoder_by_name("libx264");
    AVCodecContext *enc = codec == NULL ? NULL : avcodec_alloc_context3(codec);
    AVDictionary *options = NULL;
    int rc = -ENOMEM;

    avcodec_free_context(&t->enc);
    if (enc == NULL)
        goto out;
    enc->width = width;
    enc->height = height;
    enc->pix_fmt = AV_PIX_FMT_YUV420P;
    enc->color_range = picture->color_range;
    enc->color_primaries = picture->color_primaries;
    enc->color_trc = picture->color_trc;
    enc->colorspace = picture->colorspace;
    enc->sample_aspect_ratio = picture->sample_aspect_ratio;
    enc->time_base = (AVRational){1, 1000000};
    /* Only a hint for rate control: pictures carry their own times. */
    enc->framerate = frame_rate(t->in);
    enc->gop_size = 10000; /* key frames are requested by time, below */
    enc->max_b_frames = 0;
    enc->thread_count = thread_count(width, height, enc->framerate, ONE_THREAD_ENCODES);
    enc->rc_max_rate = max_rate(width * height);
    enc->rc_buffer_size = (int)enc->rc_max_rate;
    set_options(&options);
    rc = avcodec_open2(enc, codec, &options);
    if (rc < 0) {
        log_warnx(NULL, "H.264 encoder for %dx%d: %s", width, height, av_err2str(rc));
        rc = errno_of(rc);
        goto out;
    }
    t->enc = enc;
    enc = NULL;
    t->want_key = true;
    rc = 0;

out:
    av_dict_free(&options);
    avcodec_free_context(&enc);
    return rc;
}

/* The rate counts, too: x264 fills its bit budget by it. */
static bool encoder_fits(const struct transcoder *t, const AVFrame *picture, int width, int height)
{
    const AVCodecContext *enc = t->enc;
    return enc != NULL && enc->width == width && enc->height == height &&
           av_cmp_q(enc->framerate, frame_rate(t->in)) == 0 &&
           enc->color_range == picture->color_range &&
           av_cmp_q(enc->sample_aspect_ratio, picture->sample_aspect_ratio) == 0;
}

/* Memory for a picture of the encoder's size.  A new piece for each picture would cost page faults,
 * because large ones go back to the system. */
static int prepare_scaled(struct transcoder *t)
{
    AVFrame *to = t->scaled;
    if (to->buf[0] != NULL && to->width == t->enc->width && to->height == t->enc->height &&
        av_frame_is_writable(to))
        return 0;
    av_frame_unref(to);
    to->format = AV_PIX_FMT_YUV420P;
    to->width = t->enc->width;
    to->height = t->enc->height;
    return av_frame_get_buffer(to, 0);
}

static int scale(struct transcoder *t, const AVFrame *picture, enum AVPixelFormat format)
{
    t->sws =
        sws_getCachedContext(t->sws, picture->width, picture->height, format, t->enc->width,
                             t->enc->height, AV_PIX_FMT_YUV420P, SWS_BILINEAR, NULL, NULL, NULL);
    if (t->sws == NULL)
        return -EIO;
    int rc = prepare_scaled(t);
    if (rc < 0)
        return errno_of(rc);
    sws_scale(t->sws, (const uint8_t *const *)picture->data, picture->linesize, 0, picture->height,
              t->scaled->data, t->scaled->linesize);
    t->scaled->color_range = picture->color_range;
    return 0;
}

/* Make t->to_encode of the picture: the picture itself if it fits as it is. */
static int convert(struct transcoder *t, const AVFrame *picture)
{
    enum AVPixelFormat format = av_util_plain_format(picture->format);
    bool fits = format == AV_PIX_FMT_YUV420P && picture->width == t->enc->width &&
                picture->height == t->enc->height;
    int rc = fits ? 0 : scale(t, picture, format);
    if (rc != 0)
        return rc;
    av_frame_unref(t->to_encode);
    rc = av_frame_ref(t->to_encode, fits ? picture : t->scaled);
    t->to_encode->format = AV_PIX_FMT_YUV420P;
    return rc < 0 ? errno_of(rc) : 0;
}

/* Would a key frame at the next picture come too late? */
static bool key_is_due(const struct transcoder *t, int64_t pts_us)
{
    if (t->want_key || t->last_pts_us == AV_NOPTS_VALUE)
        return true;
    int64_t step_us = pts_us - t->last_pts_us;
    return pts_us + step_us - t->last_key_us > t->key_interval_us;
}

static int encode_picture(struct transcoder *t, AVFrame *picture)
{
    int width, height;
    int64_t pts_us = picture->pts;

    if (pts_us == AV_NOPTS_VALUE || (t->last_pts_us != AV_NOPTS_VALUE && pts_us <= t->last_pts_us))
        return 0;
    fit_size(t->lines_max, picture->width, picture->height, &width, &height);
    if (!encoder_fits(t, picture, width, height)) {
        int rc = open_encoder(t, picture, width, height);
        if (rc != 0)
            return rc;
    }
    int rc = convert(t, picture);
    if (rc != 0)
        return rc;

    bool key = key_is_due(t, pts_us);
    t->to_encode->pts = pts_us;
    t->to_encode->pict_type = key ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    rc = avcodec_send_frame(t->enc, t->to_encode);
    while (rc >= 0) {
        rc = avcodec_receive_packet(t->enc, t->coded);
        if (rc == AVERROR(EAGAIN)) {
            rc = 0;
            break;
        }
        if (rc >= 0)
            rc = emit_coded(t);
        av_packet_unref(t->coded);
    }
    av_frame_unref(t->to_encode);
    if (rc < 0)
        return errno_of(rc);
    t->last_pts_us = pts_us;
    if (key) {
        t->last_key_us = pts_us;
        t->want_key = false;
    }
    return 0;
}

/* --- decoder --------------------------------------------------------------- */

static int open_decoder(struct transcoder *t, struct codec_config *config)
{
    const AVCodec *codec = avcodec_find_decoder(config->codec);
    AVCodecContext *dec = codec == NULL ? NULL : avcodec_alloc_context3(codec);
    int rc = -ENOMEM;

    avcodec_free_context(&t->dec);
    codec_config_unref(&t->in);
    if (dec == NULL)
        goto out;
    dec->extradata = av_mallocz(config->record_len + AV_INPUT_BUFFER_PADDING_SIZE);
    if (dec->extradata == NULL)
        goto out;
    if (config->record_len > 0)
        memcpy(dec->extradata, config->record, config->record_len);
    dec->extradata_size = (int)config->record_len;
    dec->max_pixels = AV_UTIL_PIXELS_MAX;
    dec->pkt_timebase = (AVRational){1, 1000000};
    /* Frame threads would hold pictures back; slices and wavefronts do not. */
    dec->thread_type = FF_THREAD_SLICE;
    dec->thread_count =
        thread_count(config->width, config->height, frame_rate(config), ONE_THREAD_DECODES);
    if (config->codec == AV_CODEC_ID_AV1)
        dec->flags |= AV_CODEC_FLAG_LOW_DELAY; /* dav1d has frame threads only */
    rc = avcodec_open2(dec, codec, NULL);
    if (rc < 0) {
        log_warnx(NULL, "%s decoder: %s", avcodec_get_name(config->codec), av_err2str(rc));
        rc = errno_of(rc);
        goto out;
    }
    t->dec = dec;
    dec = NULL;
    t->in = codec_config_ref(config);
    t->await_key = true;
    rc = 0;

out:
    avcodec_free_context(&dec);
    return rc;
}

static int send_frame(struct transcoder *t, const struct frame *frame)
{
    /* The decoder reads a little past the end, and a frame has no padding for that. */
    int rc = av_new_packet(t->packet, (int)frame->len);
    if (rc < 0)
        return errno_of(rc);
    memcpy(t->packet->data, frame->data, frame->len);
    t->packet->pts = frame->pts_us;
    t->packet->dts = frame->dts_us;
    t->packet->flags = frame->key ? AV_PKT_FLAG_KEY : 0;
    rc = avcodec_send_packet(t->dec, t->packet);
    av_packet_unref(t->packet);
    return rc < 0 ? errno_of(rc) : 0;
}

int transcoder_push(struct transcoder *t, struct frame *frame)
{
    int rc = 0;

    assert(frame->track == TRACK_VIDEO);
    if (frame->len > INT32_MAX / 2)
        return -EINVAL;
    if (frame->config != t->in) {
        rc = open_decoder(t, frame->config);
        if (rc != 0)
            return rc;
    }
    if (frame->damaged || (t->await_key && !frame->key)) {
        t->await_key = true;
        return 0;
    }
    if (t->await_key)
        avcodec_flush_buffers(t->dec);
    t->await_key = false;

    rc = send_frame(t, frame);
    while (rc == 0) {
        int got = avcodec_receive_frame(t->dec, t->picture);
        if (got == AVERROR(EAGAIN))
            break;
        if (got < 0)
            rc = errno_of(got);
        else if ((t->picture->flags & AV_FRAME_FLAG_CORRUPT) != 0 ||
                 t->picture->decode_error_flags != 0)
            rc = -EIO;
        else if (t->sink.wanted(t->sink.ctx, t->picture->pts))
            rc = encode_picture(t, t->picture);
        av_frame_unref(t->picture);
    }
    if (rc != 0)
        t->await_key = true;
    return rc;
}
