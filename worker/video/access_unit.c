#include "worker/video/access_unit.h"

#include "common/bytes.h"
#include "common/xalloc.h"
#include "worker/video/parameter_sets.h"

#include <assert.h>
#include <errno.h>
#include <libavutil/avutil.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_FIRST_BYTES (64u << 10)

/* May an end of unit be believed because the packet says `last`? */
enum markers {
    MARKERS_UNPROVEN, /* only if the unit had packets without, and none on parameter sets */
    MARKERS_GOOD,     /* a marked packet was the last before the timestamp changed */
    MARKERS_WRONG     /* a picture went on after a marked packet */
};

/* What to do with pictures that precede a key frame in display order, but not in decoding order. */
enum leading { LEADING_KEEP, LEADING_DROP, LEADING_DAMAGED };

/* The NAL unit that further bytes of a packet would continue. */
enum open_nal { OPEN_NONE, OPEN_STORED, OPEN_DISCARDED };

/* The unit in progress.  NAL units are base + offset. */
struct unit {
    const uint8_t *base; /* au->buffer, or the packet's data while it is being taken */
    size_t buffered;     /* bytes used of au->buffer */
    unsigned count;      /* of au->nals */
    bool has_slice;
    bool damaged;
    bool overflow;         /* beyond a bound: to be dropped */
    bool unmarked_packet;  /* a packet did not say `last` */
    bool marker_too_early; /* one without a slice so far did */
    bool marked;           /* the newest packet did */
    enum open_nal open;
    int64_t pts;
    int64_t dts;
    int64_t received_us;
    int64_t captured_us;
};

struct unit_nal {
    uint32_t offset;
    uint32_t len;
};

struct access_unit {
    enum AVCodecID codec;
    struct access_unit_events events;
    struct parameter_sets sets;
    struct codec_config *config;

    /* About the connection. */
    bool started; /* a key frame has been emitted */
    bool seen_idr;
    bool chain_damaged;
    enum markers markers;
    enum leading leading;
    int64_t key_pts;
    bool ended_by_marker; /* the unit before, which had this time: */
    int64_t ended_pts;

    struct unit unit;
    struct unit_nal nals[ACCESS_UNIT_MAX_NALS];
    uint8_t *buffer;
    size_t capacity;
};

/* What its NAL units say about a unit. */
struct picture {
    struct nal slice; /* the first one */
    bool key;
    bool closed; /* key: no picture after it refers to one before it, as far as is known */
    bool broken_link;
    bool leading;
};

static struct nal get_nal(const struct access_unit *au, unsigned i)
{
    return (struct nal){.data = au->unit.base + au->nals[i].offset, .len = au->nals[i].len};
}

static void begin_unit(struct access_unit *au)
{
    au->unit = (struct unit){.base = au->buffer, .pts = AV_NOPTS_VALUE, .dts = AV_NOPTS_VALUE};
}

struct access_unit *access_unit_new(enum AVCodecID codec, const uint8_t *extradata,
                                    size_t extradata_len, const struct access_unit_events *events)
{
    if (codec != AV_CODEC_ID_H264 && codec != AV_CODEC_ID_HEVC)
        return NULL;
    struct access_unit *au = xcalloc(1, sizeof(*au));
    au->codec = codec;
    au->events = *events;
    parameter_sets_init(&au->sets, codec);
    access_unit_restart(au, extradata, extradata_len);
    return au;
}

void access_unit_free(struct access_unit **au)
{
    struct access_unit *a = *au;
    *au = NULL;
    if (a == NULL)
        return;
    parameter_sets_clear(&a->sets);
    codec_config_unref(&a->config);
    free(a->buffer);
    free(a);
}

void access_unit_restart(struct access_unit *au, const uint8_t *extradata, size_t extradata_len)
{
    begin_unit(au);
    au->started = false;
    au->seen_idr = false;
    au->chain_damaged = false;
    au->markers = MARKERS_UNPROVEN;
    au->leading = LEADING_KEEP;
    au->key_pts = AV_NOPTS_VALUE;
    au->ended_by_marker = false;
    parameter_sets_clear(&au->sets);
    if (extradata != NULL)
        parameter_sets_add_extradata(&au->sets, extradata, extradata_len);
}

struct codec_config *access_unit_config(const struct access_unit *au)
{
    return au->config;
}

/* --- what a unit is ----------------------------------------------------- */

static void examine_h264(const struct access_unit *au, struct picture *pic)
{
    bool idr = true;
    bool intra = true;
    bool sps = false;
    bool pps = false;
    for (unsigned i = 0; i < au->unit.count; i++) {
        struct nal nal = get_nal(au, i);
        unsigned type = nal_type(au->codec, nal.data);
        sps |= type == H264_NAL_SPS;
        pps |= type == H264_NAL_PPS;
        if (nal_role(au->codec, nal.data) != NAL_SLICE)
            continue;
        idr &= type == H264_NAL_IDR;
        intra = intra && nal_is_intra_slice(&nal);
    }
    pic->key = idr;
    pic->closed = idr;
    if (!idr && intra) {
        pic->key = !au->seen_idr && sps && pps;
        for (unsigned i = 0; i < au->unit.count && !pic->key; i++) {
            struct nal nal = get_nal(au, i);
            pic->key =
                nal_type(au->codec, nal.data) == H264_NAL_SEI && nal_has_recovery_point(&nal);
        }
    }
    pic->leading = !pic->key && au->unit.pts != AV_NOPTS_VALUE && au->key_pts != AV_NOPTS_VALUE &&
                   au->unit.pts < au->key_pts;
}

static void examine_hevc(const struct access_unit *au, struct picture *pic)
{
    unsigned type = nal_type(au->codec, pic->slice.data);
    pic->key = type >= HEVC_NAL_BLA_W_LP && type <= HEVC_NAL_IRAP_LAST;
    pic->closed = type == HEVC_NAL_IDR_W_RADL || type == HEVC_NAL_IDR_N_LP;
    pic->broken_link = type >= HEVC_NAL_BLA_W_LP && type <= HEVC_NAL_BLA_N_LP;
    pic->leading = type == HEVC_NAL_RASL_N || type == HEVC_NAL_RASL_R;
}

static void examine(struct access_unit *au, struct picture *pic)
{
    *pic = (struct picture){.key = false};
    for (unsigned i = 0; pic->slice.data == NULL; i++) {
        assert(i < au->unit.count); /* has_slice */
        struct nal nal = get_nal(au, i);
        if (nal_role(au->codec, nal.data) == NAL_SLICE)
            pic->slice = nal;
    }
    if (au->codec == AV_CODEC_ID_H264)
        examine_h264(au, pic);
    else
        examine_hevc(au, pic);
    /* Slices before the first one that is here must have been lost. */
    au->unit.damaged |= !nal_is_first_slice(au->codec, &pic->slice);
}

/* --- the end of a unit -------------------------------------------------- */

static void keep_parameter_sets(struct access_unit *au, const struct nal *slice)
{
    parameter_sets_begin_unit(&au->sets);
    /* One that may be cut short must not replace a good one; any is better than none. */
    if (au->unit.damaged && slice != NULL && parameter_sets_complete(&au->sets, slice))
        return;
    for (unsigned i = 0; i < au->unit.count; i++) {
        struct nal nal = get_nal(au, i);
        if (nal_role(au->codec, nal.data) == NAL_PARAMETER_SET)
            parameter_sets_add(&au->sets, &nal);
    }
}

static uint8_t *put_nal(uint8_t *p, const uint8_t *data, size_t len)
{
    p = bytes_put32(p, (uint32_t)len);
    memcpy(p, data, len);
    return p + len;
}

/* add_sets: put the sets in front that the configuration has and the unit lacks. */
static struct frame *make_frame(const struct access_unit *au, const struct nal *slice,
                                bool add_sets)
{
    bool add[PARAMETER_SETS_MAX] = {false};
    size_t len = 0;
    for (unsigned i = 0; add_sets && i < au->sets.count; i++) {
        const struct parameter_set *set = &au->sets.set[i];
        add[i] = !set->in_unit && parameter_sets_is_active(&au->sets, slice, set);
        len += add[i] ? set->len + 4u : 0;
    }
    for (unsigned i = 0; i < au->unit.count; i++)
        len += au->nals[i].len + 4u;

    struct frame *frame = frame_new(au->config, len);
    if (frame == NULL)
        return NULL;
    uint8_t *p = frame->data;
    for (unsigned kind = PARAMETER_SET_VPS; kind <= PARAMETER_SET_PPS; kind++) {
        for (unsigned i = 0; i < au->sets.count; i++) {
            if (add[i] && au->sets.set[i].kind == kind)
                p = put_nal(p, au->sets.set[i].data, au->sets.set[i].len);
        }
    }
    for (unsigned i = 0; i < au->unit.count; i++) {
        struct nal nal = get_nal(au, i);
        p = put_nal(p, nal.data, nal.len);
    }
    assert(p == frame->data + len);
    return frame;
}

/* A key frame: which configuration, and what about the pictures that lead it. */
static int take_key(struct access_unit *au, const struct picture *pic, bool *add_sets)
{
    bool had_config = au->config != NULL;
    int rc = parameter_sets_config(&au->sets, &pic->slice, &au->config);
    if (rc < 0)
        return rc;
    *add_sets = rc == 1 && had_config;

    if (pic->closed)
        au->leading = LEADING_KEEP;
    else if (!au->started || pic->broken_link)
        au->leading = LEADING_DROP;
    else
        au->leading = au->chain_damaged ? LEADING_DAMAGED : LEADING_KEEP;
    au->key_pts = au->unit.pts;
    au->seen_idr |= pic->closed;
    au->started = true;
    au->chain_damaged = false;
    return 0;
}

static void emit(struct access_unit *au, const struct picture *pic)
{
    bool add_sets = false;
    if (!pic->key && !au->started)
        return;
    if (pic->key && take_key(au, pic, &add_sets) != 0) {
        au->chain_damaged = true; /* cannot be decoded, so neither can what follows */
        return;
    }
    if (pic->leading && au->leading == LEADING_DROP)
        return;
    if (!pic->leading && !pic->key)
        au->leading = LEADING_KEEP; /* they come right after their key frame */

    au->chain_damaged |= au->unit.damaged;
    struct frame *frame = make_frame(au, &pic->slice, add_sets);
    if (frame == NULL) {
        au->chain_damaged = true;
        return;
    }
    frame->key = pic->key;
    frame->damaged = au->chain_damaged || (pic->leading && au->leading == LEADING_DAMAGED);
    frame->received_us = au->unit.received_us;
    frame->captured_us = au->unit.captured_us;
    au->events.on_frame(au->events.ctx, frame, au->unit.pts, au->unit.dts);
}

/* zero_byte and trailing_zero_8bits belong to the start code that follows (Annex B.1). */
static void close_nal(struct access_unit *au)
{
    struct unit *u = &au->unit;
    if (u->open == OPEN_STORED) {
        struct unit_nal *last = &au->nals[u->count - 1];
        while (last->len > nal_header_len(au->codec) && u->base[last->offset + last->len - 1] == 0)
            last->len--;
    }
    u->open = OPEN_NONE;
}

static void end_unit(struct access_unit *au, bool by_marker)
{
    struct unit *u = &au->unit;
    struct picture pic = {.key = false};

    close_nal(au);
    au->ended_by_marker = by_marker;
    au->ended_pts = u->pts;
    if (u->overflow) {
        au->chain_damaged = true;
    } else if (u->has_slice) {
        examine(au, &pic);
        keep_parameter_sets(au, &pic.slice);
        emit(au, &pic);
    } else {
        keep_parameter_sets(au, NULL);
    }
    begin_unit(au);
}

void access_unit_flush(struct access_unit *au)
{
    end_unit(au, false);
}

/* --- taking packets ----------------------------------------------------- */

static bool store(struct access_unit *au, const uint8_t *data, size_t len)
{
    struct unit *u = &au->unit;
    if (u->overflow || len > ACCESS_UNIT_MAX_BYTES - u->buffered) {
        u->overflow = true;
        return false;
    }
    if (u->buffered + len > au->capacity) {
        size_t capacity = au->capacity == 0 ? BUFFER_FIRST_BYTES : au->capacity;
        while (capacity < u->buffered + len)
            capacity *= 2;
        uint8_t *buffer = realloc(au->buffer, capacity);
        if (buffer == NULL) {
            u->overflow = true;
            return false;
        }
        au->buffer = buffer;
        au->capacity = capacity;
        u->base = buffer;
    }
    memcpy(au->buffer + u->buffered, data, len);
    u->buffered += len;
    return true;
}

static void list_nal(struct access_unit *au, size_t offset, size_t len)
{
    struct unit *u = &au->unit;
    if (u->count == ACCESS_UNIT_MAX_NALS) {
        u->overflow = true;
        return;
    }
    au->nals[u->count++] = (struct unit_nal){.offset = (uint32_t)offset, .len = (uint32_t)len};
}

/* Can this NAL unit, coming after a slice, only be the beginning of another access unit? */
static bool begins_unit(enum AVCodecID codec, const struct nal *nal)
{
    switch (nal_role(codec, nal->data)) {
    case NAL_SLICE:
        return nal_is_first_slice(codec, nal);
    case NAL_PARAMETER_SET:
    case NAL_PREFIX:
        return true;
    case NAL_DISCARD:
        return nal_type(codec, nal->data) ==
               (codec == AV_CODEC_ID_H264 ? (unsigned)H264_NAL_AUD : (unsigned)HEVC_NAL_AUD);
    case NAL_OTHER:
        break;
    }
    return false;
}

/* A picture goes on: was the packet before marked as its last? */
static void check_marker(struct access_unit *au, const struct media_packet *packet)
{
    bool was_marked =
        au->unit.has_slice ? au->unit.marked : au->ended_by_marker && au->ended_pts == packet->pts;
    if (was_marked && !packet->lost_before)
        au->markers = MARKERS_WRONG;
}

static void stamp(struct unit *u, const struct media_packet *packet)
{
    u->pts = packet->pts;
    u->dts = packet->dts;
    u->damaged |= packet->lost_before;
    u->received_us = packet->received_us;
    u->captured_us = packet->captured_us;
}

/* One NAL unit of an Annex B packet, or the first fragment of one. */
static void take_nal(struct access_unit *au, const struct media_packet *packet,
                     const struct nal *nal)
{
    struct unit *u = &au->unit;
    close_nal(au);
    if (nal->len < nal_header_len(au->codec))
        return;

    enum nal_role role = nal_role(au->codec, nal->data);
    if (u->has_slice && begins_unit(au->codec, nal)) {
        end_unit(au, false);
        stamp(u, packet);
    } else if (role == NAL_SLICE && !nal_is_first_slice(au->codec, nal)) {
        check_marker(au, packet);
    }
    u->marked = false;
    u->open = OPEN_DISCARDED;
    if (role == NAL_DISCARD)
        return;
    u->has_slice |= role == NAL_SLICE;
    size_t offset = u->buffered;
    if (!store(au, nal->data, nal->len))
        return;
    list_nal(au, offset, nal->len);
    if (!u->overflow)
        u->open = OPEN_STORED;
}

/* Bytes before the first start code: more of the last NAL unit. */
static void take_continuation(struct access_unit *au, const struct media_packet *packet,
                              const uint8_t *data, size_t len)
{
    struct unit *u = &au->unit;
    size_t zeros = 0;
    while (zeros < len && data[zeros] == 0)
        zeros++;
    if (zeros == len)
        return; /* zero_byte of the start code */

    check_marker(au, packet);
    if (u->open == OPEN_NONE)
        u->damaged = true; /* its beginning is not here */
    if (u->open == OPEN_STORED && store(au, data, len))
        au->nals[u->count - 1].len += (uint32_t)len;
}

/* The packet's marker, once its NAL units have been taken. */
static void take_marker(struct access_unit *au, bool last)
{
    struct unit *u = &au->unit;
    u->marked = last;
    if (!last) {
        u->unmarked_packet = true;
        return;
    }
    if (!u->has_slice) {
        u->marker_too_early = true; /* parameter sets are no access unit */
        return;
    }
    if (au->markers == MARKERS_GOOD ||
        (au->markers == MARKERS_UNPROVEN && u->unmarked_packet && !u->marker_too_early))
        end_unit(au, true);
}

static bool push_annex_b(struct access_unit *au, const struct media_packet *packet)
{
    struct unit *u = &au->unit;
    bool new_time = packet->pts != u->pts && packet->pts != AV_NOPTS_VALUE;

    if (new_time && u->has_slice) {
        if (u->marked && au->markers == MARKERS_UNPROVEN)
            au->markers = MARKERS_GOOD;
        u->damaged |= packet->lost_before; /* its end may have been lost as well */
        end_unit(au, false);
    }
    if (u->count == 0 && u->damaged && new_time) {
        au->chain_damaged = true; /* remains of the unit before, not of this one */
        u->damaged = false;
    }
    if (u->count == 0 || new_time)
        stamp(u, packet); /* parameter sets may have come with the time of the unit before */
    u->damaged |= packet->lost_before;
    u->received_us = packet->received_us;

    const uint8_t *pos = packet->data;
    const uint8_t *end = packet->data + packet->len;
    size_t start = nal_find_start_code(pos, (size_t)(end - pos));
    take_continuation(au, packet, pos, start);
    pos += start;
    while (pos < end) {
        struct nal nal = {.data = pos + 3, .len = (size_t)(end - pos) - 3};
        nal.len = nal_find_start_code(nal.data, nal.len);
        take_nal(au, packet, &nal);
        pos = nal.data + nal.len;
    }
    bool alive = u->has_slice;
    take_marker(au, packet->last);
    return alive;
}

/* List, or where a unit is in progress store, the NAL units of a packet.  -EINVAL: bad lengths. */
static int take_lengths(struct access_unit *au, const struct media_packet *packet)
{
    struct unit *u = &au->unit;
    struct nal_cursor cursor = {.pos = packet->data, .end = packet->data + packet->len};
    struct nal nal;
    int rc;
    while ((rc = nal_next_length(&cursor, au->sets.length_size, &nal)) == 1) {
        if (nal.len < nal_header_len(au->codec))
            continue;
        enum nal_role role = nal_role(au->codec, nal.data);
        if (role == NAL_DISCARD)
            continue;
        u->has_slice |= role == NAL_SLICE;
        size_t offset = u->buffered > 0 ? u->buffered : (size_t)(nal.data - packet->data);
        if (u->buffered == 0 || store(au, nal.data, nal.len))
            list_nal(au, offset, nal.len);
    }
    return rc;
}

static bool push_lengths(struct access_unit *au, const struct media_packet *packet)
{
    struct unit *u = &au->unit;
    if (u->has_slice)
        end_unit(au, false);
    close_nal(au);

    /* Nothing in progress is the rule: then the NAL units are used where they are. */
    if (u->buffered == 0)
        u->base = packet->data;
    stamp(u, packet);
    u->overflow |= packet->len > ACCESS_UNIT_MAX_BYTES;
    unsigned count = u->count;
    if (take_lengths(au, packet) != 0) {
        static const uint8_t start_code[] = {0, 0, 0, 1};
        if (packet->len > 4 && memcmp(packet->data, start_code, sizeof(start_code)) == 0 &&
            u->buffered == 0) {
            /* Some publishers put Annex B into FLV. */
            begin_unit(au);
            bool alive = push_annex_b(au, packet);
            end_unit(au, false);
            return alive;
        }
        u->damaged = true;
        if (u->count == count)
            au->chain_damaged = true; /* nothing of it can be used */
    }
    bool alive = u->has_slice;
    end_unit(au, false);
    return alive;
}

bool access_unit_push(struct access_unit *au, const struct media_packet *packet)
{
    assert(packet->track == TRACK_VIDEO && packet->form != MEDIA_RAW);
    if (packet->form == MEDIA_LENGTHS)
        return push_lengths(au, packet);
    return push_annex_b(au, packet);
}
