/*
 * The seam between a source (RTSP, FLV: how bytes come from a camera) and what is made of them
 * (ingest: access units, timeline, audio).  A source calls these functions from one thread; they
 * never block and never call back into the source.
 */
#ifndef WORKER_MEDIA_SINK_H
#define WORKER_MEDIA_SINK_H

#include "worker/media/frame.h"

#include <libavcodec/codec_par.h>
#include <libavutil/rational.h>

/* One track as the camera announces it (SDP, FLV headers). */
struct media_track {
    const AVCodecParameters *par; /* codec, extradata if known, sample rate, channels.  Borrowed. */
    AVRational time_base;         /* of pts and dts below */
};

enum media_packet_form {
    MEDIA_ANNEX_B, /* some NAL units of an access unit, each after a start code (RTP); what comes
                      before the first start code continues the NAL unit of the packet before */
    MEDIA_LENGTHS, /* a complete access unit, NAL units after length fields (FLV, MP4) */
    MEDIA_RAW,     /* audio */
};

struct media_packet {
    enum track track;
    enum media_packet_form form;
    bool last;           /* known to be the last of its access unit (RTP marker) */
    bool lost_before;    /* packets of this track were lost right before or within this one */
    const uint8_t *data; /* Borrowed for the call; AV_INPUT_BUFFER_PADDING_SIZE bytes follow */
    size_t len;
    int64_t pts;         /* in the track's time base, AV_NOPTS_VALUE if unknown */
    int64_t dts;         /* likewise; RTP has none */
    int64_t received_us; /* clock_us() */
};

struct media_sink {
    /* Tracks are known (again, after a reconnect).  audio may be NULL.  Returns 0, or a negative
     * errno when the video codec is not supported (-ENOTSUP) or memory is out. */
    int (*on_tracks)(void *ctx, const struct media_track *video, const struct media_track *audio);

    /* A packet.  Returns true if it was media that counts as a sign of life. */
    bool (*on_packet)(void *ctx, const struct media_packet *packet);

    void *ctx;
};

#endif /* WORKER_MEDIA_SINK_H */
