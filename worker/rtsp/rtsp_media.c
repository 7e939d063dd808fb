#include "worker/rtsp/rtsp_media.h"

#include "common/bytes.h"
#include "common/clock.h"
#include "common/log.h"
#include "worker/rtp/rtp_depacketize.h"
#include "worker/rtp/rtp_feedback.h"

#include <string.h>

#define UNNUMBERED_TOLD 10 /* packets before it is logged: fewer may be a slip */

static const char *const names[TRACK_COUNT] = {"video", "audio"};

static void on_media(void *ctx, const struct media_packet *packet)
{
    const struct rtsp_media_track *k = ctx;
    struct media_packet stamped = *packet;
    if (k->track == TRACK_VIDEO && packet->pts != AV_NOPTS_VALUE)
        stamped.captured_us = rtp_clock_captured_us(
            &k->media->clock, packet->pts, clock_unix_us() - (clock_us() - packet->received_us));
    k->media->on_media(k->media->ctx, &stamped);
}

static void on_rtp(void *ctx, const struct rtp_packet *packet, bool lost_before,
                   int64_t received_us)
{
    struct rtsp_media_track *k = ctx;
    struct rtp_clock *clock = &k->media->clock;
    if (!k->rtptime_used && k->session->has_rtptime) {
        k->rtptime_used = true;
        rtp_clock_rtptime(clock, k->track, k->session->rtptime);
    }
    int64_t pts = rtp_clock_pts(clock, k->track, packet->timestamp, received_us);
    rtp_depacketizer_push(k->depacketizer, packet, lost_before, pts, received_us);
}

/* @return the track's clock rate in Hz, or a negative errno. */
static int open_track(struct rtsp_media *m, enum track track, const struct rtsp_track *session,
                      bool udp)
{
    struct rtsp_media_track *k = &m->tracks[track];
    k->media = m;
    k->track = track;
    k->session = session;
    int rc = rtp_depacketizer_open(session->sdp, on_media, k, &k->depacketizer);
    if (rc != 0)
        return rc;
    k->receiver = rtp_receiver_new(udp, session->sdp->clock_rate, &session->sdp->types, on_rtp, k);
    return (int)session->sdp->clock_rate;
}

int rtsp_media_open(struct rtsp_media *media, const struct rtsp_session *session, bool udp,
                    bool has_audio)
{
    uint32_t rates[TRACK_COUNT] = {0};
    for (int i = 0; i < TRACK_COUNT; i++) {
        if (i == TRACK_AUDIO && !has_audio)
            continue;
        int rc = open_track(media, (enum track)i, rtsp_session_track(session, (enum track)i), udp);
        if (rc < 0 && i == TRACK_VIDEO)
            return rc;
        rates[i] = rc < 0 ? 0 : (uint32_t)rc;
    }
    rtp_clock_init(&media->clock, rates);
    return 0;
}

static void log_stats(const struct rtsp_media_track *k)
{
    const struct rtp_stats *stats = rtp_receiver_stats(k->receiver);
    log_debug(NULL, "rtp: %s: %llu packets, %llu lost, %llu reordered, %llu late, %llu foreign",
              names[k->track], (unsigned long long)stats->received, (unsigned long long)stats->lost,
              (unsigned long long)stats->reordered, (unsigned long long)stats->late,
              (unsigned long long)stats->foreign);
}

void rtsp_media_close(struct rtsp_media *media)
{
    for (int i = 0; i < TRACK_COUNT; i++) {
        struct rtsp_media_track *k = &media->tracks[i];
        if (k->receiver != NULL)
            log_stats(k);
        rtp_receiver_free(&k->receiver);
        rtp_depacketizer_free(&k->depacketizer);
    }
    *media = (struct rtsp_media){0};
}

bool rtsp_media_has(const struct rtsp_media *media, enum track track)
{
    return media->tracks[track].receiver != NULL;
}

static struct media_track describe(const struct rtsp_media_track *k)
{
    return (struct media_track){
        .par = rtp_depacketizer_par(k->depacketizer),
        .time_base = {1, (int)k->session->sdp->clock_rate},
    };
}

static void take_report(struct rtsp_media_track *k, const struct rtp_sender_report *report,
                        int64_t now_us)
{
    struct media_report out = {.track = k->track, .received_us = now_us};
    if (rtp_clock_report(&k->media->clock, k->track, report->ntp, report->timestamp, &out.pts,
                         &out.wall_us))
        k->media->on_report(k->media->ctx, &out);
}

int rtsp_media_announce(const struct rtsp_media *media, const struct media_sink *sink)
{
    const struct media_track picture = describe(&media->tracks[TRACK_VIDEO]);
    if (!rtsp_media_has(media, TRACK_AUDIO))
        return sink->on_tracks(sink->ctx, &picture, NULL);
    const struct media_track sound = describe(&media->tracks[TRACK_AUDIO]);
    return sink->on_tracks(sink->ctx, &picture, &sound);
}

static void push_rtcp(struct rtsp_media_track *k, const uint8_t *data, size_t len, int64_t now_us)
{
    struct rtp_sender_report report;
    bool bye;
    if (rtp_receiver_rtcp(k->receiver, data, len, now_us, &report, &bye))
        take_report(k, &report, now_us);
    if (bye && k->track == TRACK_VIDEO)
        k->media->bye = true;
}

static void push_rtp(struct rtsp_media_track *k, const uint8_t *data, size_t len, int64_t now_us)
{
    struct rtp_receiver *other =
        k->media->tracks[k->track == TRACK_VIDEO ? TRACK_AUDIO : TRACK_VIDEO].receiver;
    k->media->heard = true;
    rtp_receiver_packet(k->receiver, data, len, now_us);
    if (other != NULL && len >= 4)
        rtp_receiver_other_track(other, (uint16_t)bytes_get16(data + 2));
    if (k->unnumbered_told || rtp_receiver_stats(k->receiver)->unnumbered < UNNUMBERED_TOLD)
        return;
    k->unnumbered_told = true;
    log_info(NULL, "rtp: the sequence number of %s stands still: packets are taken as they come",
             names[k->track]);
}

void rtsp_media_push(struct rtsp_media *media, enum track track, bool rtcp, const uint8_t *data,
                     size_t len, int64_t now_us)
{
    struct rtsp_media_track *k = &media->tracks[track];
    if (k->receiver == NULL)
        return;
    if (rtcp)
        push_rtcp(k, data, len, now_us);
    else
        push_rtp(k, data, len, now_us);
}

void rtsp_media_timeout(struct rtsp_media *media, int64_t now_us)
{
    for (int i = 0; i < TRACK_COUNT; i++)
        if (media->tracks[i].receiver != NULL)
            rtp_receiver_timeout(media->tracks[i].receiver, now_us);
}

int64_t rtsp_media_deadline(const struct rtsp_media *media)
{
    int64_t at = INT64_MAX;
    for (int i = 0; i < TRACK_COUNT; i++) {
        if (media->tracks[i].receiver == NULL)
            continue;
        int64_t due = rtp_receiver_deadline(media->tracks[i].receiver);
        at = due < at ? due : at;
    }
    return at;
}

size_t rtsp_media_report(struct rtsp_media *media, enum track track, bool ask_key_frame,
                         int64_t now_us, uint8_t *buf)
{
    struct rtp_receiver *receiver = media->tracks[track].receiver;
    size_t len = receiver != NULL ? rtp_receiver_report(receiver, now_us, buf) : 0;
    if (len > 0 && ask_key_frame && len + RTP_FEEDBACK_BYTES <= RTP_REPORT_MAX)
        len = rtp_feedback_ask_key_frame(buf, len, ++media->key_frame_requests);
    return len;
}

bool rtsp_media_is_other_codec(const struct rtsp_media *media)
{
    const struct rtsp_media_track *video = &media->tracks[TRACK_VIDEO];
    return video->receiver != NULL && (rtp_depacketizer_is_other_codec(video->depacketizer) ||
                                       rtp_receiver_is_other_codec(video->receiver));
}

uint64_t rtsp_media_packets_lost(const struct rtsp_media *media)
{
    uint64_t lost = 0;
    for (int i = 0; i < TRACK_COUNT; i++)
        if (media->tracks[i].receiver != NULL)
            lost += rtp_receiver_stats(media->tracks[i].receiver)->lost;
    return lost;
}
