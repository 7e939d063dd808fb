/*
 * The seam between a source (RTSP or FLV: how bytes arrive from a camera) and the ingest, which
 * turns them into access units, times and audio.  A source calls these functions from one thread;
 * they never block and never call back into the source.
 */
#ifndef WORKER_MEDIA_SINK_H
#define WORKER_MEDIA_SINK_H

#include "common/ipc.h"
#include "worker/media/frame.h"

#include <libavcodec/codec_par.h>
#include <libavutil/rational.h>

/* One track as the camera announces it (SDP, FLV headers). */
struct media_track {
    const AVCodecParameters *par; /* codec, extradata if known, sample rate, channels.  Borrowed. */
    AVRational time_base;         /* of pts and dts below */
};

enum media_packet_form {
    MEDIA_ANNEX_B, /* some NAL units of an access unit, each after a start code (RTP); bytes before
                      the first start code continue the previous packet's NAL unit */
    MEDIA_LENGTHS, /* one message: NAL units after length fields (FLV); an access unit, or a part */
    MEDIA_RAW,     /* audio; a whole picture of a codec without NAL units */
};

struct media_packet {
    enum track track;
    enum media_packet_form form;
    bool key;            /* the container says that decoding may start here (FLV) */
    bool last;           /* known to end its access unit (RTP marker) */
    bool lost_before;    /* this track lost packets right before this one */
    bool cut;            /* the end of its last NAL unit is missing */
    const uint8_t *data; /* Borrowed for the call; AV_INPUT_BUFFER_PADDING_SIZE bytes follow */
    size_t len;
    int64_t pts;         /* in the track's time base, AV_NOPTS_VALUE if unknown */
    int64_t dts;         /* in the same units; RTP has none */
    int64_t received_us; /* clock_us() */
    int64_t captured_us; /* by the camera's clock, UNIX time; 0: unknown */
};

/* A sender report: what the camera's wall clock showed at a time of a track. */
struct media_report {
    enum track track;
    int64_t pts;     /* in the track's time base, on the same base as its packets' */
    int64_t wall_us; /* any origin, the same for both tracks */
    int64_t received_us;
};

struct media_sink {
    /* The tracks are known; called again after a reconnect.  audio may be NULL.  Returns 0,
     * -ENOTSUP if the video codec is not supported, or another negative errno if memory is out. */
    int (*on_tracks)(void *ctx, const struct media_track *video, const struct media_track *audio);

    /* After on_tracks: the sound alone is announced, later or anew.  Pictures are not disturbed. */
    void (*on_audio)(void *ctx, const struct media_track *audio);

    /* After on_tracks or on_audio: why viewers get no sound of the camera. */
    void (*on_no_audio)(void *ctx, enum ipc_no_audio why);

    /* A packet.  Returns true if it shows that the camera is alive. */
    bool (*on_packet)(void *ctx, const struct media_packet *packet);

    /* A sender report (RTSP only).  Borrowed for the call.  NULL: not wanted. */
    void (*on_report)(void *ctx, const struct media_report *report);

    void *ctx;
};

#endif /* WORKER_MEDIA_SINK_H */
