#include "worker/rtp/rtp_depacketize.h"

#include "common/bytes.h"
#include "common/xalloc.h"
#include "worker/media/aac_latm.h"
#include "worker/rtp/rtp_aac.h"
#include "worker/rtp/rtp_buffer.h"
#include "worker/rtp/rtp_encoding.h"
#include "worker/rtp/rtp_nal.h"
#include "worker/rtp/rtp_other_codec.h"
#include "worker/rtp/rtp_picture.h"
#include "worker/rtp/rtp_red.h"

#include <assert.h>
#include <errno.h>
#include <libavformat/avformat.h>
#include <libavutil/mem.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define RTP_HEADER_BYTES 12
#define PACKET_MAX 65536
#define IO_BUFFER_BYTES 4096
#define SDP_BYTES (SDP_FMTP_MAX + 1024)
#define AAC_FRAME_SAMPLES ((int64_t)1024)
#define LATM_SURE 5     /* payloads */
#define LATM_RATE 16000 /* Hz, until an element says another */

struct rtp_depacketizer {
    enum track track;
    uint32_t clock_rate;
    int payload_type; /* in the description that libavformat got */
    void (*emit)(void *ctx, const struct media_packet *packet);
    void *ctx;

    struct rtp_picture *pictures; /* a codec without NAL units: nothing below is used */

    AVFormatContext *fmt;
    AVIOContext *io;
    AVPacket *pkt;
    /* What the read callback returns next: first the description, then one packet at a time. */
    const uint8_t *input;
    size_t input_len;
    uint16_t sequence; /* for libavformat, without gaps: losses are handled here */
    uint8_t *packet;   /* PACKET_MAX */

    bool annex_b;     /* H.264 or HEVC */
    bool other_codec; /* it is the other one of these */
    bool aac;         /* frames are read here, if packets hold whole ones */
    bool latm;        /* those in LATM elements, too */
    bool
        latm_doubtful; /* LATM whose configuration is described: it may come in band all the same */
    unsigned latm_plain; /* payloads that had none */
    struct aac_latm elements;
    struct rtp_nal_format format;
    struct fu_repair fu;
    struct rtp_red_guess red;
    struct rtp_buffer unit; /* a NAL unit with its fragments joined, or an AAC frame */
    struct media_packet unit_packet;

    bool missed;       /* something is missing before the next packet with a payload */
    bool lost;         /* something is missing before the next media_packet */
    int64_t frame_pts; /* pts of the newest audio frame */
    int64_t frame_duration;
    unsigned frames_in_packet;
};

static int on_read(void *opaque, uint8_t *buf, int size)
{
    struct rtp_depacketizer *d = opaque;
    if (d->input_len == 0)
        return AVERROR(EAGAIN);
    size_t n = d->input_len < (size_t)size ? d->input_len : (size_t)size;
    memcpy(buf, d->input, n);
    d->input += n;
    d->input_len = 0; /* one call, one packet */
    return (int)n;
}

/* Discards the demuxer's own receiver reports. */
#if LIBAVFORMAT_VERSION_MAJOR >= 61
static int on_write(void *opaque, const uint8_t *buf, int size)
#else
static int on_write(void *opaque, uint8_t *buf, int size)
#endif
{
    (void)opaque;
    (void)buf;
    return size;
}

static int on_read_description(void *opaque, uint8_t *buf, int size)
{
    struct rtp_depacketizer *d = opaque;
    if (d->input_len == 0)
        return AVERROR_EOF;
    size_t n = d->input_len < (size_t)size ? d->input_len : (size_t)size;
    memcpy(buf, d->input, n);
    d->input += n;
    d->input_len -= n;
    return (int)n;
}

static AVIOContext *new_io(struct rtp_depacketizer *d, int write,
                           int (*read)(void *, uint8_t *, int))
{
    unsigned char *buffer = av_malloc(IO_BUFFER_BYTES);
    if (buffer == NULL)
        return NULL;
    AVIOContext *io =
        avio_alloc_context(buffer, IO_BUFFER_BYTES, write, d, read, write ? on_write : NULL, NULL);
    if (io == NULL)
        av_free(buffer);
    return io;
}

static void free_io(AVIOContext **io)
{
    if (*io != NULL)
        av_freep(&(*io)->buffer);
    avio_context_free(io);
}

static int open_demuxer(struct rtp_depacketizer *d, const char *description, size_t len)
{
    AVDictionary *options = NULL;
    AVIOContext *io = NULL;
    int rc = -ENOMEM;
    (void)av_dict_set(&options, "sdp_flags", "custom_io", 0);
    (void)av_dict_set(&options, "reorder_queue_size", "0", 0);

    d->input = (const uint8_t *)description;
    d->input_len = len;
    io = new_io(d, 0, on_read_description);
    d->fmt = avformat_alloc_context();
    if (io == NULL || d->fmt == NULL)
        goto out;
    d->fmt->flags |= AVFMT_FLAG_NOPARSE | AVFMT_FLAG_NOFILLIN | AVFMT_FLAG_CUSTOM_IO;
    d->fmt->pb = io;
    if (avformat_open_input(&d->fmt, "", av_find_input_format("sdp"), &options) < 0) {
        rc = -ENOTSUP; /* the context is freed */
        goto out;
    }
    d->fmt->pb = NULL;
    if (d->fmt->nb_streams != 1) {
        rc = -ENOTSUP;
        goto out;
    }
    /* libavformat reads a writable context without buffering, so packets stay whole. */
    d->io = new_io(d, 1, on_read);
    if (d->io == NULL)
        goto out;
    d->fmt->pb = d->io;
    d->input_len = 0;
    rc = 0;

out:
    av_dict_free(&options);
    free_io(&io);
    return rc;
}

int rtp_depacketizer_open(const struct sdp_track *track,
                          void (*emit)(void *ctx, const struct media_packet *), void *ctx,
                          struct rtp_depacketizer **out)
{
    char description[SDP_BYTES];
    struct rtp_depacketizer *d = xcalloc(1, sizeof(*d));
    d->track = track->kind;
    d->clock_rate = track->clock_rate;
    d->emit = emit;
    d->ctx = ctx;
    if (track->kind == TRACK_VIDEO && rtp_encoding_find(track->codec) != NULL) {
        d->pictures = rtp_picture_new(track, emit, ctx);
        *out = d;
        if (d->pictures == NULL)
            rtp_depacketizer_free(out);
        return *out != NULL ? 0 : -ENOMEM;
    }
    int len = sdp_write_track(track, description, sizeof(description), &d->payload_type);
    int rc = len < 0 ? -ENOTSUP : open_demuxer(d, description, (size_t)len);
    if (rc == 0) {
        d->pkt = av_packet_alloc();
        d->packet = malloc(PACKET_MAX);
        rc = d->pkt != NULL && d->packet != NULL ? 0 : -ENOMEM;
    }
    if (rc != 0) {
        rtp_depacketizer_free(&d);
        return rc;
    }
    AVCodecParameters *par = d->fmt->streams[0]->codecpar;
    enum AVCodecID codec = par->codec_id;
    d->annex_b = codec == AV_CODEC_ID_H264 || codec == AV_CODEC_ID_HEVC;
    d->aac = rtp_aac_is_readable(track->codec, track->fmtp);
    d->latm = rtp_aac_lacks_config(track->codec, track->fmtp);
    d->latm_doubtful = !d->latm && strcasecmp(track->codec, "MP4A-LATM") == 0;
    if (d->latm && aac_rate_index(par->sample_rate) < 0)
        par->sample_rate = LATM_RATE; /* it was the time stamps' rate: elements tell the sound's */
    d->format = rtp_nal_format(codec, track->fmtp);
    fu_repair_init(&d->fu, codec);
    *out = d;
    return 0;
}

void rtp_depacketizer_free(struct rtp_depacketizer **d)
{
    struct rtp_depacketizer *p = *d;
    *d = NULL;
    if (p == NULL)
        return;
    rtp_picture_free(&p->pictures);
    avformat_close_input(&p->fmt);
    free_io(&p->io);
    av_packet_free(&p->pkt);
    free(p->packet);
    rtp_buffer_free(&p->unit);
    free(p);
}

bool rtp_depacketizer_is_other_codec(const struct rtp_depacketizer *d)
{
    return d->other_codec;
}

const AVCodecParameters *rtp_depacketizer_par(const struct rtp_depacketizer *d)
{
    return d->pictures != NULL ? rtp_picture_par(d->pictures) : d->fmt->streams[0]->codecpar;
}

static void emit(struct rtp_depacketizer *d, struct media_packet *packet)
{
    packet->lost_before = packet->lost_before || d->lost;
    d->lost = false;
    d->emit(d->ctx, packet);
}

/* --- putting a unit together -------------------------------------------- */

static void flush_unit(struct rtp_depacketizer *d, bool last)
{
    if (d->unit.len == 0)
        return;
    struct media_packet packet = d->unit_packet;
    packet.data = d->unit.data;
    packet.len = d->unit.len;
    packet.last = last;
    d->unit.len = 0;
    emit(d, &packet);
}

static void join(struct rtp_depacketizer *d, const uint8_t *data, size_t len)
{
    if (rtp_buffer_append(&d->unit, data, len))
        return;
    d->unit.len = 0;
    d->lost = true;
}

/* --- one packet --------------------------------------------------------- */

/* Some cameras put Annex B into RTP: remove the first start code, so that the payload begins with
 * the NAL unit's header.  Later start codes are found by the access unit code. */
static size_t start_code_bytes(const uint8_t *p, size_t len)
{
    if (len > 4 && p[0] == 0 && p[1] == 0 && p[2] == 0 && p[3] == 1)
        return 4;
    if (len > 3 && p[0] == 0 && p[1] == 0 && p[2] == 1)
        return 3;
    return 0;
}

/* Several audio frames may share a packet: each later one follows the one before by
 * frame_duration. */
static int64_t audio_pts(struct rtp_depacketizer *d, int64_t packet_pts)
{
    if (d->frames_in_packet++ == 0)
        d->frame_pts = packet_pts;
    else
        d->frame_pts += d->frame_duration;
    return d->frame_pts;
}

/* Measure the frame duration: the previous packet's frames fill the time until this packet. */
static void measure_frames(struct rtp_depacketizer *d, int64_t pts, bool lost_before)
{
    if (d->frames_in_packet > 1 && !lost_before) {
        int64_t first = d->frame_pts - (int64_t)(d->frames_in_packet - 1) * d->frame_duration;
        int64_t measured = (pts - first) / d->frames_in_packet;
        if (measured > AAC_FRAME_SAMPLES / 4 && measured < AAC_FRAME_SAMPLES * 4)
            d->frame_duration = measured;
    }
    if (d->frame_duration == 0)
        d->frame_duration = AAC_FRAME_SAMPLES;
    d->frames_in_packet = 0;
}

/* Write the packet as libavformat needs it: known payload type, no gap in the sequence numbers. */
static void prepare(struct rtp_depacketizer *d, const struct rtp_packet *packet)
{
    uint8_t *p = d->packet;
    size_t len = packet->payload_len;
    assert(RTP_HEADER_BYTES + len <= PACKET_MAX);
    d->sequence++;
    p[0] = 0x80;
    p[1] = (uint8_t)((packet->marker ? 0x80 : 0) | d->payload_type);
    bytes_put16(p + 2, d->sequence);
    bytes_put32(p + 4, packet->timestamp);
    bytes_put32(p + 8, packet->ssrc);
    memcpy(p + RTP_HEADER_BYTES, packet->payload, len);
    d->input = p;
    d->input_len = RTP_HEADER_BYTES + len;
}

static void push_libavformat(struct rtp_depacketizer *d, const struct rtp_packet *packet,
                             const struct media_packet *like)
{
    prepare(d, packet);
    d->io->eof_reached = 0;
    d->io->error = 0;
    while (av_read_frame(d->fmt, d->pkt) >= 0) {
        struct media_packet out = *like;
        out.data = d->pkt->data;
        out.len = (size_t)d->pkt->size;
        if (d->track == TRACK_AUDIO)
            out.pts = audio_pts(d, like->pts);
        else
            out.last = packet->marker;
        emit(d, &out);
        av_packet_unref(d->pkt);
    }
    d->input_len = 0;
}

static void push_nal(struct rtp_depacketizer *d, const struct rtp_packet *packet, bool lost_before,
                     const struct media_packet *like)
{
    bool ended = d->fu.ended;
    enum fu_kind kind = fu_repair_next(&d->fu, packet->payload, packet->payload_len,
                                       packet->timestamp, lost_before);
    struct rtp_nal_part part = {.head_len = 0};
    bool single = kind != FU_ORPHAN &&
                  rtp_nal_read(&part, &d->format, kind, packet->payload, packet->payload_len);
    if (kind != FU_CONTINUE) {
        d->unit_packet.cut = lost_before && !ended; /* its rest may be missing */
        flush_unit(d, single && d->unit_packet.pts != like->pts &&
                          rtp_nal_begins_picture(&part, d->format.codec));
    }
    d->lost = d->lost || lost_before;
    if (kind == FU_ORPHAN)
        return;
    if (!single) {
        push_libavformat(d, packet, like);
    } else if (kind == FU_CONTINUE) {
        if (d->unit.len > 0)
            join(d, part.data, part.len);
    } else if (kind == FU_NONE || part.len > 0) {
        d->unit_packet = *like;
        join(d, part.head, part.head_len);
        join(d, part.data, part.len);
    }
    d->unit_packet.received_us = like->received_us; /* arrival of the unit's last byte */
    if (kind == FU_NONE)
        flush_unit(d, packet->marker);
    else if (packet->marker && fu_repair_complete(&d->fu))
        flush_unit(d, true);
}

/* Take the frame out of a LATM element, with an ADTS header that tells its configuration, or out of
 * one that has its length only.  Returns its bytes, in d->packet; not above 0: there is none. */
static int read_element(struct rtp_depacketizer *d)
{
    struct rtp_aac_frame frames[RTP_AAC_FRAMES_MAX];
    if (!d->elements.known && rtp_aac_read(frames, d->unit.data, d->unit.len) == 1) {
        memcpy(d->packet, frames[0].data, frames[0].len);
        return (int)frames[0].len;
    }
    int len = aac_latm_read(&d->elements, d->unit.data, d->unit.len, d->packet + AAC_ADTS_LEN);
    if (len <= 0 || aac_adts_write(d->packet, &d->elements.config, (size_t)len) != 0)
        return -EINVAL;
    return (int)AAC_ADTS_LEN + len;
}

/* The packets up to the marker hold an element (RFC 6416 section 6.1). */
static void push_latm(struct rtp_depacketizer *d, const struct rtp_packet *packet, bool lost_before,
                      const struct media_packet *like)
{
    if (lost_before || d->unit.len + packet->payload_len > PACKET_MAX - AAC_ADTS_LEN)
        d->unit.len = 0;
    join(d, packet->payload, packet->payload_len);
    if (!packet->marker)
        return;
    int size = read_element(d);
    d->unit.len = 0;
    if (size <= 0)
        return;
    d->unit_packet = *like;
    d->unit_packet.pts = audio_pts(d, like->pts);
    join(d, d->packet, (size_t)size);
    flush_unit(d, false);
}

/* Does an element have its own configuration?  It is RFC 6416's default, and descriptions that have
 * a configuration, too, do not always say cpresent=1. */
static void settle_latm(struct rtp_depacketizer *d, const struct rtp_packet *packet)
{
    struct rtp_aac_frame frames[RTP_AAC_FRAMES_MAX];
    struct aac_latm fresh = {0};
    if (!packet->marker)
        return;
    if (rtp_aac_read(frames, packet->payload, packet->payload_len) > 0)
        d->latm_plain++;
    else
        d->latm = aac_latm_read(&fresh, packet->payload, packet->payload_len, d->packet) > 0;
    d->latm_doubtful = !d->latm && d->latm_plain < LATM_SURE;
}

static bool push_aac(struct rtp_depacketizer *d, const struct rtp_packet *packet,
                     const struct media_packet *like)
{
    struct rtp_aac_frame frames[RTP_AAC_FRAMES_MAX];
    size_t count = rtp_aac_read(frames, packet->payload, packet->payload_len);
    for (size_t i = 0; i < count; i++) {
        d->unit_packet = *like;
        d->unit_packet.pts = audio_pts(d, like->pts);
        join(d, frames[i].data, frames[i].len);
        flush_unit(d, false);
    }
    return count > 0;
}

static void push_payload(struct rtp_depacketizer *d, const struct rtp_packet *packet,
                         bool lost_before, int64_t pts, int64_t received_us)
{
    struct rtp_packet p = *packet;
    const struct media_packet like = {
        .track = d->track,
        .form = d->annex_b ? MEDIA_ANNEX_B : MEDIA_RAW,
        .pts = pts,
        .dts = AV_NOPTS_VALUE,
        .received_us = received_us,
    };
    if (d->pictures != NULL) {
        rtp_picture_push(d->pictures, packet, lost_before, &like);
        return;
    }
    if (d->track == TRACK_VIDEO) {
        size_t skip = start_code_bytes(p.payload, p.payload_len);
        p.payload += skip;
        p.payload_len -= skip;
    }
    d->other_codec = d->other_codec ||
                     (d->annex_b && rtp_is_other_codec(d->format.codec, p.payload, p.payload_len));
    if (d->other_codec)
        return;
    if (d->annex_b) {
        if (rtp_red_guess(&d->red, d->format.codec, &p) && p.payload_len > 0)
            push_nal(d, &p, lost_before, &like);
        else
            d->missed = lost_before;
        return;
    }
    if (d->track == TRACK_AUDIO)
        measure_frames(d, pts, lost_before);
    d->lost = d->lost || lost_before;
    if (d->latm_doubtful)
        settle_latm(d, &p);
    if (d->aac && d->unit.len == 0 && !d->elements.known && push_aac(d, &p, &like))
        return;
    if (d->latm)
        push_latm(d, &p, lost_before, &like);
    else
        push_libavformat(d, &p, &like);
}

void rtp_depacketizer_push(struct rtp_depacketizer *d, const struct rtp_packet *packet,
                           bool lost_before, int64_t pts, int64_t received_us)
{
    bool too_long = packet->payload_len > PACKET_MAX - RTP_HEADER_BYTES;
    bool missed = d->missed || lost_before;
    d->missed = too_long || (missed && packet->payload_len == 0);
    if (!too_long && packet->payload_len > 0)
        push_payload(d, packet, missed, pts, received_us);
}
