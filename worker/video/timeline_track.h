/*
 * What the output clock (timeline.h) gets and keeps of one track.  Worker, source thread.  Only
 * timeline.c, timeline_step.c, timeline_order.c and timeline_history.c write it; timeline_peer.c
 * reads it.
 */
#ifndef WORKER_TIMELINE_TRACK_H
#define WORKER_TIMELINE_TRACK_H

#include "worker/media/frame.h"
#include "worker/video/camera_clock.h"
#include "worker/video/decode_order.h"
#include "worker/video/stamp_rate.h"
#include "worker/video/timeline_steer.h"

#include <stdbool.h>
#include <stdint.h>

/* "Not known"; the same value as AV_NOPTS_VALUE. */
#define TIMELINE_NONE INT64_MIN

/* One access unit or audio packet, as the camera stamped it. */
struct timeline_in {
    enum track track;
    int reorder_frames;  /* video: from codec_config; used when dts_us is TIMELINE_NONE */
    int64_t pts_us;      /* on the source's clock, TIMELINE_NONE if unknown */
    int64_t dts_us;      /* likewise; RTP has none */
    int64_t duration_us; /* nominal: 1 / frame rate, or samples / sample rate; 0 if unknown */
    int64_t wrap_us;     /* 2^32 ticks of the source's clock; 0 if the source unwraps by itself */
    int64_t received_us; /* monotonic; never goes back between calls */
};

struct timeline_track {
    bool started; /* last_dts_us is valid */
    bool active;  /* last_key_us, last_received_us, lead_us are valid, since the last reconnect */
    bool mapped;  /* steer maps source + offset_us; last_source_us is valid, since then */
    int64_t offset_us; /* takes the jumps of the source's clock out */
    struct timeline_steer steer;
    int64_t mapped_us;          /* arrival of the first packet, since then */
    bool came_fast;             /* faster than real time, shortly after */
    int64_t resumed_us;         /* arrival at which a pause ended */
    struct camera_clock camera; /* wall clock of source times, by sender reports */
    int64_t last_source_us;     /* newest source time stamp, for stuck clocks */
    int64_t last_key_us;        /* where the newest packet belongs on the output clock */
    int64_t last_received_us;   /* its arrival */
    int64_t last_dts_us;        /* newest output, after enforcing growth */
    int64_t lead_us;            /* output clock - arrival clock at the newest good time stamp */
    int64_t undo_offset_us;     /* offset before the last jump, */
    int64_t undo_until_us;      /* ... which is tried again until this arrival time */
    int64_t peer_shift_us;      /* a shift that only the other track's offset has made, */
    int64_t peer_until_us;      /* ... which is tried until this arrival time */
    int64_t peer_step_us;       /* the same for a step that is no jump; 0: there was none */
    int64_t peer_step_until_us;
    int64_t step_from_us;       /* newest stamp before the newest step, offset included */
    int64_t step_at_us;         /* its arrival */
    int64_t back_by_us;         /* how far stamps stepped back; 0: no step is undecided */
    int64_t back_late_us;       /* how late the packet before it was */
    int64_t back_least_us;      /* least lateness since the step */
    int back_packets;           /* packets since the step */
    int back_steps;             /* how many such steps in a row have lasted */
    int forth_packets;          /* packets since the stamps stepped forth */
    int64_t forth_us;           /* by how much they did; 0: that is over */
    int64_t forth_at_us;        /* arrival at which they did */
    int forth_undone;           /* how many such steps were single bad stamps */
    int64_t silent_us;          /* longest time without a packet since the newest report */
    int64_t lost_us;            /* media that were lost, as a report says; 0: none */
    int64_t lost_at_us;         /* its arrival */
    int64_t lost_least_us;      /* how far the output has been behind since then, at least */
    int64_t lasted_us;          /* durations since the newest usable stamp */
    struct stamp_rate rate;     /* at which sound's stamps count */
    int falling;                /* packets in a row whose stamp was less than the one before */
    bool leapt;                 /* the newest stamp moved forward by more than a frame */
    int64_t leapt_to_us;        /* the newest stamp */
    bool reorders;              /* a step back has followed a leap */
    bool by_order;              /* a stamp has stepped back: their order tells decode times */
    struct decode_order order;  /* in output times */
    struct decode_order stamps; /* the same in stamps, offset included */
    int64_t first_us;           /* the first of these */
    int64_t behind_us[2];       /* how far decode times are before the newest two stamps */
    int64_t interval_us;        /* of frames, by that; 0: not known */
    int64_t delay_us;           /* added to what their order says */
};

#endif /* WORKER_TIMELINE_TRACK_H */
