#include "worker/video/torn_picture.h"

void torn_pictures_init(struct torn_pictures *torn)
{
    *torn = (struct torn_pictures){.waiting_us = INT64_MIN};
}

bool torn_pictures_leave_out(struct torn_pictures *torn, bool key, int64_t received_us)
{
    torn->keys += key;
    if (torn->waiting_us == INT64_MIN)
        torn->waiting_us = received_us;
    bool old = torn->keys > 1 && received_us - torn->whole_key_us > TORN_PICTURE_MEMORY_US;
    bool stuck = received_us - torn->waiting_us > TORN_PICTURE_PATIENCE_US;
    torn->strict = torn->strict && !stuck && !(key && old);
    return torn->strict;
}

/* Is something left without the slices that are cut? */
static bool has_rest(enum AVCodecID codec, const struct nal_list *nals)
{
    for (unsigned i = 0; i < nals->count; i++) {
        struct nal nal = nal_list_get(nals, i);
        struct nal_slice slice;
        if (nal_role(codec, nal.data) != NAL_SLICE)
            continue;
        nal_read_slice(codec, &nal, false, &slice);
        if (!nals->nals[i].cut && (slice.first || codec != AV_CODEC_ID_HEVC))
            return true;
        if (codec == AV_CODEC_ID_HEVC)
            return false;
    }
    return false;
}

bool torn_pictures_take_out(struct torn_pictures *torn, enum AVCodecID codec, struct nal_list *nals,
                            bool key, int64_t received_us)
{
    bool rest = has_rest(codec, nals);
    bool strict = rest ? torn->strict : torn_pictures_leave_out(torn, key, received_us);
    if (strict)
        nal_list_drop_cut(nals);
    return rest || !strict;
}

void torn_pictures_sent(struct torn_pictures *torn, bool whole_key, int64_t received_us)
{
    torn->waiting_us = INT64_MIN;
    if (!whole_key)
        return;
    torn->strict = true;
    torn->keys = 0;
    torn->whole_key_us = received_us;
}
