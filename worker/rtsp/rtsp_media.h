/*
 * Turns the RTP and RTCP of one RTSP connection's tracks into media packets on one clock.  Worker,
 * loop thread; no I/O, time is an argument.
 */
#ifndef WORKER_RTSP_MEDIA_H
#define WORKER_RTSP_MEDIA_H

#include "worker/media/media_sink.h"
#include "worker/rtp/rtp_clock.h"
#include "worker/rtp/rtp_receive.h"
#include "worker/rtsp/rtsp_session.h"

struct rtp_depacketizer;

struct rtsp_media_track {
    struct rtsp_media *media;
    enum track track;
    const struct rtsp_track *session; /* Borrowed from the session; NULL: no such track */
    struct rtp_receiver *receiver;
    struct rtp_depacketizer *depacketizer;
    bool rtptime_used;
    bool unnumbered_told; /* the log entry was written: once per connection */
};

/* Zeroed: no tracks. */
struct rtsp_media {
    /* A media packet is complete.  Borrowed for the call. */
    void (*on_media)(void *ctx, const struct media_packet *packet);
    /* A sender report came.  Borrowed for the call. */
    void (*on_report)(void *ctx, const struct media_report *report);
    void *ctx;
    struct rtsp_media_track tracks[TRACK_COUNT];
    struct rtp_clock clock;
    bool heard; /* RTP has arrived */
    bool bye;   /* the video source said goodbye */
    uint8_t key_frame_requests;
};

/**
 * Prepare for a session's tracks.  Audio that libavformat does not understand is left out.
 *
 * @param media      zeroed except on_media, on_report and ctx; must not move in memory.  Caller
 *                   owns; rtsp_media_close(), after an error too.
 * @param session    Borrowed until then.
 * @param udp        packets may overtake each other.
 * @param has_audio  the session has set up an audio track.
 * @return 0; -ENOTSUP libavformat does not understand the video; -ENOMEM.
 */
int rtsp_media_open(struct rtsp_media *media, const struct rtsp_session *session, bool udp,
                    bool has_audio);

/** Free its contents and zero it. */
void rtsp_media_close(struct rtsp_media *media);

/** Is there such a track? */
bool rtsp_media_has(const struct rtsp_media *media, enum track track);

/** Announce the tracks to a sink, before the first packet.  @return the sink's result. */
int rtsp_media_announce(const struct rtsp_media *media, const struct media_sink *sink);

/** Take an RTP or RTCP packet.  Packets of missing tracks are ignored. */
void rtsp_media_push(struct rtsp_media *media, enum track track, bool rtcp, const uint8_t *data,
                     size_t len, int64_t now_us);

/** Stop waiting for packets that are overdue. */
void rtsp_media_timeout(struct rtsp_media *media, int64_t now_us);
/** When to call rtsp_media_timeout(); INT64_MAX: never. */
int64_t rtsp_media_deadline(const struct rtsp_media *media);

/**
 * Write a track's receiver report.
 *
 * @param ask_key_frame  add a request for a key frame; video only.
 * @param buf            room for RTP_REPORT_MAX bytes.
 * @return bytes; 0 while there is nothing to report.
 */
size_t rtsp_media_report(struct rtsp_media *media, enum track track, bool ask_key_frame,
                         int64_t now_us, uint8_t *buf);

/** Are the pictures H.264 that the description calls HEVC, or the other way round; or of the one
 * that it names second? */
bool rtsp_media_is_other_codec(const struct rtsp_media *media);

/** How many RTP packets were lost. */
uint64_t rtsp_media_packets_lost(const struct rtsp_media *media);

#endif /* WORKER_RTSP_MEDIA_H */
