/*
 * An RTSP camera through libavformat's client.  Worker, the source's own thread: it blocks, under
 * deadlines that an interrupt callback enforces.  What libavformat gets wrong by default is set
 * right in open_options(); field notes on cameras are in docs/architecture.md.
 */
#include "common/clock.h"
#include "worker/av_util.h"
#include "worker/source.h"

#include <errno.h>
#include <libavformat/avformat.h>
#include <stdio.h>

#define TEARDOWN_US 1000000
#define UDP_BUFFER_BYTES "4194304" /* a 4K key frame arrives as one burst */

struct lavf_source {
    const struct source_params *params;
    const atomic_bool *stop;
    int64_t deadline_us; /* re-armed by accepted media packets only */
    bool closing;        /* saying TEARDOWN, which a request to stop must not cut short */
    AVFormatContext *fmt;
    int video; /* stream index, -1: none */
    int audio;
};

static int on_interrupt(void *opaque)
{
    const struct lavf_source *s = opaque;
    bool stopped = !s->closing && atomic_load_explicit(s->stop, memory_order_acquire);
    return stopped || clock_us() > s->deadline_us;
}

static uint32_t socket_timeout_ms(const struct source_params *params)
{
    return params->connect_timeout_ms > params->stall_timeout_ms ? params->connect_timeout_ms
                                                                 : params->stall_timeout_ms;
}

static void open_options(const struct source_params *params, bool video_only, AVDictionary **opts)
{
    bool udp = params->transport == IPC_TRANSPORT_RTSP_UDP;
    (void)av_dict_set(opts, "rtsp_transport", udp ? "udp" : "tcp", 0);
    /* Microseconds of socket silence; `stimeout` is gone since FFmpeg 5 and ignored.  Only for
     * where the interrupt callback, which knows the real deadlines, is not asked. */
    (void)av_dict_set_int(opts, "timeout", (int64_t)socket_timeout_ms(params) * 1000, 0);
    /* Metadata and back channels are not set up: one rejected SETUP fails the whole open. */
    (void)av_dict_set(opts, "allowed_media_types", video_only ? "video" : "video+audio", 0);
    (void)av_dict_set(opts, "user_agent", "CAM-HTTPFLV", 0); /* some cameras refuse none */
    if (udp)
        (void)av_dict_set(opts, "buffer_size", UDP_BUFFER_BYTES, 0);
}

static int open_camera(struct lavf_source *s, bool video_only)
{
    AVDictionary *opts = NULL;
    open_options(s->params, video_only, &opts);
    s->fmt = avformat_alloc_context();
    if (s->fmt == NULL)
        return AVERROR(ENOMEM);
    s->fmt->interrupt_callback = (AVIOInterruptCB){on_interrupt, s};
    /* Access units are put together by access_unit.c, so libavformat's parsers, which hold every
     * frame back until the next one begins, stay off. */
    s->fmt->flags |= AVFMT_FLAG_NOPARSE | AVFMT_FLAG_NOFILLIN;
    int rc = avformat_open_input(&s->fmt, s->params->url, NULL, &opts);
    av_dict_free(&opts);
    return rc;
}

static void find_tracks(struct lavf_source *s)
{
    s->video = s->audio = -1;
    for (unsigned i = 0; i < s->fmt->nb_streams; i++) {
        AVStream *st = s->fmt->streams[i];
        enum AVMediaType type = st->codecpar->codec_type;
        if (type == AVMEDIA_TYPE_VIDEO && s->video == -1)
            s->video = (int)i;
        else if (type == AVMEDIA_TYPE_AUDIO && s->audio == -1)
            s->audio = (int)i;
        else
            st->discard = AVDISCARD_ALL;
    }
}

static enum http_error announce_tracks(struct lavf_source *s, const struct media_sink *sink,
                                       char *detail, size_t detail_size)
{
    find_tracks(s);
    if (s->video == -1) {
        (void)snprintf(detail, detail_size, "the camera offers no video track");
        return HTTP_ERROR_CAMERA_NO_VIDEO;
    }
    const AVStream *v = s->fmt->streams[s->video];
    struct media_track video = {v->codecpar, v->time_base};
    struct media_track audio;
    if (s->audio != -1) {
        const AVStream *a = s->fmt->streams[s->audio];
        audio = (struct media_track){a->codecpar, a->time_base};
    }
    if (sink->on_tracks(sink->ctx, &video, s->audio != -1 ? &audio : NULL) != 0) {
        (void)snprintf(detail, detail_size, "video codec %s is not H.264 or HEVC",
                       avcodec_get_name(v->codecpar->codec_id));
        return HTTP_ERROR_UNSUPPORTED_CODEC;
    }
    return HTTP_ERROR_NONE;
}

static void deliver(struct lavf_source *s, const struct media_sink *sink, const AVPacket *pkt)
{
    bool is_video = pkt->stream_index == s->video;
    if (!is_video && pkt->stream_index != s->audio)
        return;
    struct media_packet packet = {
        .track = is_video ? TRACK_VIDEO : TRACK_AUDIO,
        .form = is_video ? MEDIA_ANNEX_B : MEDIA_RAW,
        .lost_before = (pkt->flags & AV_PKT_FLAG_CORRUPT) != 0,
        .data = pkt->data,
        .len = (size_t)pkt->size,
        .pts = pkt->pts,
        .dts = AV_NOPTS_VALUE, /* RTP carries presentation times only */
        .received_us = clock_us(),
    };
    if (sink->on_packet(sink->ctx, &packet))
        s->deadline_us = clock_us() + (int64_t)s->params->stall_timeout_ms * 1000;
}

static enum http_error read_packets(struct lavf_source *s, const struct media_sink *sink,
                                    char *detail, size_t detail_size)
{
    AVPacket *pkt = av_packet_alloc();
    if (pkt == NULL)
        abort();
    int rc = 0;
    while (rc >= 0 && !on_interrupt(s)) {
        rc = av_read_frame(s->fmt, pkt);
        if (rc >= 0) {
            deliver(s, sink, pkt);
            av_packet_unref(pkt);
        } else if (rc == AVERROR(EAGAIN)) {
            rc = 0;
        }
    }
    av_packet_free(&pkt);
    if (clock_us() > s->deadline_us) {
        (void)snprintf(detail, detail_size, "no media for too long");
        return HTTP_ERROR_CAMERA_TIMEOUT;
    }
    if (rc == AVERROR_EOF) {
        (void)snprintf(detail, detail_size, "the camera ended the stream");
        return HTTP_ERROR_CAMERA_UNREACHABLE;
    }
    return av_util_camera_error(rc, detail, detail_size);
}

/* One rejected SETUP fails the whole open, and it is mostly the audio's: once more without. */
static bool worth_video_only(int averror)
{
    return averror == AVERROR_INVALIDDATA || averror == AVERROR_HTTP_BAD_REQUEST ||
           averror == AVERROR_HTTP_OTHER_4XX || averror == AVERROR_HTTP_SERVER_ERROR ||
           averror == AVERROR_HTTP_NOT_FOUND;
}

enum http_error source_lavf_run(const struct source_params *params, const struct media_sink *sink,
                                const atomic_bool *stop, char *detail, size_t detail_size)
{
    struct lavf_source s = {.params = params, .stop = stop};
    s.deadline_us = clock_us() + (int64_t)params->connect_timeout_ms * 1000;
    enum http_error error;

    int rc = open_camera(&s, false);
    if (rc < 0 && worth_video_only(rc) && !on_interrupt(&s)) {
        int again = open_camera(&s, true);
        rc = again >= 0 ? again : rc;
    }
    if (rc < 0) {
        error = av_util_camera_error(rc, detail, detail_size);
        if (clock_us() > s.deadline_us) {
            (void)snprintf(detail, detail_size, "no answer within %u ms",
                           params->connect_timeout_ms);
            error = HTTP_ERROR_CAMERA_TIMEOUT;
        }
        goto out;
    }
    error = announce_tracks(&s, sink, detail, detail_size);
    if (error == HTTP_ERROR_NONE)
        error = read_packets(&s, sink, detail, detail_size);

out:
    s.closing = true;
    s.deadline_us = clock_us() + TEARDOWN_US;
    avformat_close_input(&s.fmt); /* sends TEARDOWN */
    return atomic_load_explicit(stop, memory_order_acquire) ? HTTP_ERROR_NONE : error;
}
