#include "worker/rtp/fu_repair.h"

#include <string.h>

#define H264_FU_A 28
#define HEVC_FU 49
#define START_BIT 0x80
#define END_BIT 0x40

void fu_repair_init(struct fu_repair *fu, enum AVCodecID codec)
{
    memset(fu, 0, sizeof(*fu));
    fu->codec = codec;
    fu->joining = true;
}

/* The FU header byte of a fragment, or NULL. */
static const uint8_t *fu_header(enum AVCodecID codec, const uint8_t *payload, size_t len)
{
    if (codec == AV_CODEC_ID_H264 && len >= 2 && (payload[0] & 0x1F) == H264_FU_A)
        return payload + 1;
    if (codec == AV_CODEC_ID_HEVC && len >= 3 && (payload[0] >> 1 & 0x3F) == HEVC_FU)
        return payload + 2;
    return NULL;
}

/* Does a fragment belong to the unit of the previous one, which had the same type and timestamp? */
static bool is_same_unit(const struct fu_repair *fu, bool start_bit)
{
    if (start_bit)
        return !fu->ended && !fu->starts_good; /* this camera sets it on every fragment */
    return !fu->ended || fu->starts_set;       /* if starts are marked, that end bit was wrong */
}

/* Some cameras write another type into all fragments but the first. */
static bool is_same_type(const struct fu_repair *fu, uint8_t type, bool start_bit)
{
    return fu->type == type || (!start_bit && fu->marked && !fu->ended);
}

static enum fu_kind judge(const struct fu_repair *fu, uint8_t type, uint32_t timestamp,
                          bool start_bit, bool lost_before)
{
    bool follows = fu->open && fu->timestamp == timestamp && is_same_type(fu, type, start_bit);
    if (start_bit && (lost_before || !follows || fu->orphan))
        return FU_START;
    if (lost_before)
        return FU_ORPHAN;
    if (!follows && fu->orphan && fu->starts_good && fu->timestamp == timestamp)
        return FU_ORPHAN; /* the same one, of another type */
    if (!follows)
        return FU_START; /* no bit, so the camera never sets it */
    if (fu->orphan)
        return FU_ORPHAN;
    return is_same_unit(fu, start_bit) ? FU_CONTINUE : FU_START;
}

enum fu_kind fu_repair_next(struct fu_repair *fu, const uint8_t *payload, size_t len,
                            uint32_t timestamp, bool lost_before)
{
    const uint8_t *header = fu_header(fu->codec, payload, len);
    lost_before = lost_before || fu->joining;
    fu->joining = false;
    if (header == NULL) {
        if (fu->open && !fu->ended && !fu->orphan && !lost_before)
            fu->ends_missing = true;
        fu->open = fu->orphan = false;
        return FU_NONE;
    }
    bool start_bit = (*header & START_BIT) != 0;
    uint8_t type = *header & (fu->codec == AV_CODEC_ID_H264 ? 0x1F : 0x3F);
    enum fu_kind kind = judge(fu, type, timestamp, start_bit, lost_before);

    if (kind == FU_CONTINUE && !start_bit && fu->started)
        fu->starts_good = true;
    if (kind == FU_START && fu->open && !fu->ended && !fu->orphan && !lost_before)
        fu->ends_missing = true;
    fu->starts_set = fu->starts_set || start_bit;
    fu->open = true;
    fu->started = start_bit;
    fu->ended = (*header & END_BIT) != 0;
    fu->orphan = kind == FU_ORPHAN;
    if (kind != FU_CONTINUE) {
        fu->type = type;
        fu->marked = start_bit;
    }
    fu->timestamp = timestamp;
    return kind;
}

bool fu_repair_complete(const struct fu_repair *fu)
{
    return fu->ended || fu->ends_missing;
}
