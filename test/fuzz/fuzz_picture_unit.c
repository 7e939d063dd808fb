/*
 * Pictures of codecs without NAL units: headers, configurations, frames.
 *
 * Input: a byte that picks the codec, a byte with the length of the extradata, which follows; then
 * pictures: 2 bytes length (the top bit: packets were lost before), then the picture.
 */
#include "worker/video/picture_unit.h"

#include <assert.h>
#include <libavutil/avutil.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum AVCodecID codecs[] = {
    AV_CODEC_ID_MJPEG,    AV_CODEC_ID_MPEG4, AV_CODEC_ID_H263, AV_CODEC_ID_FLV1,
    AV_CODEC_ID_VP8,      AV_CODEC_ID_VP9,   AV_CODEC_ID_AV1,  AV_CODEC_ID_FLASHSV,
    AV_CODEC_ID_FLASHSV2, AV_CODEC_ID_VP6F,  AV_CODEC_ID_VP6A,
};

static void on_frame(void *ctx, struct frame *frame, int64_t pts, int64_t dts)
{
    bool *started = ctx;
    *started |= frame->key;
    assert(*started);
    assert(frame->config->width >= 0 && frame->config->height >= 0);
    assert(!(frame->key && frame->damaged) || frame->config->record_len == 0);
    frame_unref(&frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t extra = data[1];
    size_t at = 2;
    bool started = false;
    const struct access_unit_events events = {on_frame, &started};
    extra = extra < size - at ? extra : size - at;
    struct picture_unit *pu = picture_unit_new(
        codecs[data[0] % (sizeof(codecs) / sizeof(codecs[0]))], data + at, extra, &events);
    for (at += extra; at + 2 <= size;) {
        size_t len = (size_t)(data[at] & 0x7F) << 8 | data[at + 1];
        bool lost = (data[at] & 0x80) != 0;
        at += 2;
        len = len < size - at ? len : size - at;
        uint8_t *copy = malloc(len + 1); /* exact, so that the sanitizer sees each overrun */
        if (copy == NULL)
            abort();
        if (len > 0)
            memcpy(copy, data + at, len);
        const struct media_packet packet = {.track = TRACK_VIDEO,
                                            .form = MEDIA_RAW,
                                            .lost_before = lost,
                                            .key = len % 2 == 0,
                                            .data = copy,
                                            .len = len,
                                            .pts = AV_NOPTS_VALUE,
                                            .dts = AV_NOPTS_VALUE};
        (void)picture_unit_push(pu, &packet);
        free(copy);
        at += len;
    }
    picture_unit_free(&pu);
    return 0;
}
