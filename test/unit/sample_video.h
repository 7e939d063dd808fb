/*
 * Short H.264 and HEVC streams for unit tests, encoded on the spot by libavcodec (libx264,
 * libx265): 320x240 unless asked for, 25 frames per second, a moving pattern.
 */
#ifndef TEST_UNIT_SAMPLE_VIDEO_H
#define TEST_UNIT_SAMPLE_VIDEO_H

#include <libavcodec/avcodec.h>
#include <libavutil/opt.h>
#include <stdlib.h>
#include <string.h>

#define SAMPLE_MAX 256

struct sample {
    enum AVCodecID codec;
    int count;
    AVPacket *unit[SAMPLE_MAX]; /* Annex B; pts and dts count frames */
    uint8_t *extradata;         /* Annex B parameter sets */
    size_t extradata_len;
};

/* libx265 leaks a little when it is closed. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libx265\n";
}

static void sample_check(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "sample video: %s failed\n", what);
        abort();
    }
}

static void sample_take(struct sample *s, AVCodecContext *enc, const AVFrame *frame)
{
    sample_check(avcodec_send_frame(enc, frame) == 0, "avcodec_send_frame");
    for (;;) {
        AVPacket *pkt = av_packet_alloc();
        if (avcodec_receive_packet(enc, pkt) != 0) {
            av_packet_free(&pkt);
            return;
        }
        sample_check(s->count < SAMPLE_MAX, "room for a packet");
        s->unit[s->count++] = pkt;
    }
}

/* libx265 4.1 (Debian 13) crashes when it makes several slices with no thread pool, or with one of
 * the usual size; so does ffmpeg with it. */
#define X265_OPTIONS "log-level=none:frame-threads=1:pools=1:"

/** params: private options of the encoder, "x264-params" or "x265-params" syntax. */
static struct sample sample_encode(enum AVCodecID codec, int frames, int width, int height,
                                   const char *params)
{
    struct sample s = {.codec = codec};
    const int is_h264 = codec == AV_CODEC_ID_H264;
    const AVCodec *encoder = avcodec_find_encoder_by_name(is_h264 ? "libx264" : "libx265");
    sample_check(encoder != NULL, "finding the encoder");
    AVCodecContext *enc = avcodec_alloc_context3(encoder);
    enc->width = width;
    enc->height = height;
    enc->pix_fmt = AV_PIX_FMT_YUV420P;
    enc->time_base = (AVRational){1, 25};
    enc->framerate = (AVRational){25, 1};
    enc->thread_count = 1;
    (void)av_opt_set(enc->priv_data, "preset", "ultrafast", 0);
    char text[512];
    (void)snprintf(text, sizeof(text), "%s%s", is_h264 ? "" : X265_OPTIONS, params);
    (void)av_opt_set(enc->priv_data, is_h264 ? "x264-params" : "x265-params", text, 0);
    sample_check(avcodec_open2(enc, encoder, NULL) == 0, "avcodec_open2");

    AVFrame *frame = av_frame_alloc();
    frame->format = enc->pix_fmt;
    frame->width = width;
    frame->height = height;
    sample_check(av_frame_get_buffer(frame, 0) == 0, "av_frame_get_buffer");
    for (int i = 0; i < frames; i++) {
        sample_check(av_frame_make_writable(frame) == 0, "av_frame_make_writable");
        for (int plane = 0; plane < 3; plane++) {
            int w = plane == 0 ? width : width / 2;
            int h = plane == 0 ? height : height / 2;
            for (int y = 0; y < h; y++) {
                for (int x = 0; x < w; x++)
                    frame->data[plane][y * frame->linesize[plane] + x] =
                        (uint8_t)(plane == 0 ? (x * 3 ^ y) + i * 5 : 128 + (x + i) % 32);
            }
        }
        frame->pts = i;
        sample_take(&s, enc, frame);
    }
    sample_take(&s, enc, NULL);
    av_frame_free(&frame);
    avcodec_free_context(&enc);

    /* The parameter sets, as an SDP would give them: everything before the first slice. */
    const uint8_t *data = s.unit[0]->data;
    size_t len = (size_t)s.unit[0]->size;
    for (size_t i = 0; i + 4 < len; i++) {
        if (data[i] != 0 || data[i + 1] != 0 || data[i + 2] != 1)
            continue;
        unsigned type = is_h264 ? data[i + 3] & 0x1fu : data[i + 3] >> 1 & 0x3fu;
        if (is_h264 ? type == 5 || type == 6 : type < 32 || type == 39)
            break;
        size_t next = i + 3;
        while (next + 3 < len && (data[next] != 0 || data[next + 1] != 0 || data[next + 2] > 1))
            next++;
        s.extradata = realloc(s.extradata, s.extradata_len + 1 + next - i);
        s.extradata[s.extradata_len] = 0;
        memcpy(s.extradata + s.extradata_len + 1, data + i, next - i);
        s.extradata_len += 1 + next - i;
    }
    sample_check(s.count == frames && s.extradata_len > 0, "encoding");
    return s;
}

static void sample_free(struct sample *s)
{
    for (int i = 0; i < s->count; i++)
        av_packet_free(&s->unit[i]);
    free(s->extradata);
}

#endif /* TEST_UNIT_SAMPLE_VIDEO_H */
