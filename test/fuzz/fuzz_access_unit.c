/*
 * Any packets as a video track.  First byte: bit 0 HEVC.  Then records: flags (bit 0 last, 1 lost,
 * 2 length-prefixed, 3 new time, 4 flush, 5 restart with the data as extradata, 6 the container
 * says key, and a new time is a tick later, 7 cut), UI16 length, data.  A record comes every 40 ms.
 */
#include "worker/video/access_unit.h"
#include "worker/video/nal.h"

#include <assert.h>
#include <libavcodec/avcodec.h>
#include <libavutil/log.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_frame(void *ctx, struct frame *frame, int64_t pts, int64_t dts)
{
    bool *started = ctx;
    struct nal_cursor cursor = {frame->data, frame->data + frame->len};
    struct nal nal;
    int rc;
    bool slice = false;
    while ((rc = nal_next_length(&cursor, 4, &nal)) == 1) {
        assert(nal.len >= nal_header_len(frame->config->codec));
        slice |= nal_role(frame->config->codec, nal.data) == NAL_SLICE;
    }
    assert(rc == 0 && slice); /* sound lengths whatever came in */
    assert(*started || frame->key);
    assert(frame->config->width > 0 && frame->config->height > 0);
    *started = true;
    frame_unref(&frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    bool started = false;
    const struct access_unit_events events = {on_frame, &started};
    if (size < 1)
        return 0;
    av_log_set_level(AV_LOG_QUIET);

    struct access_unit *au =
        access_unit_new((data[0] & 1) != 0 ? AV_CODEC_ID_HEVC : AV_CODEC_ID_H264, NULL, 0, &events);
    int64_t pts = 0;
    int64_t received_us = 0;
    for (size_t pos = 1; pos + 3 <= size;) {
        unsigned flags = data[pos];
        size_t len = (size_t)data[pos + 1] << 8 | data[pos + 2];
        pos += 3;
        if (len > size - pos)
            len = size - pos;
        /* A block of its own, so that ASan sees what is read beyond the padding. */
        uint8_t *copy = calloc(1, len + AV_INPUT_BUFFER_PADDING_SIZE);
        assert(copy != NULL);
        memcpy(copy, data + pos, len);
        pos += len;
        if ((flags & 8) != 0)
            pts += (flags & 64) != 0 ? 1 : 3600;
        struct media_packet packet = {
            .track = TRACK_VIDEO,
            .form = (flags & 4) != 0 ? MEDIA_LENGTHS : MEDIA_ANNEX_B,
            .key = (flags & 64) != 0,
            .last = (flags & 1) != 0,
            .cut = (flags & 128) != 0,
            .lost_before = (flags & 2) != 0,
            .data = copy,
            .len = len,
            .pts = pts,
            .dts = AV_NOPTS_VALUE,
            .received_us = received_us += 40000,
        };
        if ((flags & 32) != 0) {
            access_unit_restart(au, copy, len);
            started = false;
        } else {
            (void)access_unit_push(au, &packet);
        }
        if ((flags & 16) != 0)
            access_unit_flush(au);
        free(copy);
    }
    access_unit_flush(au);
    access_unit_free(&au);
    return 0;
}
