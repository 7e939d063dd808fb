#include "worker/video/picture_unit.h"

#include "common/xalloc.h"
#include "worker/video/av1.h"
#include "worker/video/picture_header.h"

#include <stdlib.h>
#include <string.h>

/* A larger configuration is not taken: hundreds of bytes are usual, user data included. */
#define RECORD_MAX_BYTES ((size_t)65536)

struct picture_unit {
    struct access_unit_events events;
    enum AVCodecID codec;
    uint8_t *record; /* the decoder's configuration; NULL: none */
    size_t record_len;
    struct codec_config *config; /* NULL before the first key frame */
    int width;                   /* of the newest picture that said it */
    int height;
    bool reorders; /* a bidirectional picture has come */
    bool started;  /* a key frame has been emitted */
    bool chain_damaged;
};

static bool set_record(struct picture_unit *pu, const uint8_t *head, size_t head_len,
                       const uint8_t *rest, size_t rest_len)
{
    if (rest_len > RECORD_MAX_BYTES - head_len)
        return false;
    uint8_t *record = malloc(head_len + rest_len + 1);
    if (record == NULL)
        return false;
    if (head_len > 0)
        memcpy(record, head, head_len);
    if (rest_len > 0)
        memcpy(record + head_len, rest, rest_len);
    free(pu->record);
    pu->record = record;
    pu->record_len = head_len + rest_len;
    return true;
}

struct picture_unit *picture_unit_new(enum AVCodecID codec, const uint8_t *extradata,
                                      size_t extradata_len, const struct access_unit_events *events)
{
    if (!picture_header_knows(codec))
        return NULL;
    struct picture_unit *pu = xcalloc(1, sizeof(*pu));
    pu->codec = codec;
    pu->events = *events;
    picture_unit_restart(pu, extradata, extradata_len);
    return pu;
}

void picture_unit_free(struct picture_unit **unit)
{
    struct picture_unit *pu = *unit;
    *unit = NULL;
    if (pu == NULL)
        return;
    codec_config_unref(&pu->config);
    free(pu->record);
    free(pu);
}

/* The size may stand in the configuration only. */
static void read_record_size(struct picture_unit *pu)
{
    struct picture_header h;
    size_t skip = pu->codec == AV_CODEC_ID_AV1 ? AV1_RECORD_HEAD : 0;
    if (pu->record_len <= skip)
        return;
    (void)picture_header_read(pu->codec, pu->record + skip, pu->record_len - skip, &h);
    if (h.width > 0 && h.height > 0) {
        pu->width = h.width;
        pu->height = h.height;
    }
}

void picture_unit_restart(struct picture_unit *unit, const uint8_t *extradata, size_t extradata_len)
{
    unit->started = false;
    unit->chain_damaged = false;
    unit->width = unit->height = 0;
    unit->record_len = 0;
    if (extradata_len > 0 && set_record(unit, NULL, 0, extradata, extradata_len))
        read_record_size(unit);
}

/* --- configuration -------------------------------------------------------- */

static bool take_config(struct picture_unit *pu, const struct picture_header *h)
{
    uint8_t head[AV1_RECORD_HEAD];
    if (h->width > 0 && h->height > 0) {
        pu->width = h->width;
        pu->height = h->height;
    }
    if (h->config_len > 0 && pu->codec == AV_CODEC_ID_AV1)
        return av1_record_head(head, h->config, h->config_len) &&
               set_record(pu, head, sizeof(head), h->config, h->config_len);
    if (h->config_len > 0)
        return set_record(pu, NULL, 0, h->config, h->config_len);
    bool needed = pu->codec == AV_CODEC_ID_AV1 || pu->codec == AV_CODEC_ID_MPEG4;
    return pu->record_len > 0 || !needed;
}

static bool is_current(const struct picture_unit *pu)
{
    const struct codec_config *c = pu->config;
    return c != NULL && c->width == pu->width && c->height == pu->height &&
           c->reorder_frames == pu->reorders && c->record_len == pu->record_len &&
           (pu->record_len == 0 || memcmp(c->record, pu->record, pu->record_len) == 0);
}

/* For key frames only: decoders begin anew with another configuration. */
static bool update_config(struct picture_unit *pu)
{
    if (is_current(pu))
        return true;
    struct codec_config *c = codec_config_new(TRACK_VIDEO, pu->codec, pu->record, pu->record_len);
    if (c == NULL)
        return false;
    c->width = pu->width;
    c->height = pu->height;
    c->reorder_frames = pu->reorders;
    codec_config_unref(&pu->config);
    pu->config = c;
    return true;
}

/* --- pictures ------------------------------------------------------------- */

static void emit(struct picture_unit *pu, const struct media_packet *packet,
                 const struct picture_header *h)
{
    struct frame *frame = frame_new(pu->config, packet->len - h->skip);
    if (frame == NULL) {
        pu->chain_damaged = true;
        return;
    }
    memcpy(frame->data, packet->data + h->skip, packet->len - h->skip);
    frame->key = h->key;
    frame->damaged = pu->chain_damaged;
    frame->received_us = packet->received_us;
    frame->captured_us = packet->captured_us;
    pu->events.on_frame(pu->events.ctx, frame, packet->pts, packet->dts);
}

bool picture_unit_push(struct picture_unit *unit, const struct media_packet *packet)
{
    struct picture_unit *pu = unit;
    struct picture_header h;
    pu->chain_damaged |= packet->lost_before;
    if (packet->len > FRAME_MAX_BYTES ||
        !picture_header_read(pu->codec, packet->data, packet->len, &h)) {
        pu->chain_damaged = true;
        return false;
    }
    h.key |= h.key_not_said && packet->key;
    pu->reorders |= h.bidirectional;
    if (h.key && take_config(pu, &h)) {
        pu->started = update_config(pu);
        pu->chain_damaged = false;
    }
    if (pu->started)
        emit(pu, packet, &h);
    return true;
}
