/*
 * The bytes that one viewer gets: an answer, the FLV preamble, then a tag for each frame of the
 * ring from its position on, as plain HTTP or as WebSocket messages.  Worker, loop thread; writes
 * to a non-blocking socket, never copies a payload.
 *
 * A viewer holds a position in the ring, and one reference to a frame that the socket took only in
 * part.  A viewer whose next frame arrived more than queue_max_ms before the newest picture
 * continues at the next key frame.
 */
#ifndef WORKER_FLV_OUTPUT_H
#define WORKER_FLV_OUTPUT_H

#include "common/handover.h"
#include "common/ipc.h"
#include "worker/media/frame_ring.h"
#include "worker/viewers/flv.h"
#include "worker/viewers/viewer_start.h"
#include "worker/viewers/websocket.h"

#define FLV_OUTPUT_PREFIX_MAX (WEBSOCKET_HEADER_MAX + FLV_PREFIX_MAX)

/* The bytes around one frame's payload on the wire of one viewer. */
struct flv_output_tag {
    struct frame *frame; /* Borrowed from the ring; `partial` owns one reference */
    uint8_t prefix[FLV_OUTPUT_PREFIX_MAX];
    uint8_t prefix_len;
    uint8_t trailer[FLV_TRAILER_BYTES];
};

/* Where a viewer is in the stream; rolled back when the socket takes only a part of a write. */
struct flv_output_position {
    uint64_t cursor; /* ring sequence number of the next frame */
    bool wait_key;   /* leave out frames until the next key frame */
    struct viewer_clock clock;
};

#define FLV_OUTPUT_H264 0x61766331u /* codec: 'avc1' */

/* Members are private to flv_output.c, except codec and the counters. */
struct flv_output {
    const struct frame_ring *ring;   /* Borrowed */
    const struct ipc_limits *limits; /* Borrowed; may change */
    enum flv_dialect dialect;
    bool websocket;
    bool want_audio;
    bool started;       /* the preamble was appended */
    bool codec_changed; /* the frame after the last batch has another codec */
    struct flv_output_position at;
    int64_t joined_us;      /* arrival of the newest picture when this viewer came */
    int64_t silent_from_us; /* viewer's time of the next silent frame */
    int silent_frames;      /* silent frames still to be sent */
    struct codec_config *config[TRACK_COUNT]; /* what the viewer was told.  One reference each */

    /* To be written in this order, before further frames. */
    struct flv_output_tag partial; /* frame that the socket took in part */
    size_t partial_sent;
    uint8_t *head; /* answer, sequence headers, control frames */
    size_t head_len;
    size_t head_sent;

    uint64_t told[TRACK_COUNT]; /* handover_digest() of the sequence headers; 0: no such track */
    uint32_t codec;             /* of the video that the viewer was told of: FourCC */
    uint64_t bytes_before;      /* written by the workers before this one */
    uint64_t bytes;             /* written */
    uint64_t frames_skipped;    /* because the viewer was too slow */
};

enum flv_output_result {
    FLV_OUTPUT_DONE,  /* everything was written */
    FLV_OUTPUT_FULL,  /* the socket takes no more for now */
    FLV_OUTPUT_MORE,  /* there is more: a backlog */
    FLV_OUTPUT_LOST,  /* the connection is gone */
    FLV_OUTPUT_CODEC, /* the next frame has another codec, which no player accepts: close */
    FLV_OUTPUT_END    /* timestamps near 2^31 ms: close */
};

/**
 * @param ring, limits  Borrowed; outlive the output, or flv_output_move() for the ring.
 * @param request       dialect, audio, WebSocket.  Borrowed for the call.
 */
void flv_output_init(struct flv_output *output, const struct frame_ring *ring,
                     const struct ipc_limits *limits, const struct ipc_client *request);
void flv_output_free(struct flv_output *output);

/** Append bytes to send as they are, between tags: an HTTP answer, a WebSocket control frame. */
void flv_output_append(struct flv_output *output, const void *data, size_t len);

/** Bytes appended but not written yet. */
size_t flv_output_pending(const struct flv_output *output);

/** Is the connection between two messages, so that a last one may be written directly? */
bool flv_output_is_between_messages(const struct flv_output *output);

/**
 * Take a position in the ring and append the preamble: header, onMetaData, sequence headers.  The
 * silence described in viewer_start.h follows the first key frame.
 *
 * @param join   Borrowed for the call.
 * @param video  configuration of the stream.  Shared: takes a reference.
 * @param audio  likewise; NULL: the stream has no audio.
 */
void flv_output_start(struct flv_output *output, const struct viewer_join *join,
                      struct codec_config *video, struct codec_config *audio);

/**
 * Go on in the answer that another worker began: take a position in the ring so that the viewer's
 * time goes on after its last tags.  Sequence headers follow only if they differ.
 *
 * @param slot    what the viewer got last.  Borrowed for the call.
 * @param now_us, video, audio  as for flv_output_start().
 * @return false: the viewer was told of another codec, or of other tracks: close.
 */
bool flv_output_resume(struct flv_output *output, const struct handover_slot *slot, int64_t now_us,
                       struct codec_config *video, struct codec_config *audio);

/** Go on in another ring, at its next key frame.  What the socket took in part is finished first.
 */
void flv_output_move(struct flv_output *output, const struct frame_ring *ring);

/** Write down what another worker needs to go on.  The connection is between two messages. */
void flv_output_record(const struct flv_output *output, struct handover_slot *slot);

/**
 * Write to fd, non-blocking, with one system call: all new frames, or the beginning of a backlog.
 * The first write ends after the first key frame.
 */
enum flv_output_result flv_output_write(struct flv_output *output, int fd);

#endif /* WORKER_FLV_OUTPUT_H */
