#include "worker/flv/flv_reader.h"

#include "common/bytes.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/flv/flv_framing.h"
#include "worker/flv/flv_script.h"
#include "worker/flv/flv_sound.h"
#include "worker/flv/flv_tag.h"
#include "worker/video/parameter_sets.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/mem.h>
#include <stdlib.h>
#include <string.h>

#define PREVIOUS_TAG_SIZE_BYTES 4

/* How long after the first picture's arrival to wait for audio. */
#define AUDIO_WAIT_US 1000000

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
    bool alive;   /* the sink took a packet as a sign of life */
    bool renamed; /* the first video tag is an aggregate */

    bool settled;
    bool with_audio;     /* the announced tracks include audio, or silence in its place */
    bool audio_promised; /* by onMetaData, or by tags of a codec that we read */
    bool no_audio;       /* none to wait for: by onMetaData, or because it is unusable */
    enum ipc_no_audio silent_because; /* why audio is left out */
    bool seen[TRACK_COUNT];
    bool lost[TRACK_COUNT];
    struct flv_sound sound;
    int track[TRACK_COUNT];     /* trackId to read; -1: any */
    enum AVCodecID wrong_codec; /* the video tags name this codec, */
    enum AVCodecID right_codec; /* ... but the video is this one */
    int64_t first_frame_us;     /* arrival of the first video frame; 0: none yet */
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

static bool is_unreadable(const struct flv_unit *config)
{
    return flv_tag_has_nal_units(config->codec) &&
           !parameter_sets_is_extradata(config->codec, config->data, config->len);
}

static int take_video_config(struct flv_reader *r, const struct flv_tag *tag,
                             const struct flv_unit *unit)
{
    const AVCodecParameters *par = r->par[TRACK_VIDEO];
    if (unit->len == 0 || unit->len > FLV_CONFIG_MAX_BYTES || flv_unit_is_known_config(par, unit))
        return 0;
    bool same_codec = r->known[TRACK_VIDEO] && par->codec_id == unit->codec;
    if (same_codec && is_unreadable(unit)) {
        log_debug(NULL, "flv: a video configuration that cannot be read replaces none");
        return 0;
    }
    bool in_band = flv_tag_has_nal_units(unit->codec) && par->codec_id == unit->codec &&
                   length_size(unit->codec, unit->data, unit->len) ==
                       length_size(unit->codec, par->extradata, (size_t)par->extradata_size);
    int rc = set_par(r, TRACK_VIDEO, unit);
    if (rc != 0 || !r->settled)
        return rc;
    return in_band ? send_parameter_sets(r, tag) : announce(r);
}

/* Note why audio is left out.  Returns true the first time: then log it. */
static bool leave_audio_out(struct flv_reader *r, enum ipc_no_audio because)
{
    if (r->silent_because != IPC_NO_AUDIO_NONE || r->known[TRACK_AUDIO])
        return false;
    r->silent_because = because;
    if (r->settled)
        r->sink.on_no_audio(r->sink.ctx, because);
    return true;
}

/* The sound alone has changed. */
static void announce_audio(struct flv_reader *r)
{
    const struct media_track audio = {.par = r->par[TRACK_AUDIO], .time_base = {1, 1000}};
    r->sink.on_audio(r->sink.ctx, &audio);
}

/* Announce silence in the place of sound that has been promised. */
static int promise_audio(struct flv_reader *r)
{
    static const struct flv_unit silence = {
        .codec = AV_CODEC_ID_AAC, .sample_rate = 44100, .channels = 2};
    int rc = set_par(r, TRACK_AUDIO, &silence);
    r->known[TRACK_AUDIO] = false;
    r->with_audio = true;
    log_warnx(NULL, "flv: silence takes the place of sound: its configuration has not come");
    return rc;
}

/* Is a unit, or does it contain, a configuration that is new? */
static bool has_new_audio_config(struct flv_reader *r, const struct flv_tag *tag,
                                 struct flv_unit *unit)
{
    const AVCodecParameters *known = r->known[TRACK_AUDIO] ? r->par[TRACK_AUDIO] : NULL;
    enum flv_sound_news news = flv_sound_read(&r->sound, tag, unit, known, !r->settled);
    if (news == FLV_SOUND_UNREADABLE) {
        r->no_audio = true;
        if (leave_audio_out(r, IPC_NO_AUDIO_UNREADABLE))
            log_warnx(NULL, "flv: sound is left out: its configuration cannot be read");
    }
    return news == FLV_SOUND_NEW;
}

static int take_audio_config(struct flv_reader *r, const struct flv_tag *tag, struct flv_unit *unit)
{
    if (!has_new_audio_config(r, tag, unit))
        return 0;
    bool is_late = r->settled && !r->known[TRACK_AUDIO];
    int rc = set_par(r, TRACK_AUDIO, unit);
    if (rc != 0 || !r->settled)
        return rc;
    if (is_late)
        log_info(NULL, "flv: sound came after all");
    r->with_audio = true;
    announce_audio(r);
    return 0;
}

/* Deliver one coded frame, once the tracks are settled. */
static void deliver(struct flv_reader *r, const struct flv_tag *tag, const struct flv_unit *unit)
{
    enum track track = tag->type == FLV_TAG_VIDEO ? TRACK_VIDEO : TRACK_AUDIO;
    if (!r->known[track] || unit->codec != r->par[track]->codec_id)
        return;
    struct media_packet packet = {
        .track = track,
        .form = flv_tag_has_nal_units(unit->codec) ? MEDIA_LENGTHS : MEDIA_RAW,
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

/* Choose the first track that can be used, or a lower one while its format is not known.  Returns
 * false for another one's unit.  A tag without a trackId is track 0's: publishers of several tracks
 * send the first one so. */
static bool choose_track(struct flv_reader *r, enum track track, const struct flv_unit *unit)
{
    int id = unit->track < 0 ? 0 : unit->track;
    if (r->track[track] < 0 || (id < r->track[track] && !r->known[track]))
        r->track[track] = id;
    return r->track[track] == id;
}

/* Read a tag's unit, and correct a wrong video codec. */
static int read_unit(struct flv_reader *r, struct flv_tag *tag, struct flv_unit *unit)
{
    enum track track = tag->type == FLV_TAG_VIDEO ? TRACK_VIDEO : TRACK_AUDIO;
    tag->track = r->track[track];
    int rc = flv_tag_read_unit(tag, unit);
    if (rc != 0 || unit->codec == AV_CODEC_ID_NONE)
        return rc;
    if (!choose_track(r, track, unit)) {
        unit->codec = AV_CODEC_ID_NONE;
        return 0;
    }
    if (!flv_tag_has_nal_units(unit->codec))
        return 0;
    /* The parameter sets tell: OBS once wrote HEVC under H.264's number, and others still do. */
    if (unit->config || !r->known[TRACK_VIDEO]) {
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
    bool is_silent = !r->known[TRACK_AUDIO] && r->silent_because != IPC_NO_AUDIO_NONE;
    int rc = 0;
    r->settled = true;
    r->with_audio = r->known[TRACK_AUDIO];
    if (!r->with_audio && r->audio_promised && !is_silent)
        rc = promise_audio(r);
    if (rc == 0)
        rc = announce(r);
    if (rc == 0 && is_silent)
        r->sink.on_no_audio(r->sink.ctx, r->silent_because);
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

/* In real time: a server's burst of cached pictures says nothing of the sound after it. */
static bool has_waited_for_audio(const struct flv_reader *r, int64_t now_us)
{
    return r->first_frame_us != 0 && now_us - r->first_frame_us >= AUDIO_WAIT_US;
}

static bool may_settle(const struct flv_reader *r, int64_t now_us)
{
    if (!r->known[TRACK_VIDEO])
        return false;
    return r->known[TRACK_AUDIO] || (r->no_audio && r->first_frame_us != 0) ||
           has_waited_for_audio(r, now_us);
}

/* May decoding begin with this frame?  Some publishers never set the key flag. */
static bool is_beginning(const struct flv_unit *unit)
{
    return unit->key || (flv_tag_has_nal_units(unit->codec) &&
                         parameter_sets_guess_codec(unit->data, unit->len) != AV_CODEC_ID_NONE);
}

/* Take a unit while the tracks are not settled. */
static int wait_for_tracks(struct flv_reader *r, const struct flv_tag *tag,
                           const struct flv_unit *unit)
{
    if (tag->type == FLV_TAG_VIDEO && !unit->config) {
        if (r->first_frame_us == 0)
            r->first_frame_us = tag->received_us;
        if (!r->known[TRACK_VIDEO] && is_beginning(unit)) { /* its parameter sets are in band */
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
    return may_settle(r, tag->received_us) ? settle(r) : 0;
}

/* Leave out audio whose codec is not supported; another track of the stream may have another. */
static void refuse_audio_codec(struct flv_reader *r, const struct flv_tag *tag,
                               const struct flv_unit *unit)
{
    uint8_t name[5] = "";
    r->no_audio = r->no_audio || unit->track < 0;
    if (!leave_audio_out(r, IPC_NO_AUDIO_UNSUPPORTED_CODEC))
        return;
    bytes_put32(name, unit->fourcc);
    if (unit->fourcc != 0)
        log_warnx(NULL, "flv: sound is left out: codec %.4s", (const char *)name);
    else
        log_warnx(NULL, "flv: sound is left out: SoundFormat %u", tag->data[0] >> 4);
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
        if (unit.unsupported)
            refuse_audio_codec(r, tag, &unit);
        return !r->settled && may_settle(r, tag->received_us) ? settle(r) : 0;
    }
    if (track == TRACK_AUDIO) {
        r->audio_promised = true;
        rc = take_audio_config(r, tag, &unit);
    } else if (unit.config) {
        rc = take_video_config(r, tag, &unit);
    }
    if (rc != 0)
        return rc;
    if (!r->settled)
        return wait_for_tracks(r, tag, &unit);
    if (!unit.config && unit.len > 0)
        deliver(r, tag, &unit);
    return 0;
}

/* --- tags --------------------------------------------------------------- */

static int take_tag(struct flv_reader *r, struct flv_tag *tag)
{
    struct flv_script script;
    if (tag->type != FLV_TAG_SCRIPT)
        return take_media(r, tag);
    if (flv_script_read(tag->data, tag->len, &script)) {
        r->no_audio = script.has_video && !script.has_audio;
        r->audio_promised = r->audio_promised || script.has_audio;
    }
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
        bool readable = flv_tag_read_header(pos, &tag);
        if (tag.len > left - FLV_TAG_HEADER_BYTES)
            return 0; /* the rest is unusable */
        if (pos == all->data)
            offset_ms = all->ts_ms - tag.ts_ms;
        tag.ts_ms += offset_ms;
        int rc = readable && tag.type != FLV_TAG_AGGREGATE ? take_tag(r, &tag) : 0;
        if (rc != 0)
            return rc;
        size_t size = FLV_TAG_HEADER_BYTES + tag.len + PREVIOUS_TAG_SIZE_BYTES;
        size = size < left ? size : left;
        pos += size;
        left -= size;
    }
    return 0;
}

void flv_reader_expect_aggregate(struct flv_reader *reader)
{
    reader->renamed = true;
}

static int on_tag(void *ctx, struct flv_tag *tag)
{
    struct flv_reader *r = ctx;
    if (r->renamed && tag->type == FLV_TAG_VIDEO) {
        r->renamed = false;
        tag->type = FLV_TAG_AGGREGATE;
    }
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

static int settle_now(struct flv_reader *r, bool *alive)
{
    r->alive = false;
    int rc = settle(r);
    *alive = *alive || r->alive;
    return rc;
}

int flv_reader_tick(struct flv_reader *reader, int64_t now_us, bool *alive)
{
    bool due = !reader->settled && may_settle(reader, now_us);
    return due ? settle_now(reader, alive) : 0;
}

int flv_reader_finish(struct flv_reader *reader, bool *alive)
{
    bool due = !reader->settled && reader->known[TRACK_VIDEO];
    return due ? settle_now(reader, alive) : 0;
}
