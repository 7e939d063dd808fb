/*
 * Which H.264 and HEVC fragmentation units (RFC 6184 section 5.8, RFC 7798 section 4.4.3) make up a
 * NAL unit, for cameras too that set their start and end bits wrong.  Worker; pure.
 *
 * Which fragments belong together also follows from their sequence, timestamp and NAL unit type.
 * Where that and the bits disagree, what this stream has shown of itself decides: a camera that
 * never sets a bit, or sets it on every fragment, does so all the time.
 */
#ifndef WORKER_FU_REPAIR_H
#define WORKER_FU_REPAIR_H

#include <libavcodec/codec_id.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fu_repair {
    enum AVCodecID codec;
    bool joining; /* before the first packet: we may be in the middle of a unit */
    /* Learnt. */
    bool starts_set;   /* a start bit was seen */
    bool starts_good;  /* … followed by a fragment without */
    bool ends_missing; /* a unit was over without an end bit */
    /* The fragment before. */
    bool open; /* there was one, right before */
    bool started;
    bool ended;
    bool orphan; /* of a unit whose start never came */
    uint8_t type;
    uint32_t timestamp;
};

enum fu_kind {
    FU_NONE,     /* no fragment */
    FU_START,    /* the first fragment of a unit */
    FU_CONTINUE, /* belongs to the unit begun before */
    FU_ORPHAN,   /* the start of its unit was lost: of no use */
};

void fu_repair_init(struct fu_repair *fu, enum AVCodecID codec);

/**
 * What is this payload, the next in order?
 *
 * @param lost_before  packets right before it never came.
 */
enum fu_kind fu_repair_next(struct fu_repair *fu, const uint8_t *payload, size_t len,
                            uint32_t timestamp, bool lost_before);

/** Is the unit complete with this fragment, if the RTP marker says that the frame is? */
bool fu_repair_complete(const struct fu_repair *fu);

#endif /* WORKER_FU_REPAIR_H */
