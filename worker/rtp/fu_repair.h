/*
 * Decides which H.264 and HEVC fragmentation units (RFC 6184 section 5.8, RFC 7798 section 4.4.3)
 * make up a NAL unit, even when the camera sets start and end bits wrong.  Worker; pure.
 *
 * Sequence, timestamp and NAL unit type also tell which fragments belong together.  Where they and
 * the bits disagree, the stream's earlier fragments decide: a camera that never sets a bit, or sets
 * it on every fragment, always does so.  Once a start bit has begun a unit, its type is that
 * fragment's, whatever the following ones say.
 */
#ifndef WORKER_FU_REPAIR_H
#define WORKER_FU_REPAIR_H

#include <libavcodec/codec_id.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fu_repair {
    enum AVCodecID codec;
    bool joining; /* no packet yet: the first one may be in the middle of a unit */
    /* Learnt. */
    bool starts_set;   /* a start bit was seen */
    bool starts_good;  /* ... and the next fragment of the unit had none */
    bool ends_missing; /* a unit ended without an end bit */
    /* The previous fragment. */
    bool open; /* the previous packet was a fragment */
    bool started;
    bool ended;
    bool orphan;  /* the start of its unit was lost */
    bool marked;  /* the first fragment of its unit had the start bit */
    uint8_t type; /* of that first fragment */
    uint32_t timestamp;
};

enum fu_kind {
    FU_NONE,     /* not a fragment */
    FU_START,    /* the first fragment of a unit */
    FU_CONTINUE, /* belongs to the unit begun before */
    FU_ORPHAN,   /* the start of its unit was lost: drop it */
};

void fu_repair_init(struct fu_repair *fu, enum AVCodecID codec);

/**
 * Classify the next payload, in sequence order.
 *
 * @param lost_before  packets right before it were lost.
 */
enum fu_kind fu_repair_next(struct fu_repair *fu, const uint8_t *payload, size_t len,
                            uint32_t timestamp, bool lost_before);

/** Does this fragment complete its unit, given that the RTP marker says the frame is complete? */
bool fu_repair_complete(const struct fu_repair *fu);

#endif /* WORKER_FU_REPAIR_H */
