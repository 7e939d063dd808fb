#include "worker/video/frame_chain.h"

#include "worker/video/access_unit_frame.h"

#include <libavutil/avutil.h>

void frame_chain_init(struct frame_chain *chain, enum AVCodecID codec)
{
    struct codec_config *config = chain->config;
    *chain = (struct frame_chain){
        .codec = codec, .config = config, .key_pts = AV_NOPTS_VALUE, .frame_num = -1};
    start_points_init(&chain->starts, codec);
    torn_pictures_init(&chain->torn);
}

void frame_chain_clear(struct frame_chain *chain)
{
    codec_config_unref(&chain->config);
}

void frame_chain_lost(struct frame_chain *chain)
{
    chain->damaged = true;
    chain->gap = true;
}

void frame_chain_left_out(struct frame_chain *chain)
{
    chain->left_out++;
}

/* Update the configuration for a key frame, and decide about the leading pictures after it. */
static int take_key(struct frame_chain *chain, const struct frame_chain_unit *unit,
                    const struct start_point *start, bool *add_sets)
{
    bool had_config = chain->config != NULL;
    int rc = parameter_sets_config(unit->sets, &start->slice, &chain->config);
    chain->sets_missing = rc < 0;
    if (rc < 0)
        return rc;
    *add_sets = rc == 1 && had_config;
    if (rc == 1)
        torn_pictures_init(&chain->torn); /* what was whole before is of no use now */

    if (start->whole_from_here)
        chain->leading = LEADING_KEEP;
    else if (!chain->started || start->broken_link)
        chain->leading = LEADING_DROP;
    else
        chain->leading = chain->damaged ? LEADING_DAMAGED : LEADING_KEEP;
    chain->key_pts = unit->pts;
    chain->started = true;
    chain->damaged = false;
    return 0;
}

static bool is_leading(const struct frame_chain *chain, const struct frame_chain_unit *unit,
                       const struct start_point *start, bool key)
{
    if (chain->codec == AV_CODEC_ID_HEVC)
        return start->leading;
    return !key && unit->pts != AV_NOPTS_VALUE && chain->key_pts != AV_NOPTS_VALUE &&
           unit->pts < chain->key_pts;
}

/* From this recovery point on, decoding makes whole pictures of what was damaged before. */
static bool is_refresh(const struct frame_chain *chain, const struct frame_chain_unit *unit,
                       const struct start_point *start)
{
    return start->kind == START_REFRESH && !unit->damaged && !chain->sets_missing;
}

#define REPEATS_MAX 2 /* the fields of a frame */

/* An H.264 reference picture with the frame_num of the one before it, because an IDR picture
 * between them is missing: decoders that end at an error end there (7.4.3: it is not allowed).
 * Further ones are from an encoder that does not count. */
static bool repeats_frame_num(struct frame_chain *chain, const struct parameter_sets *sets,
                              const struct nal *slice, bool key)
{
    if (chain->codec != AV_CODEC_ID_H264 || (slice->data[0] & 0x60) == 0)
        return false;
    int frame_num = parameter_sets_frame_num(sets, slice);
    bool repeated = !key && frame_num >= 0 && frame_num == chain->frame_num;
    if (repeated && chain->torn.strict && chain->gap && chain->repeats < REPEATS_MAX) {
        chain->repeats++;
        chain->damaged = true;
        return true;
    }
    chain->repeats = repeated ? chain->repeats : 0;
    chain->frame_num = frame_num;
    chain->gap = false;
    return false;
}

/* Does a decoder that ends at an error pass over this unit, without the slices that are cut? */
static bool may_be_sent(struct frame_chain *chain, const struct frame_chain_unit *unit,
                        const struct nal *slice, bool key)
{
    if (unit->torn &&
        !torn_pictures_take_out(&chain->torn, chain->codec, unit->nals, key, unit->received_us))
        return false;
    return !repeats_frame_num(chain, unit->sets, slice, key);
}

static struct frame *make_frame(struct frame_chain *chain, const struct frame_chain_unit *unit,
                                const struct start_point *start, bool key, bool add_sets)
{
    const struct access_unit_frame what = {
        .config = chain->config,
        .nals = unit->nals,
        .sets = unit->sets,
        .missing_sets_of = add_sets ? &start->slice : NULL,
        .add_recovery_point = key && start->unmarked,
    };
    struct frame *frame = access_unit_frame_new(&what);
    if (frame == NULL) {
        chain->damaged = true;
        return NULL;
    }
    frame->key = key;
    frame->received_us = unit->received_us;
    frame->captured_us = unit->captured_us;
    frame->left_out = chain->left_out;
    chain->left_out = 0;
    torn_pictures_sent(&chain->torn, key && !unit->damaged, frame->received_us);
    return frame;
}

struct frame *frame_chain_take(struct frame_chain *chain, const struct frame_chain_unit *unit)
{
    struct start_point start;
    bool add_sets = false;
    start_point_examine(&chain->starts, unit->nals, unit->sets, unit->key_flag, &start);
    bool key = start_points_allow(&chain->starts, &start, unit->received_us);
    bool leading = is_leading(chain, unit, &start, key);

    if (!key && !chain->started)
        return NULL;
    if (key && take_key(chain, unit, &start, &add_sets) != 0) {
        chain->damaged = true; /* it cannot be decoded, so later frames cannot either */
        return NULL;
    }
    if (leading && chain->leading == LEADING_DROP)
        return NULL;
    if (!leading && !key) /* leading pictures come right after their key frame: they are over */
        chain->leading = LEADING_KEEP;

    bool refresh = is_refresh(chain, unit, &start);
    chain->damaged = unit->damaged || (chain->damaged && !refresh);
    if (!may_be_sent(chain, unit, &start.slice, key)) {
        frame_chain_left_out(chain);
        chain->gap = true;
        return NULL;
    }
    struct frame *frame = make_frame(chain, unit, &start, key, add_sets);
    if (frame != NULL) {
        frame->refresh = key || refresh ? start.refresh : 0;
        frame->damaged = chain->damaged || (leading && chain->leading == LEADING_DAMAGED);
    }
    return frame;
}
