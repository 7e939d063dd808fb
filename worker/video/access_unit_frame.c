#include "worker/video/access_unit_frame.h"

#include "common/bytes.h"

#include <string.h>

/* payloadType 6, one byte: recovery_frame_cnt 0, exact_match_flag 0, broken_link_flag 0. */
static const uint8_t recovery_point[] = {H264_NAL_SEI, 0x06, 0x01, 0x84, 0x80};

/* Is a parameter set missing that the unit's picture needs? */
static bool lacks_sets(const struct parameter_sets *sets, const struct nal_list *nals)
{
    for (unsigned i = 0; i < nals->count; i++) {
        struct nal nal = nal_list_get(nals, i);
        if (nal_role(sets->codec, nal.data) == NAL_SLICE)
            return !parameter_sets_complete(sets, &nal);
    }
    return true;
}

void access_unit_frame_keep_sets(struct parameter_sets *sets, const struct nal_list *nals,
                                 bool damaged)
{
    bool after_slice = false;
    parameter_sets_begin_unit(sets);
    if (damaged && !lacks_sets(sets, nals))
        return;
    for (unsigned i = 0; i < nals->count; i++) {
        struct nal nal = nal_list_get(nals, i);
        enum nal_role role = nal_role(sets->codec, nal.data);
        if (role == NAL_PARAMETER_SET)
            parameter_sets_add(sets, &nal, !after_slice);
        after_slice |= role == NAL_SLICE;
    }
}

/* Write a length and its NAL unit, unless p is NULL.  Returns the bytes. */
static size_t put_nal(uint8_t *p, const uint8_t *data, size_t len)
{
    if (p != NULL) {
        p = bytes_put32(p, (uint32_t)len);
        memcpy(p, data, len);
    }
    return len + 4;
}

static uint8_t *behind(uint8_t *p, size_t len)
{
    return p != NULL ? p + len : NULL;
}

/* Write the sets that the slice needs and the unit lacks.  Returns their length; p may be NULL. */
static size_t put_missing_sets(const struct access_unit_frame *what, uint8_t *p)
{
    const struct parameter_sets *sets = what->sets;
    size_t len = 0;
    for (unsigned kind = PARAMETER_SET_VPS; kind <= PARAMETER_SET_PPS; kind++) {
        for (unsigned i = 0; i < sets->count; i++) {
            const struct parameter_set *set = &sets->set[i];
            if (set->kind == kind && !set->in_unit &&
                parameter_sets_is_active(sets, what->missing_sets_of, set))
                len += put_nal(behind(p, len), set->data, set->len);
        }
    }
    return len;
}

/* Write the payload.  Returns its length; p may be NULL. */
static size_t put_payload(const struct access_unit_frame *what, uint8_t *p)
{
    size_t len = what->missing_sets_of != NULL ? put_missing_sets(what, p) : 0;
    bool after_slice = false;
    for (unsigned i = 0; i < what->nals->count; i++) {
        struct nal nal = nal_list_get(what->nals, i);
        enum nal_role role = nal_role(what->sets->codec, nal.data);
        if (after_slice && nal_begins_unit(what->sets->codec, nal.data))
            continue; /* decoders that read bytes would take it for the next unit */
        if (role == NAL_SLICE && !after_slice && what->add_recovery_point)
            len += put_nal(behind(p, len), recovery_point, sizeof(recovery_point));
        after_slice |= role == NAL_SLICE;
        len += put_nal(behind(p, len), nal.data, nal.len);
    }
    return len;
}

struct frame *access_unit_frame_new(const struct access_unit_frame *what)
{
    struct frame *frame = frame_new(what->config, put_payload(what, NULL));
    if (frame != NULL)
        (void)put_payload(what, frame->data);
    return frame;
}
