#include "worker/video/access_unit.h"

#include "common/xalloc.h"
#include "worker/video/access_unit_frame.h"
#include "worker/video/frame_chain.h"
#include "worker/video/nal_message.h"
#include "worker/video/parameter_sets.h"

#include <assert.h>
#include <errno.h>
#include <libavutil/avutil.h>
#include <stdlib.h>
#include <string.h>

/* Does a packet that says `last` end the unit? */
enum markers {
    MARKERS_UNPROVEN, /* only if the unit has unmarked packets, none marked before its slice */
    MARKERS_GOOD,     /* yes: the timestamp changed after a marked packet */
    MARKERS_WRONG     /* no: a picture continued after a marked packet */
};

/* Is a message of MEDIA_LENGTHS an access unit? */
enum messages {
    MESSAGES_UNPROVEN, /* only if it has several slices */
    MESSAGES_WHOLE,    /* yes: a message had several slices, or the next one began a picture */
    MESSAGES_SPLIT     /* no: a picture continued in another message */
};

/* The NAL unit that further bytes of a packet would continue. */
enum open_nal { OPEN_NONE, OPEN_STORED, OPEN_DISCARDED };

enum end { END_NEXT, END_MARKER, END_MESSAGE, END_FLUSH };

/* What the packets' markers have said about the end of the unit. */
struct marks {
    bool unmarked;  /* a packet did not say `last` */
    bool too_early; /* a packet said it before the first slice */
};

/* The unit in progress; access_unit.nals holds its NAL units. */
struct unit {
    bool has_slice; /* without one it is no picture and has no time */
    bool damaged;
    bool torn;     /* a slice is cut, or the first one of HEVC is missing; damaged, too */
    bool key_flag; /* the container says key */
    bool message;  /* it began with a MEDIA_LENGTHS packet */
    bool marked;   /* the newest packet said `last` */
    struct marks marks;
    int64_t pts;
    int64_t dts;
    int64_t received_us;
    int64_t captured_us;
};

struct access_unit {
    struct access_unit_events events;
    struct parameter_sets sets;
    enum AVCodecID codec;

    /* State of the connection. */
    enum markers markers;
    enum messages messages;
    struct frame_chain chain;
    bool lost;              /* packets were lost since the newest slice */
    bool stamps_wrong;      /* a picture continued although its timestamp moved over half a step */
    bool has_slice;         /* slice and slice_pts are valid */
    struct nal_slice slice; /* the newest slice */
    enum end ended;         /* how the previous unit ended */
    int64_t slice_pts;
    int64_t begun_pts;        /* pts of the newest picture */
    int64_t step;             /* distance to the picture before it; 0: not known */
    int64_t message_dts;      /* of the newest message with a slice */
    int64_t message_distance; /* to the one before it; 0: not known */

    struct unit unit;
    struct nal_list nals;   /* NAL units of the unit in progress */
    struct nal_list prefix; /* NAL units after its newest slice: they go with the next slice */
    struct marks prefix_marks;
    bool took_slice; /* the current packet held part of a slice */
    enum open_nal open;
    struct nal_list *open_list; /* OPEN_STORED: the open NAL unit is the last one in this list */
};

static void begin_unit(struct access_unit *au)
{
    nal_list_clear(&au->nals);
    au->unit = (struct unit){.pts = AV_NOPTS_VALUE, .dts = AV_NOPTS_VALUE};
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
    frame_chain_clear(&a->chain);
    nal_list_free(&a->nals);
    nal_list_free(&a->prefix);
    free(a);
}

void access_unit_restart(struct access_unit *au, const uint8_t *extradata, size_t extradata_len)
{
    begin_unit(au);
    nal_list_clear(&au->prefix);
    au->prefix_marks = (struct marks){false, false};
    au->open = OPEN_NONE;
    au->lost = false;
    au->markers = MARKERS_UNPROVEN;
    au->messages = MESSAGES_UNPROVEN;
    au->has_slice = false;
    au->begun_pts = AV_NOPTS_VALUE;
    au->step = 0;
    au->message_dts = AV_NOPTS_VALUE;
    au->message_distance = 0;
    au->stamps_wrong = false;
    frame_chain_init(&au->chain, au->codec);
    parameter_sets_clear(&au->sets);
    if (extradata != NULL)
        parameter_sets_add_extradata(&au->sets, extradata, extradata_len);
}

struct codec_config *access_unit_config(const struct access_unit *au)
{
    return au->chain.config;
}

/* --- a complete unit ---------------------------------------------------- */

static void emit(struct access_unit *au)
{
    const struct frame_chain_unit unit = {
        .nals = &au->nals,
        .sets = &au->sets,
        .key_flag = au->unit.key_flag,
        .damaged = au->unit.damaged,
        .torn = au->unit.torn,
        .pts = au->unit.pts,
        .received_us = au->unit.received_us,
        .captured_us = au->unit.captured_us,
    };
    struct frame *frame = frame_chain_take(&au->chain, &unit);
    if (frame != NULL)
        au->events.on_frame(au->events.ctx, frame, au->unit.pts, au->unit.dts);
}

/* zero_byte and trailing_zero_8bits belong to the start code that follows (Annex B.1). */
static void close_nal(struct access_unit *au)
{
    if (au->open == OPEN_STORED)
        nal_list_trim(au->open_list, nal_header_len(au->codec));
    au->open = OPEN_NONE;
}

static void end_unit(struct access_unit *au, enum end how)
{
    close_nal(au);
    au->ended = how;
    if (au->nals.overflow) {
        frame_chain_lost(&au->chain);
    } else {
        /* Of a torn unit a slice is cut, not a set. */
        access_unit_frame_keep_sets(&au->sets, &au->nals, au->unit.damaged && !au->unit.torn);
        if (au->unit.has_slice)
            emit(au);
    }
    begin_unit(au);
}

/* Add the NAL units since the newest slice to this unit. */
static void take_prefix(struct access_unit *au)
{
    nal_list_append(&au->nals, &au->prefix);
    au->unit.marks.unmarked |= au->prefix_marks.unmarked;
    au->unit.marks.too_early |= au->prefix_marks.too_early;
    au->prefix_marks = (struct marks){false, false};
}

void access_unit_flush(struct access_unit *au)
{
    close_nal(au);
    take_prefix(au);
    end_unit(au, END_FLUSH);
}

/* --- slices ------------------------------------------------------------- */

static bool is_new_time(const struct access_unit *au, const struct media_packet *packet)
{
    return packet->pts != au->unit.pts && packet->pts != AV_NOPTS_VALUE;
}

/* Is the unit in progress complete, by its marker? */
static bool has_seen_end(const struct access_unit *au)
{
    return au->unit.marked && au->markers != MARKERS_WRONG;
}

/* The previous slice's picture continues: stop trusting whatever said that it was complete. */
static void unlearn_end(struct access_unit *au)
{
    bool in_progress = au->unit.has_slice;
    if (in_progress ? au->unit.marked : au->ended == END_MARKER)
        au->markers = MARKERS_WRONG;
    if (in_progress ? au->unit.message : au->ended == END_MESSAGE)
        au->messages = MESSAGES_SPLIT;
    if (!in_progress && au->ended == END_NEXT)
        au->stamps_wrong = true;
}

/* End the unit in progress: another one begins. */
static void end_before(struct access_unit *au)
{
    if (au->unit.message && au->messages == MESSAGES_UNPROVEN)
        au->messages = MESSAGES_WHOLE;
    au->unit.damaged |= au->lost && !has_seen_end(au);
    end_unit(au, END_NEXT);
}

static void read_slice(const struct access_unit *au, const struct nal *nal, struct nal_slice *slice)
{
    const struct parameter_set *pps =
        au->codec == AV_CODEC_ID_HEVC ? parameter_sets_pps(&au->sets, nal) : NULL;
    nal_read_slice(au->codec, nal, pps != NULL && pps->dependent_slices, slice);
}

/* Does a slice belong to the picture in progress, or begin the next? */
static void place_slice(struct access_unit *au, const struct media_packet *packet,
                        const struct nal *nal)
{
    struct unit *u = &au->unit;
    struct nal_slice slice;
    read_slice(au, nal, &slice);
    bool same_time = packet->pts == au->slice_pts;
    bool goes_on = au->has_slice && (same_time || !au->lost) &&
                   nal_slice_follows(au->codec, &au->slice, &slice, same_time);

    if (goes_on && !au->lost)
        unlearn_end(au);
    if (u->has_slice && !goes_on)
        end_before(au);
    take_prefix(au);
    if (u->has_slice) {
        u->damaged |= au->lost;
    } else {
        if (au->lost) /* perhaps whole units before this one */
            frame_chain_lost(&au->chain);
        u->has_slice = true;
        u->damaged |= !slice.first;
        u->torn = !slice.first && au->codec == AV_CODEC_ID_HEVC;
        u->message = packet->form == MEDIA_LENGTHS;
        if (au->begun_pts != AV_NOPTS_VALUE && packet->pts != AV_NOPTS_VALUE)
            au->step = llabs(packet->pts - au->begun_pts);
        au->begun_pts = packet->pts;
        u->pts = packet->pts;
        u->dts = packet->dts;
        u->captured_us = packet->captured_us;
    }
    u->key_flag |= packet->key;
    au->lost = false;
    au->has_slice = true;
    au->slice = slice;
    au->slice_pts = packet->pts;
    au->took_slice = true;
}

/* --- packets with start codes ------------------------------------------- */

/* Does a NAL unit other than a slice belong to the next picture, by its time?  Most cameras mark
 * the end of a picture; for the others this is the earliest sign of it. */
static bool is_of_next_picture(const struct access_unit *au, const struct media_packet *packet)
{
    return au->unit.has_slice && !au->stamps_wrong && packet->pts != AV_NOPTS_VALUE &&
           au->step > 0 && llabs(packet->pts - au->slice_pts) > au->step / 2;
}

/* Take a NAL unit, or the first fragment of one. */
static void take_nal(struct access_unit *au, const struct media_packet *packet,
                     const struct nal *nal)
{
    close_nal(au);
    if (nal->len < nal_header_len(au->codec))
        return;
    enum nal_role role = nal_role(au->codec, nal->data);
    if (role == NAL_SLICE)
        place_slice(au, packet, nal);
    else if (is_of_next_picture(au, packet))
        end_before(au);
    au->open = OPEN_DISCARDED;
    if (role == NAL_DISCARD)
        return;
    au->open_list = role != NAL_SLICE && au->unit.has_slice ? &au->prefix : &au->nals;
    nal_list_add(au->open_list, nal);
    if (!au->open_list->overflow)
        au->open = OPEN_STORED;
}

/* A part of the newest slice is missing. */
static void cut_slice(struct access_unit *au)
{
    nal_list_cut_last(&au->nals);
    au->unit.torn = au->unit.damaged = true;
}

/* Take the bytes before the first start code: they continue the last NAL unit. */
static void take_continuation(struct access_unit *au, const struct media_packet *packet,
                              const uint8_t *data, size_t len)
{
    struct unit *u = &au->unit;
    size_t zeros = 0;
    while (zeros < len && data[zeros] == 0)
        zeros++;
    if (zeros == len)
        return; /* the start code's zero_byte */

    bool of_prefix = au->open == OPEN_STORED && au->open_list == &au->prefix;
    if (u->has_slice && !of_prefix && is_new_time(au, packet)) {
        end_before(au); /* they belong to another unit, whose beginning is missing */
        frame_chain_lost(&au->chain);
        return;
    }
    if (!au->lost && (u->has_slice || au->slice_pts == packet->pts))
        unlearn_end(au);
    if (au->open == OPEN_NONE && !u->has_slice)
        frame_chain_lost(&au->chain);
    else if (au->open == OPEN_NONE || au->lost)
        u->damaged = true;
    au->took_slice = u->has_slice && !of_prefix;
    if (au->lost && au->took_slice && au->open == OPEN_STORED)
        cut_slice(au);
    au->lost = false;
    if (au->open == OPEN_STORED)
        nal_list_extend(au->open_list, data, len);
}

/* The packet's last NAL unit is cut short: a slice is marked, another NAL unit is dropped. */
static void take_cut(struct access_unit *au)
{
    bool slice_is_open =
        au->unit.has_slice && au->open == OPEN_STORED && au->open_list == &au->nals;
    if (slice_is_open) /* also if the packet held none of its bytes, or zeros only */
        cut_slice(au);
    else if (au->took_slice && au->open != OPEN_STORED)
        au->unit.damaged = true;
    else if (au->open == OPEN_STORED)
        nal_list_drop_last(au->open_list);
    au->open = OPEN_NONE;
}

/* Take the packet's marker, after its NAL units. */
static void take_marker(struct access_unit *au, const struct media_packet *packet)
{
    struct unit *u = &au->unit;
    bool of_prefix = u->has_slice && !au->took_slice && is_new_time(au, packet);
    struct marks *marks = of_prefix ? &au->prefix_marks : &u->marks;
    if (!of_prefix)
        u->marked = packet->last;
    if (!packet->last) {
        marks->unmarked = true;
        return;
    }
    if (of_prefix || !u->has_slice) {
        marks->too_early = true; /* parameter sets alone are no access unit */
        return;
    }
    if (au->markers == MARKERS_GOOD ||
        (au->markers == MARKERS_UNPROVEN && u->marks.unmarked && !u->marks.too_early)) {
        take_prefix(au);
        end_unit(au, END_MARKER);
    }
}

static bool push_annex_b(struct access_unit *au, const struct media_packet *packet)
{
    if (au->unit.marked && au->markers == MARKERS_UNPROVEN && au->unit.has_slice &&
        is_new_time(au, packet))
        au->markers = MARKERS_GOOD;

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
    if (au->took_slice || !au->unit.has_slice)
        au->unit.received_us = packet->received_us;
    if (packet->cut)
        take_cut(au);
    take_marker(au, packet);
    return au->took_slice;
}

/* --- messages ----------------------------------------------------------- */

/* in_place: the message is the whole unit, so its NAL units need no copy. */
static void take_message(struct access_unit *au, const struct media_packet *packet,
                         const struct nal_message *m, bool in_place)
{
    struct nal_list *list = m->slices == 0 && au->unit.has_slice ? &au->prefix : &au->nals;
    struct nal_message_cursor cursor;
    struct nal nal;
    nal_message_begin(&cursor, packet->data, packet->len);
    while (nal_message_next(m, &cursor, &nal)) {
        if (nal_role(au->codec, nal.data) == NAL_SLICE)
            read_slice(au, &nal, &au->slice);
        if (in_place)
            nal_list_refer(list, packet->data, &nal);
        else
            nal_list_add(list, &nal);
    }
}

static bool push_message(struct access_unit *au, const struct media_packet *packet,
                         const struct nal_message *m)
{
    if (m->slices > 1 && au->messages == MESSAGES_UNPROVEN)
        au->messages = MESSAGES_WHOLE;
    if (m->slices > 0)
        place_slice(au, packet, &m->slice);
    if (au->took_slice || !au->unit.has_slice)
        au->unit.received_us = packet->received_us;
    bool ends = m->slices > 0 && au->messages == MESSAGES_WHOLE;
    take_message(au, packet, m, ends && au->nals.count == 0);
    if (m->broken && m->slices > 0) {
        au->unit.damaged = true;
    } else if (m->broken) {
        au->lost = true; /* no part of it can be used */
        frame_chain_left_out(&au->chain);
    }
    if (ends)
        end_unit(au, END_MESSAGE);
    return m->slices > 0;
}

/* How far are messages of pictures apart?  The smaller one of the last two distances, since stamps
 * may jump; 0: not known. */
static int64_t message_step(struct access_unit *au, const struct media_packet *packet)
{
    bool known = au->message_dts != AV_NOPTS_VALUE && packet->dts != AV_NOPTS_VALUE;
    int64_t distance = known ? llabs(packet->dts - au->message_dts) : 0;
    int64_t step = distance < au->message_distance ? distance : au->message_distance;
    au->message_dts = packet->dts;
    au->message_distance = distance;
    return step;
}

/* Take several pictures in one message, as if each had come in its own, at its time. */
static bool push_pictures(struct access_unit *au, const struct media_packet *packet,
                          struct nal_message *m, int64_t step)
{
    struct media_packet part = *packet;
    const uint8_t *end = packet->data + packet->len;
    step /= m->pictures;
    while (part.data < end) {
        nal_message_read_picture(m, part.data, (size_t)(end - part.data));
        part.len = m->first_len;
        au->took_slice = false;
        (void)push_message(au, &part, m);
        part.data += part.len;
        part.pts += part.pts != AV_NOPTS_VALUE ? step : 0;
        part.dts += part.dts != AV_NOPTS_VALUE ? step : 0;
        part.key = false;
    }
    return true;
}

static bool push_lengths(struct access_unit *au, const struct media_packet *packet)
{
    struct nal_message m;
    close_nal(au);
    nal_message_read(&m, au->codec, au->sets.length_size, packet->data, packet->len);
    int64_t step = m.slices > 0 ? message_step(au, packet) : 0;
    if (m.pictures > 1 && m.first_len > 0 && !m.broken &&
        !parameter_sets_may_have_fields(&au->sets))
        return push_pictures(au, packet, &m, step);
    return push_message(au, packet, &m);
}

bool access_unit_push(struct access_unit *au, const struct media_packet *packet)
{
    assert(packet->track == TRACK_VIDEO && packet->form != MEDIA_RAW);
    au->lost |= packet->lost_before;
    au->took_slice = false;
    if (packet->form == MEDIA_LENGTHS)
        return push_lengths(au, packet);
    return push_annex_b(au, packet);
}
