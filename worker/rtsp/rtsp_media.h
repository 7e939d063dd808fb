/*
 * The media of one RTSP connection: RTP and RTCP of its tracks go in, media packets on one clock
 * come out.  Worker, loop thread; no I/O, time is an argument.
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
    bool unnumbered_told; /* once for each connection is enough */
};

/* Zeroed: no tracks. */
struct rtsp_media {
    /* A media packet came out.  Borrowed for the call. */
    void (*on_media)(void *ctx, const struct media_packet *packet);
    /* A sender report came.  Borrowed for the call. */
    void (*on_report)(void *ctx, const struct media_report *report);
    void *ctx;
    struct rtsp_media_track tracks[TRACK_COUNT];
    struct rtp_clock clock;
    bool heard; /* RTP came */
    bool bye;   /* the picture's source said that it leaves */
    uint8_t key_frame_requests;
};

/**
 * Get ready for the tracks of a session.  Sound that libavformat does not understand is left out.
 *
 * @param media     on_media, on_report and ctx set, else zeroed.  Caller owns, at one place;
 * rtsp_media_close().
 * @param session   Borrowed until then.
 * @param udp       packets may overtake each other.
 * @param has_audio the session has set up a track of sound.
 * @return 0; -ENOTSUP the picture is not understood; -ENOMEM.  Close it then, too.
 */
int rtsp_media_open(struct rtsp_media *media, const struct rtsp_session *session, bool udp,
                    bool has_audio);

/** Free what it holds; it is zeroed then. */
void rtsp_media_close(struct rtsp_media *media);

/** Is there such a track? */
bool rtsp_media_has(const struct rtsp_media *media, enum track track);

/** Tell a sink of the tracks.  Before the first packet.  @return what the sink says. */
int rtsp_media_announce(const struct rtsp_media *media, const struct media_sink *sink);

/** A packet of RTP or RTCP.  Those of tracks that are not there are ignored. */
void rtsp_media_push(struct rtsp_media *media, enum track track, bool rtcp, const uint8_t *data,
                     size_t len, int64_t now_us);

/** Stop waiting for packets that are overdue. */
void rtsp_media_timeout(struct rtsp_media *media, int64_t now_us);
/** When rtsp_media_timeout() wants to be called; INT64_MAX: never. */
int64_t rtsp_media_deadline(const struct rtsp_media *media);

/**
 * A receiver report of a track.
 *
 * @param ask_key_frame  with a request for a key frame; for the picture.
 * @param buf            RTP_REPORT_MAX bytes.
 * @return bytes; 0 while there is nothing to report.
 */
size_t rtsp_media_report(struct rtsp_media *media, enum track track, bool ask_key_frame,
                         int64_t now_us, uint8_t *buf);

/** Packets that never came. */
uint64_t rtsp_media_packets_lost(const struct rtsp_media *media);

#endif /* WORKER_RTSP_MEDIA_H */
