#include "worker/video/start_point.h"

#include <assert.h>
#include <string.h>

void start_points_init(struct start_points *points, enum AVCodecID codec)
{
    *points = (struct start_points){.codec = codec, .first_us = INT64_MIN, .key_us = INT64_MIN};
}

/* What survey() finds in a picture's NAL units. */
struct survey {
    struct nal slice; /* the first slice */
    bool all_idr;
    bool intra;
    bool sets;    /* SPS and PPS */
    int recovery; /* the recovery point's count; -1: there is none */
};

static bool is_intra(enum AVCodecID codec, const struct parameter_sets *sets, const struct nal *nal,
                     bool first)
{
    if (codec == AV_CODEC_ID_H264)
        return nal_is_intra_slice(codec, nal, 0);
    if (!first)
        return true; /* the first slice decides: cameras do not mix */
    const struct parameter_set *pps = parameter_sets_pps(sets, nal);
    return pps != NULL && nal_is_intra_slice(codec, nal, pps->extra_slice_bits);
}

static void survey(enum AVCodecID codec, const struct nal_list *nals,
                   const struct parameter_sets *sets, struct survey *s)
{
    bool sps = false;
    bool pps = false;
    *s = (struct survey){.all_idr = true, .intra = true, .recovery = -1};
    for (unsigned i = 0; i < nals->count; i++) {
        struct nal nal = nal_list_get(nals, i);
        unsigned type = nal_type(codec, nal.data);
        bool h264 = codec == AV_CODEC_ID_H264;
        sps |= type == (h264 ? (unsigned)H264_NAL_SPS : (unsigned)HEVC_NAL_SPS);
        pps |= type == (h264 ? (unsigned)H264_NAL_PPS : (unsigned)HEVC_NAL_PPS);
        if (s->recovery < 0 &&
            type == (h264 ? (unsigned)H264_NAL_SEI : (unsigned)HEVC_NAL_SEI_PREFIX))
            s->recovery = nal_recovery_point(codec, &nal);
        if (nal_role(codec, nal.data) != NAL_SLICE)
            continue;
        s->all_idr = s->all_idr && type == H264_NAL_IDR;
        s->intra = s->intra && is_intra(codec, sets, &nal, s->slice.data == NULL);
        if (s->slice.data == NULL)
            s->slice = nal;
    }
    s->sets = sps && pps;
    assert(s->slice.data != NULL);
}

/* A picture that is neither IDR nor IRAP. */
static void judge_other(const struct start_points *points, const struct survey *s, bool key_flag,
                        struct start_point *point)
{
    bool h264 = points->codec == AV_CODEC_ID_H264;
    point->unmarked = h264 && s->intra && s->recovery < 0;
    if (s->recovery > 0) {
        point->kind = START_REFRESH;
        point->refresh = (uint16_t)s->recovery;
    } else if (s->intra) {
        bool promised = s->recovery == 0 || key_flag || (h264 && !points->seen_idr && s->sets);
        point->kind = promised ? START_KEY : START_WEAK;
    } else if (key_flag || (s->sets && !points->had_sets)) {
        /* One period refreshes all, but partly from areas not yet refreshed: x265 was seen to need
         * up to 2.5 periods. */
        unsigned pictures = 4 * points->pictures;
        bool known = pictures > 0 && pictures < START_POINT_REFRESH_UNKNOWN;
        point->kind = START_WEAK;
        point->refresh = (uint16_t)(known ? pictures : START_POINT_REFRESH_UNKNOWN);
    }
}

void start_point_examine(const struct start_points *points, const struct nal_list *nals,
                         const struct parameter_sets *sets, bool key_flag,
                         struct start_point *point)
{
    struct survey s;
    survey(points->codec, nals, sets, &s);
    *point = (struct start_point){.slice = s.slice, .has_sets = s.sets};
    unsigned type = nal_type(points->codec, s.slice.data);
    bool irap = type >= HEVC_NAL_BLA_W_LP && type <= HEVC_NAL_IRAP_LAST;
    if (points->codec == AV_CODEC_ID_HEVC) {
        point->whole_from_here = type == HEVC_NAL_IDR_W_RADL || type == HEVC_NAL_IDR_N_LP;
        point->broken_link = type >= HEVC_NAL_BLA_W_LP && type <= HEVC_NAL_BLA_N_LP;
        point->leading = type == HEVC_NAL_RASL_N || type == HEVC_NAL_RASL_R;
    } else {
        irap = s.all_idr;
        point->whole_from_here = s.all_idr;
    }
    if (irap)
        point->kind = START_KEY;
    else if (!point->leading)
        judge_other(points, &s, key_flag, point);
}

static bool has_passed(int64_t since_us, int64_t now_us, int64_t wait_us)
{
    return since_us == INT64_MIN || now_us - since_us >= wait_us;
}

bool start_points_allow(struct start_points *points, const struct start_point *point,
                        int64_t received_us)
{
    if (points->first_us == INT64_MIN)
        points->first_us = received_us;
    points->seen_idr |= point->whole_from_here;
    points->had_sets = point->has_sets;
    if (point->kind == START_WEAK && point->refresh > 0)
        points->pictures = 1;
    else if (points->pictures > 0)
        points->pictures++;
    bool forgotten = has_passed(points->key_us, received_us, START_POINT_MEMORY_US);
    switch (point->kind) {
    case START_KEY:
        points->key_us = received_us;
        return true;
    case START_REFRESH:
        return forgotten;
    case START_WEAK:
        return forgotten && has_passed(points->first_us, received_us, START_POINT_PATIENCE_US);
    case START_NONE:
        break;
    }
    return false;
}
