/* See picture_decoder.h.  AVERROR codes stay in here. */
#include "worker/pictures/picture_decoder.h"

#include "common/bytes.h"
#include "common/xalloc.h"
#include "worker/media/av_util.h"

#include <assert.h>
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <stdlib.h>
#include <string.h>

/* More than the 16 frames that any decoder may hold back. */
#define FED_KEPT 64

#define H264_NAL_IDR 5
#define H264_NAL_SEI 6
#define H264_SEI_RECOVERY_POINT 6
#define HEVC_NAL_SEI_PREFIX 39
#define HEVC_NAL_SEI_SUFFIX 40

/* What is remembered about a frame while its picture may still come. */
struct fed {
    struct picture_stamp stamp;
    int64_t pts_us;
    bool partial; /* its picture is not whole yet: periodic intra refresh */
};

struct picture_decoder {
    AVCodecContext *avctx; /* NULL: nothing fed yet, or the configuration changed */
    AVPacket *packet;
    AVFrame *output;
    struct codec_config *config; /* avctx was opened with this one */

    /* The frame being decoded. */
    AVFrame *held;    /* the buffer that the decoder took for it */
    unsigned buffers; /* how many it took */
    bool whole_start; /* decoding from here gives whole pictures at once */

    struct fed fed[FED_KEPT]; /* by count; a packet's pts is its count */
    int64_t count;

    bool broken;
    int64_t chain_pts_us; /* pts of the frame that the chain started with */
    bool recovered;       /* the chain's pictures are whole by now */
    unsigned refresh;     /* this many further pictures are not whole yet */
    bool frames_only;     /* two access units in a row took buffers: they are not single fields */
    bool single_fields;   /* H.264 with one field in each access unit */
    bool last_had_buffer; /* the previous access unit took a buffer of its own */

    AVFrame *newest;
    bool has_newest;
    bool newest_in_chain;
    struct fed newest_fed;
};

static bool has_nal_units(enum AVCodecID codec)
{
    return codec == AV_CODEC_ID_H264 || codec == AV_CODEC_ID_HEVC;
}

static int on_get_buffer(AVCodecContext *avctx, AVFrame *frame, int flags)
{
    struct picture_decoder *d = avctx->opaque;
    int rc = avcodec_default_get_buffer2(avctx, frame, flags);
    if (rc < 0)
        return rc;
    /* If references are missing, the H.264 decoder makes them up before the picture, the HEVC
     * decoder after it. */
    bool first = d->buffers++ == 0;
    if (!has_nal_units(avctx->codec_id))
        return 0; /* its buffers may be larger than the picture, or several */
    if (!first && avctx->codec_id == AV_CODEC_ID_HEVC)
        return 0;
    av_frame_unref(d->held);
    return av_frame_ref(d->held, frame);
}

struct picture_decoder *picture_decoder_new(void)
{
    struct picture_decoder *d = xcalloc(1, sizeof(*d));
    d->packet = av_packet_alloc();
    d->output = av_frame_alloc();
    d->held = av_frame_alloc();
    d->newest = av_frame_alloc();
    if (d->packet == NULL || d->output == NULL || d->held == NULL || d->newest == NULL)
        abort(); /* small and bounded */
    d->broken = true;
    return d;
}

void picture_decoder_free(struct picture_decoder **decoder)
{
    struct picture_decoder *d = *decoder;
    *decoder = NULL;
    if (d == NULL)
        return;
    av_frame_free(&d->newest);
    av_frame_free(&d->held);
    av_frame_free(&d->output);
    av_packet_free(&d->packet);
    avcodec_free_context(&d->avctx);
    codec_config_unref(&d->config);
    free(d);
}

static int set_extradata(AVCodecContext *avctx, const struct codec_config *config)
{
    if (config->record_len == 0)
        return 0;
    avctx->extradata = av_mallocz(config->record_len + AV_INPUT_BUFFER_PADDING_SIZE);
    if (avctx->extradata == NULL)
        return -ENOMEM;
    memcpy(avctx->extradata, config->record, config->record_len);
    avctx->extradata_size = (int)config->record_len;
    return 0;
}

static int open_decoder(struct picture_decoder *d, struct codec_config *config)
{
    avcodec_free_context(&d->avctx);
    codec_config_unref(&d->config);
    d->broken = true;
    d->frames_only = d->single_fields = d->last_had_buffer = false;

    const AVCodec *codec = avcodec_find_decoder(config->codec);
    if (codec == NULL)
        return -ENOTSUP;
    AVCodecContext *avctx = avcodec_alloc_context3(codec);
    if (avctx == NULL)
        return -ENOMEM;
    d->avctx = avctx;
    avctx->opaque = d;
    avctx->get_buffer2 = on_get_buffer;
    avctx->max_pixels = AV_UTIL_PIXELS_MAX;
    avctx->thread_count = 1;
    avctx->thread_type = FF_THREAD_SLICE; /* FFmpeg 5.1 complains about get_buffer2 otherwise */
    int rc = set_extradata(avctx, config);
    if (rc == 0 && avcodec_open2(avctx, codec, NULL) < 0)
        rc = -ENOTSUP;
    if (rc != 0) {
        avcodec_free_context(&d->avctx);
        return rc;
    }
    /* The HEVC decoder hides errors in slices unless told to fail.  The flag is set after opening,
     * so that the decoder accepts odd parameter sets in the record, as players do.  The H.264
     * decoder reports errors in decode_error_flags; with the flag it fails on harmless ones. */
    if (config->codec == AV_CODEC_ID_HEVC)
        avctx->err_recognition |= AV_EF_EXPLODE;
    d->config = codec_config_ref(config);
    return 0;
}

/* Does the decoder need this NAL unit? */
static bool nal_wanted(struct picture_decoder *d, const uint8_t *nal, size_t len)
{
    if (d->config->codec == AV_CODEC_ID_HEVC) {
        unsigned type = (nal[0] >> 1) & 0x3f;
        d->whole_start |= type >= 16 && type <= 23; /* IRAP */
        return type != HEVC_NAL_SEI_PREFIX && type != HEVC_NAL_SEI_SUFFIX;
    }
    unsigned type = nal[0] & 0x1f;
    d->whole_start |= type == H264_NAL_IDR;
    if (type != H264_NAL_SEI)
        return true;
    if (len < 4 || nal[1] != H264_SEI_RECOVERY_POINT)
        return false;
    d->whole_start |= (nal[3] & 0x80) != 0; /* recovery_frame_cnt, ue(v): 0 */
    return true;
}

/* Copy the NAL units that the decoder needs. */
static int fill_nal_units(struct picture_decoder *d, const struct frame *frame)
{
    uint8_t *out = d->packet->data;
    size_t pos = 0;
    d->whole_start = false;
    while (frame->len - pos > 4) {
        const uint8_t *p = frame->data + pos;
        size_t len = bytes_get32(p);
        if (len == 0 || len > frame->len - pos - 4)
            return -EAGAIN; /* not whole */
        if (nal_wanted(d, p + 4, len)) {
            memcpy(out, p, len + 4);
            out += len + 4;
        }
        pos += len + 4;
    }
    if (out == d->packet->data)
        return -EAGAIN;
    av_shrink_packet(d->packet, (int)(out - d->packet->data));
    return 0;
}

/* Copy the frame, with the padding that libavcodec reads over. */
static int fill_packet(struct picture_decoder *d, const struct frame *frame)
{
    av_packet_unref(d->packet);
    if (frame->len > INT32_MAX - AV_INPUT_BUFFER_PADDING_SIZE ||
        av_new_packet(d->packet, (int)frame->len) < 0)
        return -ENOMEM;
    if (has_nal_units(frame->config->codec)) {
        int rc = fill_nal_units(d, frame);
        if (rc != 0)
            return rc;
    } else if (frame->len > 0) {
        memcpy(d->packet->data, frame->data, frame->len);
        d->whole_start = true;
    }
    d->packet->pts = d->count;
    if (frame->key)
        d->packet->flags |= AV_PKT_FLAG_KEY;
    return 0;
}

/* Is it later in display order than the newest picture? */
static bool is_newer(const struct picture_decoder *d, const struct fed *fed)
{
    return !d->newest_in_chain || fed->pts_us >= d->newest_fed.pts_us;
}

/* Is it shown before the frame that decoding started with?  Then it may refer to frames before that
 * one. */
static bool is_leading(const struct picture_decoder *d, const struct fed *fed)
{
    return fed->pts_us < d->chain_pts_us;
}

static int offer(struct picture_decoder *d, const AVFrame *frame, const struct fed *fed)
{
    if (fed->partial || !is_newer(d, fed) || is_leading(d, fed))
        return 0;
    av_frame_unref(d->newest);
    d->has_newest = av_frame_ref(d->newest, frame) >= 0;
    if (!d->has_newest)
        return -ENOMEM;
    d->newest_fed = *fed;
    d->newest_in_chain = true;
    return 0;
}

/* Take the pictures that the decoder gives out.  Sets *same if the frame just fed is among them. */
static int take_outputs(struct picture_decoder *d, bool *same)
{
    int rc = 0;
    while (rc == 0 && avcodec_receive_frame(d->avctx, d->output) >= 0) {
        const AVFrame *f = d->output;
        if (f->decode_error_flags != 0 || (f->flags & AV_FRAME_FLAG_CORRUPT) != 0) {
            rc = -EAGAIN;
        } else if (f->pts > d->count - FED_KEPT && f->pts <= d->count) {
            *same |= f->pts == d->count;
            d->recovered = true; /* the H.264 decoder gives out nothing before it has recovered */
            rc = offer(d, f, &d->fed[f->pts % FED_KEPT]);
        }
        av_frame_unref(d->output);
    }
    return rc;
}

/* With one field per access unit, the second field takes no buffer.  Until two access units in a
 * row have taken buffers, a buffer may hold half a picture. */
static void learn_fields(struct picture_decoder *d)
{
    bool has_buffer = d->buffers > 0;
    if (d->last_had_buffer)
        *(has_buffer ? &d->frames_only : &d->single_fields) = true;
    d->last_had_buffer = has_buffer;
}

/* Offer the picture that the decoder holds back for reordering. */
static int offer_held(struct picture_decoder *d)
{
    bool reorders = d->avctx->has_b_frames > 0 && has_nal_units(d->config->codec);
    bool whole = d->config->codec == AV_CODEC_ID_HEVC || (d->frames_only && !d->single_fields);
    if (!reorders || !whole || !d->recovered || d->held->buf[0] == NULL)
        return 0;
    /* Buffers are as large as the coded picture; cropping is at the right and the bottom. */
    if (d->avctx->width > d->held->width || d->avctx->height > d->held->height)
        return 0;
    d->held->width = d->avctx->width;
    d->held->height = d->avctx->height;
    return offer(d, d->held, &d->fed[d->count % FED_KEPT]);
}

/* starts_chain: a key frame that is not an IDR picture may name references that are missing. */
static int decode(struct picture_decoder *d, const struct frame *frame, const struct fed *fed,
                  bool starts_chain)
{
    int rc = fill_packet(d, frame);
    if (rc != 0)
        return rc;
    d->recovered |= frame->key && d->whole_start;
    d->fed[d->count % FED_KEPT] = *fed;
    d->buffers = 0;
    if (avcodec_send_packet(d->avctx, d->packet) < 0)
        return -EAGAIN;
    bool same = false;
    if (d->buffers > 1 && !starts_chain && has_nal_units(d->config->codec))
        rc = -EAGAIN; /* a reference was missing, and the decoder made one up */
    else
        rc = take_outputs(d, &same);
    if (rc == 0) {
        learn_fields(d);
        if (!same)
            rc = offer_held(d);
    }
    av_frame_unref(d->held);
    return rc;
}

/* Open the decoder for this frame's configuration, unless it is open. */
static int prepare(struct picture_decoder *d, const struct frame *frame)
{
    assert(frame->track == TRACK_VIDEO);
    if (frame->config == d->config && d->avctx != NULL)
        return 0;
    return open_decoder(d, frame->config);
}

static struct fed fed_of(const struct frame *frame, uint64_t seq)
{
    return (struct fed){.pts_us = frame->pts_us, .stamp = picture_stamp_of(frame, seq)};
}

static void start_chain(struct picture_decoder *d, const struct frame *first)
{
    avcodec_flush_buffers(d->avctx);
    d->broken = d->recovered = d->newest_in_chain = d->last_had_buffer = false;
    d->chain_pts_us = first->pts_us;
    d->refresh = first->refresh;
}

bool picture_decoder_can_start(const struct frame *frame)
{
    return (frame->key || frame->refresh > 0) && !frame->damaged;
}

int picture_decoder_feed(struct picture_decoder *decoder, const struct frame *frame, uint64_t seq,
                         bool gap)
{
    struct picture_decoder *d = decoder;
    int rc = prepare(d, frame);
    if (rc != 0)
        return rc;
    struct fed fed = fed_of(frame, seq);
    if (gap || (frame->damaged && !is_leading(d, &fed)))
        d->broken = true;
    bool starts_chain = d->broken;
    if (starts_chain) {
        if (!picture_decoder_can_start(frame))
            return -EAGAIN;
        start_chain(d, frame);
    }
    d->count++;
    fed.partial = d->refresh > 0;
    if (fed.partial)
        d->refresh--;
    rc = decode(d, frame, &fed, starts_chain);
    if (rc == -EAGAIN && (fed.partial || is_leading(d, &fed)))
        return 0; /* cannot be decoded from here, but no later picture refers to it */
    if (rc != 0)
        d->broken = true;
    return rc;
}

int picture_decoder_feed_alone(struct picture_decoder *decoder, const struct frame *frame,
                               uint64_t seq)
{
    struct picture_decoder *d = decoder;
    bool same = false;
    int rc = prepare(d, frame);
    if (rc != 0)
        return rc;
    if (!frame->key || frame->damaged)
        return -EAGAIN;
    struct fed fed = fed_of(frame, seq);
    start_chain(d, frame);
    d->count++;
    rc = decode(d, frame, &fed, true);
    if (rc == 0 && !d->newest_in_chain && avcodec_send_packet(d->avctx, NULL) >= 0)
        rc = take_outputs(d, &same); /* it was held back for reordering */
    avcodec_flush_buffers(d->avctx);
    d->broken = true;
    return rc == 0 && !d->newest_in_chain ? -EAGAIN : rc;
}

/* ITU-T H.264 table 7-1: nal_ref_idc of slices; ITU-T H.265 table 7-1: sub-layer non-reference
 * pictures have even types up to 14, and with one sub-layer no picture refers to them. */
bool picture_decoder_can_skip(const struct frame *frame)
{
    const struct codec_config *config = frame->config;
    bool hevc = config->codec == AV_CODEC_ID_HEVC;
    bool slices = false;
    size_t pos = 0;
    if (frame->key || frame->refresh > 0 || !has_nal_units(config->codec) ||
        (hevc && (config->record_len < 23 || (config->record[21] >> 3 & 7) != 1)))
        return false;
    while (frame->len - pos > 4) {
        const uint8_t *nal = frame->data + pos + 4;
        size_t len = bytes_get32(frame->data + pos);
        if (len == 0 || len > frame->len - pos - 4)
            return false;
        unsigned type = hevc ? nal[0] >> 1 & 0x3f : nal[0] & 0x1f;
        if (hevc ? type < 32 : type >= 1 && type <= H264_NAL_IDR) {
            slices = true;
            if (hevc ? type > 14 || type % 2 != 0 : (nal[0] & 0x60) != 0)
                return false;
        }
        pos += len + 4;
    }
    return slices;
}

bool picture_decoder_is_current(const struct picture_decoder *decoder)
{
    return decoder->newest_in_chain;
}

bool picture_decoder_needs_key(const struct picture_decoder *decoder)
{
    return decoder->broken;
}

bool picture_decoder_newest(const struct picture_decoder *decoder, struct picture *picture)
{
    if (!decoder->has_newest)
        return false;
    picture->frame = decoder->newest;
    picture->stamp = decoder->newest_fed.stamp;
    return true;
}
