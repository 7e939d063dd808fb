#include "worker/media/frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct codec_config *codec_config_new(enum track track, enum AVCodecID codec, const uint8_t *record,
                                      size_t record_len)
{
    struct codec_config *c = calloc(1, sizeof(*c) + record_len);
    if (c == NULL)
        return NULL;
    atomic_init(&c->refs, 1);
    c->track = track;
    c->codec = codec;
    c->frame_rate_den = 1;
    c->record_len = record_len;
    if (record_len > 0)
        memcpy(c->record, record, record_len);
    return c;
}

struct codec_config *codec_config_ref(struct codec_config *config)
{
    atomic_fetch_add_explicit(&config->refs, 1, memory_order_relaxed);
    return config;
}

void codec_config_unref(struct codec_config **config)
{
    struct codec_config *c = *config;
    *config = NULL;
    if (c != NULL && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
        free(c);
}

struct frame *frame_new(struct codec_config *config, size_t len)
{
    assert(config != NULL);
    struct frame *f = malloc(sizeof(*f) + len);
    if (f == NULL)
        return NULL;
    memset(f, 0, sizeof(*f));
    atomic_init(&f->refs, 1);
    f->track = config->track;
    f->config = codec_config_ref(config);
    f->len = len;
    return f;
}

struct frame *frame_ref(struct frame *frame)
{
    atomic_fetch_add_explicit(&frame->refs, 1, memory_order_relaxed);
    return frame;
}

void frame_unref(struct frame **frame)
{
    struct frame *f = *frame;
    *frame = NULL;
    if (f != NULL && atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) == 1) {
        codec_config_unref(&f->config);
        free(f);
    }
}
