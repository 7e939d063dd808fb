#include "worker/rtp/rtp_picture.h"

#include "common/xalloc.h"
#include "worker/rtp/rtp_encoding.h"
#include "worker/rtp/rtp_payload.h"

#include <libavcodec/avcodec.h>
#include <libavutil/mem.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Bounds of the distance between pictures that share a packet, and what it is taken for at first:
 * ticks of the usual clock of 90 kHz. */
#define STEP_MIN 750
#define STEP_MAX 90000
#define STEP_FIRST 3600

/* More pictures in a packet, or in packets of one timestamp, are no camera's. */
#define SHARING_MAX 32

struct rtp_picture {
    enum rtp_picture_format format;
    enum track track;
    AVCodecParameters *par;
    void (*emit)(void *ctx, const struct media_packet *packet);
    void *ctx;
    union {
        struct rtp_jpeg jpeg;
        struct rtp_h263 h263;
        struct rtp_av1 av1;
    } state; /* of the format */

    bool lost; /* something is missing before the next picture */

    /* Pictures that share a packet: each later one follows the one before by `step`. */
    int64_t first_pts; /* of the newest packet's first picture */
    int64_t step;      /* in the track's time base */
    unsigned sharing;  /* pictures in that packet; 0: none came yet */

    /* The picture in progress. */
    bool active;
    bool broken;
    uint32_t timestamp;
    struct rtp_buffer data;
    struct media_packet packet;
};

/* --- the description ------------------------------------------------------ */

/* The value of a parameter "name=value; …", or NULL. */
static const char *parameter(const char *fmtp, const char *name)
{
    size_t len = strlen(name);
    while (*fmtp != '\0') {
        fmtp += strspn(fmtp, "; \t");
        if (strncasecmp(fmtp, name, len) == 0 && fmtp[len] == '=')
            return fmtp + len + 1;
        fmtp += strcspn(fmtp, ";");
    }
    return NULL;
}

/* RFC 6416 section 7.1: config, in hexadecimal digits. */
static bool read_config(AVCodecParameters *par, const char *fmtp)
{
    const char *hex = parameter(fmtp, "config");
    size_t len = hex != NULL ? strspn(hex, "0123456789abcdefABCDEF") / 2 : 0;
    if (len == 0)
        return true;
    par->extradata = av_mallocz(len + AV_INPUT_BUFFER_PADDING_SIZE);
    if (par->extradata == NULL)
        return false;
    par->extradata_size = (int)len;
    for (size_t i = 0; i < len; i++) {
        const char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
        par->extradata[i] = (uint8_t)strtoul(digits, NULL, 16);
    }
    return true;
}

/* GStreamer's x-dimensions=WIDTH,HEIGHT. */
static void read_dimensions(struct rtp_jpeg *jpeg, const struct sdp_track *track)
{
    const char *text = parameter(track->fmtp, "x-dimensions");
    jpeg->width = track->width;
    jpeg->height = track->height;
    if (text != NULL)
        (void)sdp_read_size(text, ',', &jpeg->width, &jpeg->height);
}

struct rtp_picture *rtp_picture_new(const struct sdp_track *track,
                                    void (*emit)(void *ctx, const struct media_packet *), void *ctx)
{
    const struct rtp_encoding *e = rtp_encoding_find(track->codec);
    if (e == NULL)
        return NULL;
    struct rtp_picture *p = xcalloc(1, sizeof(*p));
    p->format = e->format;
    p->track = track->kind;
    p->emit = emit;
    p->ctx = ctx;
    p->step = STEP_FIRST;
    p->par = avcodec_parameters_alloc();
    if (p->par == NULL || (e->format == RTP_FORMAT_MP4V && !read_config(p->par, track->fmtp))) {
        rtp_picture_free(&p);
        return NULL;
    }
    p->par->codec_type = AVMEDIA_TYPE_VIDEO;
    p->par->codec_id = e->codec;
    if (e->format == RTP_FORMAT_JPEG)
        read_dimensions(&p->state.jpeg, track);
    return p;
}

void rtp_picture_free(struct rtp_picture **picture)
{
    struct rtp_picture *p = *picture;
    *picture = NULL;
    if (p == NULL)
        return;
    if (p->format == RTP_FORMAT_AV1)
        rtp_buffer_free(&p->state.av1.obu);
    rtp_buffer_free(&p->data);
    avcodec_parameters_free(&p->par);
    free(p);
}

const AVCodecParameters *rtp_picture_par(const struct rtp_picture *picture)
{
    return picture->par;
}

/* --- packets -------------------------------------------------------------- */

static bool add(struct rtp_picture *p, const struct rtp_packet *packet, bool first)
{
    switch (p->format) {
    case RTP_FORMAT_JPEG:
        return rtp_jpeg_add(&p->state.jpeg, &p->data, packet, first);
    case RTP_FORMAT_MP4V:
        return rtp_mp4v_add(&p->data, packet, first);
    case RTP_FORMAT_H263:
        return rtp_h263_add(&p->state.h263, &p->data, packet, first);
    case RTP_FORMAT_H263P:
        return rtp_h263p_add(&p->data, packet, first);
    case RTP_FORMAT_VP8:
        return rtp_vp8_add(&p->data, packet, first);
    case RTP_FORMAT_VP9:
        return rtp_vp9_add(&p->data, packet, first);
    case RTP_FORMAT_AV1:
        return rtp_av1_add(&p->state.av1, &p->data, packet, first);
    }
    return false;
}

static bool finish(struct rtp_picture *p)
{
    if (p->format == RTP_FORMAT_JPEG)
        return rtp_jpeg_finish(&p->data);
    return p->format != RTP_FORMAT_AV1 || rtp_av1_finish(&p->state.av1);
}

/* The previous packet's pictures fill the time until this one. */
static void measure_step(struct rtp_picture *p)
{
    int64_t measured = p->sharing > 0 ? (p->packet.pts - p->first_pts) / p->sharing : 0;
    if (measured >= STEP_MIN && measured <= STEP_MAX)
        p->step = measured;
    p->first_pts = p->packet.pts;
    p->sharing = 0;
}

static void emit(struct rtp_picture *p, const uint8_t *data, size_t len)
{
    struct media_packet packet = p->packet;
    packet.data = data;
    packet.len = len;
    packet.last = true;
    packet.lost_before = p->lost;
    packet.pts += p->sharing * p->step;
    p->sharing++;
    p->lost = false;
    p->emit(p->ctx, &packet);
}

/* The length of the first picture in data. */
static size_t first_picture(const struct rtp_picture *p, const uint8_t *data, size_t len)
{
    return p->format == RTP_FORMAT_MP4V ? rtp_mp4v_next(data, len) : len;
}

static bool has_too_many(const struct rtp_picture *p)
{
    size_t pos = 0;
    for (unsigned count = 0; count < SHARING_MAX && pos < p->data.len; count++)
        pos += first_picture(p, p->data.data + pos, p->data.len - pos);
    return pos < p->data.len;
}

/* The picture in progress has ended. */
static void end_picture(struct rtp_picture *p)
{
    p->active = false;
    if (p->broken || !finish(p) || p->data.len == 0 || has_too_many(p)) {
        p->lost = true;
        p->sharing = 0;
        return;
    }
    measure_step(p);
    const uint8_t *data = p->data.data;
    size_t left = p->data.len;
    while (left > 0) {
        size_t len = first_picture(p, data, left);
        emit(p, data, len);
        data += len;
        left -= len;
    }
}

void rtp_picture_push(struct rtp_picture *picture, const struct rtp_packet *packet,
                      bool lost_before, const struct media_packet *like)
{
    struct rtp_picture *p = picture;
    if (p->active && packet->timestamp != p->timestamp) {
        p->broken |= lost_before; /* its end, perhaps */
        end_picture(p);
    }
    bool first = !p->active;
    if (first) {
        p->active = true;
        p->broken = false;
        p->timestamp = packet->timestamp;
        p->data.len = 0;
        p->packet = *like;
        p->lost |= lost_before;
    }
    p->broken |= lost_before && !first;
    p->broken = p->broken || !add(p, packet, first);
    p->packet.received_us = like->received_us;
    if (packet->marker)
        end_picture(p);
}
