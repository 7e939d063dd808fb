#include "worker/video/parameter_sets.h"

#include "common/bytes.h"
#include "worker/video/sps.h"

#include <assert.h>
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <stdlib.h>
#include <string.h>

/* The part of a slice that libavcodec's parser gets: its header. */
#define SLICE_HEAD_BYTES 512u

#define AVCC_HEAD_BYTES 7
#define HVCC_HEAD_BYTES 23

void parameter_sets_init(struct parameter_sets *sets, enum AVCodecID codec)
{
    memset(sets, 0, sizeof(*sets));
    sets->codec = codec;
    sets->length_size = 4;
}

void parameter_sets_clear(struct parameter_sets *sets)
{
    for (unsigned i = 0; i < sets->count; i++)
        free(sets->set[i].data);
    parameter_sets_init(sets, sets->codec);
}

/* Fill in everything but the data. */
static bool identify(enum AVCodecID codec, const struct nal *nal, struct parameter_set *set)
{
    struct sps_info info;
    struct nal_bits b;

    memset(set, 0, sizeof(*set));
    switch (nal_type(codec, nal->data)) {
    case H264_NAL_SPS:
    case HEVC_NAL_SPS:
        set->kind = PARAMETER_SET_SPS;
        if (!sps_read(codec, nal, &info))
            return false;
        set->id = info.id;
        set->parent_id = info.vps_id;
        set->fields = info.fields;
        set->frame_num_bits = info.frame_num_bits;
        return true;
    case HEVC_NAL_VPS:
        set->kind = PARAMETER_SET_VPS;
        nal_bits_init(&b, codec, nal);
        set->id = (uint8_t)nal_bits_read(&b, 4);
        return !b.overrun;
    default:
        set->kind = PARAMETER_SET_PPS;
        nal_bits_init(&b, codec, nal);
        uint32_t id = nal_bits_ue(&b);
        uint32_t parent_id = nal_bits_ue(&b);
        set->id = (uint8_t)id;
        set->parent_id = (uint8_t)parent_id;
        if (codec == AV_CODEC_ID_HEVC) {
            set->dependent_slices = nal_bits_read(&b, 1) != 0;
            (void)nal_bits_read(&b, 1); /* output_flag_present_flag */
            set->extra_slice_bits = (uint8_t)nal_bits_read(&b, 3);
        }
        return !b.overrun && id <= 255 && parent_id <= 31;
    }
}

static struct parameter_set *find(const struct parameter_sets *sets, enum parameter_set_kind kind,
                                  unsigned id)
{
    for (unsigned i = 0; i < sets->count; i++) {
        const struct parameter_set *s = &sets->set[i];
        if (s->kind == kind && s->id == id)
            return (struct parameter_set *)(uintptr_t)s;
    }
    return NULL;
}

void parameter_sets_add(struct parameter_sets *sets, const struct nal *nal, bool in_unit)
{
    struct parameter_set new;
    if (nal->len <= nal_header_len(sets->codec) || nal->len > PARAMETER_SET_MAX_BYTES ||
        nal_role(sets->codec, nal->data) != NAL_PARAMETER_SET || !identify(sets->codec, nal, &new))
        return;

    struct parameter_set *old = find(sets, new.kind, new.id);
    if (old != NULL && old->len == nal->len && memcmp(old->data, nal->data, nal->len) == 0) {
        old->in_unit |= in_unit;
        return;
    }
    if (old == NULL && sets->count == PARAMETER_SETS_MAX)
        return;
    new.data = malloc(nal->len);
    if (new.data == NULL)
        return;
    memcpy(new.data, nal->data, nal->len);
    new.len = (uint16_t)nal->len;
    new.in_unit = in_unit;
    if (old != NULL)
        free(old->data);
    else
        old = &sets->set[sets->count++];
    *old = new;
    sets->changed = true;
}

/* Add `count` NAL units of {UI16 length, bytes} and advance the cursor.  Returns false if the data
 * end too early. */
static bool add_array(struct parameter_sets *sets, struct nal_cursor *cursor, unsigned count)
{
    while (count-- > 0) {
        struct nal nal;
        if (nal_next_length(cursor, 2, &nal) != 1)
            return false;
        parameter_sets_add(sets, &nal, false);
    }
    return true;
}

static void add_avcc(struct parameter_sets *sets, const uint8_t *data, size_t len)
{
    struct nal_cursor cursor = {.pos = data + 6, .end = data + len};
    sets->length_size = (data[4] & 3u) + 1;
    if (!add_array(sets, &cursor, data[5] & 0x1f) || cursor.pos == cursor.end)
        return;
    unsigned pps_count = *cursor.pos++;
    (void)add_array(sets, &cursor, pps_count);
}

static void add_hvcc(struct parameter_sets *sets, const uint8_t *data, size_t len)
{
    struct nal_cursor cursor = {.pos = data + HVCC_HEAD_BYTES, .end = data + len};
    sets->length_size = (data[21] & 3u) + 1;
    for (unsigned arrays = data[22]; arrays > 0; arrays--) {
        if (cursor.end - cursor.pos < 3)
            return;
        unsigned count = bytes_get16(cursor.pos + 1);
        cursor.pos += 3;
        if (!add_array(sets, &cursor, count))
            return;
    }
}

bool parameter_sets_may_have_fields(const struct parameter_sets *sets)
{
    bool any = false;
    for (unsigned i = 0; i < sets->count; i++) {
        if (sets->set[i].kind != PARAMETER_SET_SPS)
            continue;
        if (sets->set[i].fields)
            return true;
        any = true;
    }
    return sets->codec == AV_CODEC_ID_H264 && !any;
}

static bool is_annex_b(const uint8_t *data, size_t len)
{
    return len >= 4 && data[0] == 0 && data[1] == 0 &&
           (data[2] == 1 || (data[2] == 0 && data[3] == 1));
}

bool parameter_sets_is_extradata(enum AVCodecID codec, const uint8_t *data, size_t len)
{
    if (is_annex_b(data, len))
        return true;
    if (codec == AV_CODEC_ID_H264)
        return len >= AVCC_HEAD_BYTES && data[0] == 1;
    return len >= HVCC_HEAD_BYTES && (data[0] != 0 || data[1] != 0); /* drafts had version 0 */
}

void parameter_sets_add_extradata(struct parameter_sets *sets, const uint8_t *data, size_t len)
{
    if (is_annex_b(data, len)) {
        struct nal_cursor cursor = {.pos = data, .end = data + len};
        struct nal nal;
        while (nal_next_annex_b(&cursor, &nal))
            parameter_sets_add(sets, &nal, false);
    } else if (sets->codec == AV_CODEC_ID_H264 && len >= AVCC_HEAD_BYTES) {
        add_avcc(sets, data, len);
    } else if (sets->codec == AV_CODEC_ID_HEVC && len >= HVCC_HEAD_BYTES) {
        add_hvcc(sets, data, len);
    }
}

/* An HEVC VPS or SPS has two header bytes with layer 0 and temporal id 0; an H.264 SPS has
 * nal_ref_idc above 0. */
static enum AVCodecID guess_by_nal(const uint8_t *nal)
{
    if (((nal[0] & 0x81) == 0 && nal[1] == 1) &&
        (nal[0] >> 1 == HEVC_NAL_VPS || nal[0] >> 1 == HEVC_NAL_SPS))
        return AV_CODEC_ID_HEVC;
    if ((nal[0] & 0x9f) == H264_NAL_SPS && (nal[0] & 0x60) != 0)
        return AV_CODEC_ID_H264;
    return AV_CODEC_ID_NONE;
}

enum AVCodecID parameter_sets_guess_codec(const uint8_t *data, size_t len)
{
    /* Offsets of the first set in an avcC, and of the first set in an hvcC's first array. */
    static const size_t places[] = {8, HVCC_HEAD_BYTES + 5};
    for (size_t i = 0; len > 0 && data[0] == 1 && i < sizeof(places) / sizeof(places[0]); i++) {
        if (places[i] + 2 > len)
            break;
        enum AVCodecID codec = guess_by_nal(data + places[i]);
        if (codec == (i == 0 ? AV_CODEC_ID_H264 : AV_CODEC_ID_HEVC))
            return codec;
    }
    struct nal_cursor cursor = {.pos = data, .end = data + len};
    struct nal nal;
    bool annex_b = len > 4 && nal_find_start_code(data, 4) < 2;
    while (annex_b ? nal_next_annex_b(&cursor, &nal) : nal_next_length(&cursor, 4, &nal) == 1) {
        enum AVCodecID codec = nal.len >= 2 ? guess_by_nal(nal.data) : AV_CODEC_ID_NONE;
        if (codec != AV_CODEC_ID_NONE)
            return codec;
    }
    return AV_CODEC_ID_NONE;
}

void parameter_sets_begin_unit(struct parameter_sets *sets)
{
    for (unsigned i = 0; i < sets->count; i++)
        sets->set[i].in_unit = false;
}

/* The sets that a picture needs for decoding. */
struct active {
    const struct parameter_set *vps; /* HEVC */
    const struct parameter_set *sps;
};

const struct parameter_set *parameter_sets_pps(const struct parameter_sets *sets,
                                               const struct nal *slice)
{
    struct nal_bits b;
    nal_bits_init(&b, sets->codec, slice);
    if (sets->codec == AV_CODEC_ID_H264) {
        (void)nal_bits_ue(&b); /* first_mb_in_slice */
        (void)nal_bits_ue(&b); /* slice_type */
    } else {
        unsigned type = nal_type(sets->codec, slice->data);
        bool irap = type >= HEVC_NAL_BLA_W_LP && type <= HEVC_NAL_IRAP_LAST;
        (void)nal_bits_read(&b, irap ? 2 : 1); /* first_slice…flag, no_output_of_prior_pics_flag */
    }
    unsigned id = nal_bits_ue(&b);
    return b.overrun ? NULL : find(sets, PARAMETER_SET_PPS, id);
}

int parameter_sets_frame_num(const struct parameter_sets *sets, const struct nal *slice)
{
    const struct parameter_set *pps = parameter_sets_pps(sets, slice);
    const struct parameter_set *sps =
        pps != NULL ? find(sets, PARAMETER_SET_SPS, pps->parent_id) : NULL;
    if (sps == NULL || sps->frame_num_bits == 0)
        return -1;
    struct nal_bits b;
    nal_bits_init(&b, sets->codec, slice);
    (void)nal_bits_ue(&b); /* first_mb_in_slice */
    (void)nal_bits_ue(&b); /* slice_type */
    (void)nal_bits_ue(&b); /* pic_parameter_set_id */
    int frame_num = (int)nal_bits_read(&b, sps->frame_num_bits);
    return b.overrun ? -1 : frame_num;
}

static bool find_active(const struct parameter_sets *sets, const struct nal *slice,
                        struct active *active)
{
    const struct parameter_set *pps = parameter_sets_pps(sets, slice);
    if (pps == NULL)
        return false;
    active->sps = find(sets, PARAMETER_SET_SPS, pps->parent_id);
    if (active->sps == NULL)
        return false;
    active->vps = find(sets, PARAMETER_SET_VPS, active->sps->parent_id);
    return sets->codec == AV_CODEC_ID_H264 || active->vps != NULL;
}

/* Every PPS that refers to the SPS is active: other pictures may use another PPS. */
static bool is_active(const struct active *active, const struct parameter_set *set)
{
    return set == active->vps || set == active->sps ||
           (set->kind == PARAMETER_SET_PPS && set->parent_id == active->sps->id);
}

bool parameter_sets_complete(const struct parameter_sets *sets, const struct nal *slice)
{
    struct active active;
    return find_active(sets, slice, &active);
}

bool parameter_sets_is_active(const struct parameter_sets *sets, const struct nal *slice,
                              const struct parameter_set *set)
{
    struct active active;
    return find_active(sets, slice, &active) && is_active(&active, set);
}

/* What libavcodec's parser reads. */
struct description {
    int width;
    int height;
    AVRational frame_rate;
};

static size_t put_annex_b(uint8_t *out, const uint8_t *data, size_t len)
{
    static const uint8_t start_code[] = {0, 0, 0, 1};
    memcpy(out, start_code, sizeof(start_code));
    memcpy(out + sizeof(start_code), data, len);
    return sizeof(start_code) + len;
}

/* unit: the active sets and the slice's head in Annex B form, padded. */
static int parse(enum AVCodecID codec, const uint8_t *unit, int len, struct description *d)
{
    int rc = -ENOMEM;
    AVCodecParserContext *parser = av_parser_init((int)codec);
    AVCodecContext *avctx = avcodec_alloc_context3(NULL);
    if (parser == NULL || avctx == NULL)
        goto out;
    avctx->codec_id = codec;
    parser->flags |= PARSER_FLAG_COMPLETE_FRAMES;

    uint8_t *out;
    int out_len;
    (void)av_parser_parse2(parser, avctx, &out, &out_len, unit, len, AV_NOPTS_VALUE, AV_NOPTS_VALUE,
                           0);
    rc = -EINVAL;
    if (parser->width <= 0 || parser->height <= 0)
        goto out;
    d->width = parser->width;
    d->height = parser->height;
    d->frame_rate = avctx->framerate;
    /* Up to FFmpeg 6.0 the H.264 parser counted fields (ticks of the VUI), not frames. */
    if (codec == AV_CODEC_ID_H264 && avcodec_version() < AV_VERSION_INT(60, 31, 0))
        d->frame_rate = av_div_q(d->frame_rate, (AVRational){2, 1});
    rc = 0;

out:
    avcodec_free_context(&avctx);
    av_parser_close(parser);
    return rc;
}

static int describe(const struct parameter_sets *sets, const struct active *active,
                    const struct nal *slice, struct description *d)
{
    size_t len = 0;
    size_t slice_len = slice->len < SLICE_HEAD_BYTES ? slice->len : SLICE_HEAD_BYTES;
    size_t room = slice_len + 4 + AV_INPUT_BUFFER_PADDING_SIZE;
    for (unsigned i = 0; i < sets->count; i++)
        room += sets->set[i].len + 4u;

    uint8_t *unit = calloc(1, room);
    if (unit == NULL)
        return -ENOMEM;
    for (unsigned kind = PARAMETER_SET_VPS; kind <= PARAMETER_SET_PPS; kind++) {
        for (unsigned i = 0; i < sets->count; i++) {
            if (sets->set[i].kind == kind && is_active(active, &sets->set[i]))
                len += put_annex_b(unit + len, sets->set[i].data, sets->set[i].len);
        }
    }
    len += put_annex_b(unit + len, slice->data, slice_len);
    int rc = parse(sets->codec, unit, (int)len, d);
    free(unit);
    return rc;
}

/* Write the active sets of one kind as {UI16 length, bytes}, and count them. */
static uint8_t *put_sets(uint8_t *p, const struct parameter_sets *sets, const struct active *active,
                         unsigned kind, unsigned *count)
{
    *count = 0;
    for (unsigned i = 0; i < sets->count; i++) {
        const struct parameter_set *s = &sets->set[i];
        if (s->kind != kind || !is_active(active, s))
            continue;
        p = bytes_put16(p, (uint32_t)s->len);
        memcpy(p, s->data, s->len);
        p += s->len;
        ++*count;
    }
    return p;
}

/* ISO/IEC 14496-15 5.3.3.1 */
static size_t put_avcc(uint8_t *out, const struct parameter_sets *sets, const struct active *active,
                       const struct sps_info *sps)
{
    unsigned count;
    uint8_t profile_idc = active->sps->data[1];
    out[0] = 1;
    memcpy(out + 1, active->sps->data + 1, 3); /* profile, compatibility, level */
    out[4] = 0xfc | 3;                         /* lengthSizeMinusOne */
    uint8_t *p = put_sets(out + 6, sets, active, PARAMETER_SET_SPS, &count);
    out[5] = (uint8_t)(0xe0 | count);
    uint8_t *pps_count = p;
    p = put_sets(p + 1, sets, active, PARAMETER_SET_PPS, &count);
    *pps_count = (uint8_t)count;
    if (profile_idc != 66 && profile_idc != 77 && profile_idc != 88) {
        *p++ = 0xfc | sps->chroma_format_idc;
        *p++ = (uint8_t)(0xf8 | (sps->bit_depth_luma - 8));
        *p++ = (uint8_t)(0xf8 | (sps->bit_depth_chroma - 8));
        *p++ = 0; /* numOfSequenceParameterSetExt */
    }
    return (size_t)(p - out);
}

/* ISO/IEC 14496-15 8.3.3.1.  array_completeness stays 0: sets may also come in band. */
static size_t put_hvcc(uint8_t *out, const struct parameter_sets *sets, const struct active *active,
                       const struct sps_info *sps)
{
    static const uint8_t types[] = {HEVC_NAL_VPS, HEVC_NAL_SPS, HEVC_NAL_PPS};
    out[0] = 1;
    memcpy(out + 1, sps->profile_tier_level, sizeof(sps->profile_tier_level));
    out[13] = 0xf0; /* min_spatial_segmentation_idc: not known */
    out[14] = 0;
    out[15] = 0xfc; /* parallelismType: not known */
    out[16] = 0xfc | sps->chroma_format_idc;
    out[17] = (uint8_t)(0xf8 | (sps->bit_depth_luma - 8));
    out[18] = (uint8_t)(0xf8 | (sps->bit_depth_chroma - 8));
    out[19] = 0; /* avgFrameRate: not known */
    out[20] = 0;
    out[21] = (uint8_t)(sps->temporal_layers << 3 | (sps->temporal_id_nested ? 4 : 0) | 3);
    out[22] = sizeof(types);
    uint8_t *p = out + HVCC_HEAD_BYTES;
    for (unsigned kind = 0; kind < sizeof(types); kind++) {
        unsigned count;
        uint8_t *head = p;
        p = put_sets(p + 3, sets, active, kind, &count);
        bytes_put16(bytes_put8(head, types[kind]), count);
    }
    return (size_t)(p - out);
}

/* Make a new configuration, unless its record would be the same.  Returns as
 * parameter_sets_config(). */
static int make_config(const struct parameter_sets *sets, const struct active *active,
                       const struct nal *slice, struct codec_config **config)
{
    struct sps_info info;
    struct description d = {.width = 0};
    struct nal sps = {.data = active->sps->data, .len = active->sps->len};
    bool ok = sps_read(sets->codec, &sps, &info);
    assert(ok); /* parameter_sets_add() could read it */

    int rc = describe(sets, active, slice, &d);
    if (rc != 0)
        return rc;

    size_t room = HVCC_HEAD_BYTES + 9 + 4;
    for (unsigned i = 0; i < sets->count; i++)
        room += sets->set[i].len + 2u;
    uint8_t *record = malloc(room);
    if (record == NULL)
        return -ENOMEM;
    size_t len = sets->codec == AV_CODEC_ID_H264 ? put_avcc(record, sets, active, &info)
                                                 : put_hvcc(record, sets, active, &info);
    assert(len <= room);
    rc = 0;
    if (*config != NULL && (*config)->record_len == len &&
        memcmp((*config)->record, record, len) == 0)
        goto out;

    struct codec_config *c = codec_config_new(TRACK_VIDEO, sets->codec, record, len);
    if (c == NULL) {
        rc = -ENOMEM;
        goto out;
    }
    c->width = d.width;
    c->height = d.height;
    if (d.frame_rate.num > 0 && d.frame_rate.den > 0) {
        c->frame_rate_num = d.frame_rate.num;
        c->frame_rate_den = d.frame_rate.den;
    }
    c->reorder_frames = info.reorder_frames;
    codec_config_unref(config);
    *config = c;
    rc = 1;

out:
    free(record);
    return rc;
}

int parameter_sets_config(struct parameter_sets *sets, const struct nal *slice,
                          struct codec_config **config)
{
    struct active active;
    if (!find_active(sets, slice, &active))
        return -ENOENT;
    /* Nothing is new, unless the slice switches to another SPS. */
    if (!sets->changed && *config != NULL && sets->active_sps == active.sps)
        return 0;
    int rc = make_config(sets, &active, slice, config);
    if (rc < 0)
        return rc;
    sets->changed = false;
    sets->active_sps = active.sps;
    return rc;
}
