#include "worker/flv/flv_reader.h"

#include "common/bytes.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/flv/flv_framing.h"
#include "worker/flv/flv_script.h"
#include "worker/flv/flv_tag.h"
#include "worker/video/parameter_sets.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/mem.h>
#include <stdlib.h>
#include <string.h>

#define PREVIOUS_TAG_SIZE_BYTES 4
#define CONFIG_MAX_BYTES (64u << 10)

/* How long to wait for audio: by video timestamps, or by frames if the timestamps stand still. */
#define AUDIO_WAIT_MS 1000
#define AUDIO_WAIT_FRAMES 100

/* A tag in the hold, which waits until the tracks are settled; its data follows. */
struct held {
    uint32_t type;
    uint32_t ts_ms;
    uint64_t len;
    int64_t received_us;
};

struct flv_reader {
    struct media_sink sink;
    struct flv_framing framing;
    bool alive; /* the sink took a packet as a sign of life */

    bool settled;
    bool with_audio;            /* the announced tracks include audio */
    bool no_audio;              /* by onMetaData, or because its codec is unusable */
    const char *silent_because; /* why audio is left out; NULL: it is not */
    char silent_codec[8];
    bool seen[TRACK_COUNT];
    bool lost[TRACK_COUNT];
    int track[TRACK_COUNT];     /* trackId to read; -1: any */
    enum AVCodecID wrong_codec; /* the video tags name this codec, */
    enum AVCodecID right_codec; /* ... but the video is this one */
    uint32_t first_frame_ms;    /* timestamp of the first video frame */
    unsigned video_frames;
    struct flv_buffer hold;

    AVCodecParameters *par[TRACK_COUNT];
    bool known[TRACK_COUNT]; /* par is valid */
};

static int on_tag(void *ctx, struct flv_tag *tag);
static void on_loss(void *ctx);

struct flv_reader *flv_reader_new(const struct media_sink *sink)
{
    struct flv_reader *r = xcalloc(1, sizeof(*r));
    r->sink = *sink;
    r->framing.events = (struct flv_framing_events){on_tag, on_loss, r};
    for (int i = 0; i < TRACK_COUNT; i++) {
        r->track[i] = -1;
        r->par[i] = avcodec_parameters_alloc();
        if (r->par[i] == NULL)
            abort();
    }
    return r;
}

void flv_reader_free(struct flv_reader **reader)
{
    struct flv_reader *r = *reader;
    *reader = NULL;
    if (r == NULL)
        return;
    for (int i = 0; i < TRACK_COUNT; i++)
        avcodec_parameters_free(&r->par[i]);
    flv_framing_free(&r->framing);
    flv_buffer_free(&r->hold);
    free(r);
}

bool flv_reader_has_seen(const struct flv_reader *reader, enum track track)
{
    return reader->seen[track];
}

/* --- tracks ------------------------------------------------------------- */

static bool same_config(const AVCodecParameters *par, const struct flv_unit *unit)
{
    return par->codec_id == unit->codec && par->extradata_size == (int)unit->len &&
           (unit->len == 0 || memcmp(par->extradata, unit->data, unit->len) == 0);
}

static bool same_format(const AVCodecParameters *par, const struct flv_unit *unit)
{
    return par->codec_id == unit->codec && par->sample_rate == (int)unit->sample_rate &&
           par->ch_layout.nb_channels == (int)unit->channels;
}

static int set_par(struct flv_reader *r, enum track track, const struct flv_unit *unit)
{
    AVCodecParameters *par = r->par[track];
    uint8_t *extradata = NULL;
    if (unit->config) {
        extradata = av_mallocz(unit->len + AV_INPUT_BUFFER_PADDING_SIZE);
        if (extradata == NULL)
            return -ENOMEM;
        memcpy(extradata, unit->data, unit->len);
    }
    av_freep(&par->extradata);
    par->extradata = extradata;
    par->extradata_size = unit->config ? (int)unit->len : 0;
    par->codec_id = unit->codec;
    par->codec_type = track == TRACK_VIDEO ? AVMEDIA_TYPE_VIDEO : AVMEDIA_TYPE_AUDIO;
    if (track == TRACK_AUDIO) {
        par->sample_rate = (int)unit->sample_rate;
        av_channel_layout_uninit(&par->ch_layout);
        av_channel_layout_default(&par->ch_layout, (int)unit->channels);
    }
    r->known[track] = true;
    return 0;
}

static int announce(struct flv_reader *r)
{
    static const AVRational ms = {1, 1000};
    struct media_track video = {.par = r->par[TRACK_VIDEO], .time_base = ms};
    struct media_track audio = {.par = r->par[TRACK_AUDIO], .time_base = ms};
    return r->sink.on_tracks(r->sink.ctx, &video, r->with_audio ? &audio : NULL);
}

static bool send(struct flv_reader *r, struct media_packet *packet, const struct flv_tag *tag)
{
    packet->lost_before = r->lost[packet->track];
    packet->dts = tag->ts_ms;
    packet->received_us = tag->received_us;
    r->lost[packet->track] = false;
    return r->sink.on_packet(r->sink.ctx, packet);
}

/* Send the current configuration's parameter sets in band, before the frame that needs them. */
static int send_parameter_sets(struct flv_reader *r, const struct flv_tag *tag)
{
    static const uint8_t start_code[] = {0, 0, 0, 1};
    const AVCodecParameters *par = r->par[TRACK_VIDEO];
    struct parameter_sets *sets = xcalloc(1, sizeof(*sets));
    struct flv_buffer out = {.data = NULL};
    int rc = 0;

    parameter_sets_init(sets, par->codec_id);
    parameter_sets_add_extradata(sets, par->extradata, (size_t)par->extradata_size);
    for (unsigned i = 0; i < sets->count && rc == 0; i++) {
        rc = flv_buffer_append(&out, start_code, sizeof(start_code));
        if (rc == 0)
            rc = flv_buffer_append(&out, sets->set[i].data, sets->set[i].len);
    }
    if (rc == 0 && out.len > 0) {
        struct media_packet packet = {.track = TRACK_VIDEO,
                                      .form = MEDIA_ANNEX_B,
                                      .data = out.data,
                                      .len = out.len,
                                      .pts = tag->ts_ms};
        (void)send(r, &packet, tag);
    }
    parameter_sets_clear(sets);
    free(sets);
    free(out.data);
    return rc;
}

/* lengthSizeMinusOne of an avcC or hvcC; 0xff without one. */
static unsigned length_size(enum AVCodecID codec, const uint8_t *record, size_t len)
{
    size_t at = codec == AV_CODEC_ID_H264 ? 4 : 21;
    return len > at ? record[at] & 3u : 0xff;
}

static int take_video_config(struct flv_reader *r, const struct flv_tag *tag,
                             const struct flv_unit *unit)
{
    const AVCodecParameters *par = r->par[TRACK_VIDEO];
    if (unit->len == 0 || unit->len > CONFIG_MAX_BYTES || same_config(par, unit))
        return 0;
    bool in_band = par->codec_id == unit->codec &&
                   length_size(unit->codec, unit->data, unit->len) ==
                       length_size(unit->codec, par->extradata, (size_t)par->extradata_size);
    int rc = set_par(r, TRACK_VIDEO, unit);
    if (rc != 0 || !r->settled)
        return rc;
    return in_band ? send_parameter_sets(r, tag) : announce(r);
}

/* Log once why audio is left out. */
static void leave_audio_out(struct flv_reader *r, const char *because)
{
    if (r->silent_because == NULL)
        log_warnx(NULL, "flv: sound is left out: %s", because);
    r->silent_because = because;
    r->no_audio = true;
}

static bool has_config(enum AVCodecID codec)
{
    return codec == AV_CODEC_ID_AAC || codec == AV_CODEC_ID_OPUS || codec == AV_CODEC_ID_FLAC;
}

/* Read the audio configuration that a unit is or contains.  Returns 1 if it is new, else 0. */
static int read_audio_config(struct flv_reader *r, struct flv_unit *unit)
{
    const AVCodecParameters *par = r->par[TRACK_AUDIO];
    if (!has_config(unit->codec))
        return !same_format(par, unit); /* G.711, MP3, AC-3 have none */
    if (!unit->config) {
        /* ADTS needs none.  Once one is known, changes within the frames are left to the decoder.
         */
        return !r->known[TRACK_AUDIO] && flv_tag_read_adts(unit);
    }
    if (unit->len == 0 || unit->len > CONFIG_MAX_BYTES || same_config(par, unit))
        return 0;
    if (flv_tag_read_audio_config(unit))
        return 1;
    leave_audio_out(r, "its configuration cannot be read");
    return 0;
}

static int take_audio_config(struct flv_reader *r, struct flv_unit *unit)
{
    if (read_audio_config(r, unit) == 0)
        return 0;
    int rc = set_par(r, TRACK_AUDIO, unit);
    r->no_audio = false;
    return rc == 0 && r->settled && r->with_audio ? announce(r) : rc;
}

/* Deliver one coded frame, once the tracks are settled. */
static void deliver(struct flv_reader *r, const struct flv_tag *tag, const struct flv_unit *unit)
{
    enum track track = tag->type == FLV_TAG_VIDEO ? TRACK_VIDEO : TRACK_AUDIO;
    if (unit->codec != r->par[track]->codec_id || (track == TRACK_AUDIO && !r->with_audio))
        return;
    struct media_packet packet = {
        .track = track,
        .form = track == TRACK_VIDEO ? MEDIA_LENGTHS : MEDIA_RAW,
        .key = unit->key,
        .last = true,
        .data = unit->data,
        .len = unit->len,
        .pts = (int64_t)tag->ts_ms + unit->cts_ms,
    };
    if (send(r, &packet, tag))
        r->alive = true;
}

static int hold(struct flv_reader *r, const struct flv_tag *tag)
{
    struct held held = {
        .type = tag->type, .ts_ms = tag->ts_ms, .len = tag->len, .received_us = tag->received_us};
    int rc = flv_buffer_append(&r->hold, &held, sizeof(held));
    return rc != 0 ? rc : flv_buffer_append(&r->hold, tag->data, tag->len);
}

/* Read a tag's unit, and correct a wrong video codec. */
static int read_unit(struct flv_reader *r, struct flv_tag *tag, struct flv_unit *unit)
{
    enum track track = tag->type == FLV_TAG_VIDEO ? TRACK_VIDEO : TRACK_AUDIO;
    tag->track = r->track[track];
    int rc = flv_tag_read_unit(tag, unit);
    if (rc != 0 || unit->codec == AV_CODEC_ID_NONE)
        return rc;
    if (r->track[track] < 0)
        r->track[track] = unit->track;
    if (track != TRACK_VIDEO)
        return 0;
    /* The parameter sets tell: OBS once wrote HEVC under H.264's number, and others still do. */
    if (unit->config || (unit->key && !r->known[TRACK_VIDEO])) {
        enum AVCodecID codec = parameter_sets_guess_codec(unit->data, unit->len);
        if (codec != AV_CODEC_ID_NONE) {
            r->wrong_codec = unit->codec;
            r->right_codec = codec;
        }
    }
    if (unit->codec == r->wrong_codec)
        unit->codec = r->right_codec;
    return 0;
}

static int settle(struct flv_reader *r)
{
    r->settled = true;
    r->with_audio = r->known[TRACK_AUDIO];
    if (!r->with_audio && r->seen[TRACK_AUDIO] && !r->no_audio)
        leave_audio_out(r, "its configuration has not come yet");
    int rc = announce(r);
    for (size_t pos = 0; rc == 0 && pos < r->hold.len;) {
        struct held held;
        struct flv_unit unit;
        memcpy(&held, r->hold.data + pos, sizeof(held));
        struct flv_tag tag = {.type = held.type,
                              .ts_ms = held.ts_ms,
                              .data = r->hold.data + pos + sizeof(held),
                              .len = held.len,
                              .received_us = held.received_us};
        if (read_unit(r, &tag, &unit) == 0)
            deliver(r, &tag, &unit);
        pos += sizeof(held) + held.len;
    }
    flv_buffer_free(&r->hold);
    return rc;
}

static bool has_waited_for_audio(const struct flv_reader *r, const struct flv_tag *tag)
{
    int32_t ms = (int32_t)(tag->ts_ms - r->first_frame_ms);
    bool stuck = r->video_frames >= AUDIO_WAIT_FRAMES;
    return r->video_frames > 0 && tag->type == FLV_TAG_VIDEO && (ms >= AUDIO_WAIT_MS || stuck);
}

static bool may_settle(const struct flv_reader *r, const struct flv_tag *tag)
{
    if (!r->known[TRACK_VIDEO])
        return false;
    return r->known[TRACK_AUDIO] || (r->no_audio && r->video_frames > 0) ||
           has_waited_for_audio(r, tag);
}

/* Take a unit while the tracks are not settled. */
static int wait_for_tracks(struct flv_reader *r, const struct flv_tag *tag,
                           const struct flv_unit *unit)
{
    if (tag->type == FLV_TAG_VIDEO && !unit->config) {
        if (r->video_frames++ == 0)
            r->first_frame_ms = tag->ts_ms;
        if (unit->key && !r->known[TRACK_VIDEO]) { /* then its parameter sets must be in band */
            int rc = set_par(r, TRACK_VIDEO, unit);
            if (rc != 0)
                return rc;
        }
    }
    if (!unit->config) {
        if (r->hold.len + sizeof(struct held) + tag->len > FLV_READER_HELD_MAX) {
            if (r->known[TRACK_VIDEO]) {
                int rc = settle(r);
                if (rc == 0)
                    deliver(r, tag, unit);
                return rc;
            }
            r->hold.len = 0;
            r->lost[TRACK_VIDEO] = r->lost[TRACK_AUDIO] = true;
        }
        int rc = hold(r, tag);
        if (rc != 0)
            return rc;
    }
    return may_settle(r, tag) ? settle(r) : 0;
}

/* Log once that the audio's codec is not supported. */
static void name_audio_codec(struct flv_reader *r, const struct flv_tag *tag,
                             const struct flv_unit *unit)
{
    if (tag->len < 2 || r->silent_because != NULL)
        return;
    if (unit->fourcc != 0) {
        bytes_put32((uint8_t *)r->silent_codec, unit->fourcc);
        log_warnx(NULL, "flv: sound is left out: codec %.4s", r->silent_codec);
    } else {
        log_warnx(NULL, "flv: sound is left out: SoundFormat %u", tag->data[0] >> 4);
    }
    r->silent_because = "its codec";
    r->no_audio = true;
}

/* Announce sound that came late: at a key frame, so that no picture is lost. */
static int add_late_audio(struct flv_reader *r, const struct flv_tag *tag,
                          const struct flv_unit *unit)
{
    if (r->with_audio || !r->known[TRACK_AUDIO] || tag->type != FLV_TAG_VIDEO || !unit->key)
        return 0;
    r->with_audio = true;
    log_info(NULL, "flv: sound came after all");
    return announce(r);
}

static int take_media(struct flv_reader *r, struct flv_tag *tag)
{
    enum track track = tag->type == FLV_TAG_VIDEO ? TRACK_VIDEO : TRACK_AUDIO;
    struct flv_unit unit;
    int rc = read_unit(r, tag, &unit);
    if (rc != 0)
        return rc;
    r->seen[track] = true;

    if (unit.codec == AV_CODEC_ID_NONE) {
        if (track == TRACK_AUDIO)
            name_audio_codec(r, tag, &unit);
        return !r->settled && may_settle(r, tag) ? settle(r) : 0;
    }
    if (track == TRACK_AUDIO)
        rc = take_audio_config(r, &unit);
    else if (unit.config)
        rc = take_video_config(r, tag, &unit);
    if (rc != 0)
        return rc;
    if (!r->settled)
        return wait_for_tracks(r, tag, &unit);
    if (unit.config || unit.len == 0)
        return 0;
    rc = add_late_audio(r, tag, &unit);
    if (rc == 0)
        deliver(r, tag, &unit);
    return rc;
}

/* --- tags --------------------------------------------------------------- */

static int take_tag(struct flv_reader *r, struct flv_tag *tag)
{
    struct flv_script script;
    if (tag->type != FLV_TAG_SCRIPT)
        return take_media(r, tag);
    if (flv_script_read(tag->data, tag->len, &script))
        r->no_audio = script.has_video && !script.has_audio;
    return 0;
}

/* Adobe RTMP 1.0, 7.1.6: the first tag gets the message's time; the others keep their distance. */
static int take_aggregate(struct flv_reader *r, const struct flv_tag *all)
{
    const uint8_t *pos = all->data;
    size_t left = all->len;
    uint32_t offset_ms = 0;
    while (left >= FLV_TAG_HEADER_BYTES) {
        struct flv_tag tag = {.received_us = all->received_us};
        if (!flv_tag_read_header(pos, &tag) || tag.len > left - FLV_TAG_HEADER_BYTES)
            return 0; /* the rest is unusable */
        if (pos == all->data)
            offset_ms = all->ts_ms - tag.ts_ms;
        tag.ts_ms += offset_ms;
        int rc = tag.type != FLV_TAG_AGGREGATE ? take_tag(r, &tag) : 0;
        if (rc != 0)
            return rc;
        size_t size = FLV_TAG_HEADER_BYTES + tag.len + PREVIOUS_TAG_SIZE_BYTES;
        size = size < left ? size : left;
        pos += size;
        left -= size;
    }
    return 0;
}

static int on_tag(void *ctx, struct flv_tag *tag)
{
    struct flv_reader *r = ctx;
    return tag->type == FLV_TAG_AGGREGATE ? take_aggregate(r, tag) : take_tag(r, tag);
}

static void on_loss(void *ctx)
{
    struct flv_reader *r = ctx;
    r->lost[TRACK_VIDEO] = r->lost[TRACK_AUDIO] = true;
}

int flv_reader_push(struct flv_reader *reader, const uint8_t *data, size_t len, int64_t received_us,
                    bool *alive)
{
    reader->alive = false;
    int rc = flv_framing_push(&reader->framing, data, len, received_us);
    *alive = *alive || reader->alive;
    return rc;
}

int flv_reader_finish(struct flv_reader *reader, bool *alive)
{
    if (reader->settled || !reader->known[TRACK_VIDEO])
        return 0;
    reader->alive = false;
    int rc = settle(reader);
    *alive = *alive || reader->alive;
    return rc;
}
