#include "worker/flv/flv_reader.h"

#include "common/bytes.h"
#include "common/xalloc.h"
#include "worker/flv/flv_script.h"
#include "worker/flv/flv_tag.h"
#include "worker/video/parameter_sets.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavutil/mem.h>
#include <stdlib.h>
#include <string.h>

#define FILE_HEADER_BYTES 9
#define DATA_OFFSET_MAX 4096
#define PREVIOUS_TAG_SIZE_BYTES 4
#define RESYNC_TAG_MAX (256u << 10) /* a bigger one is not waited for to confirm a guess */
#define CONFIG_MAX_BYTES (64u << 10)

/* How long audio is waited for, in the timestamps of video, and if those stand still. */
#define AUDIO_WAIT_MS 1000
#define AUDIO_WAIT_FRAMES 100

struct buffer {
    uint8_t *data; /* AV_INPUT_BUFFER_PADDING_SIZE more than capacity */
    size_t len;
    size_t capacity;
};

/* A tag that waits in the hold for the tracks to be settled; its data follows. */
struct held {
    uint32_t type;
    uint32_t ts_ms;
    uint64_t len;
    int64_t received_us;
};

/* What comes next: the file header, a PreviousTagSize, a tag; or nobody knows. */
enum framing { FRAMING_HEADER, FRAMING_TRAILER, FRAMING_TAGS, FRAMING_LOST };

struct flv_reader {
    struct media_sink sink;
    enum framing framing;
    struct buffer in;
    size_t consumed; /* of in */
    size_t skipped;  /* while FRAMING_LOST */

    bool settled;
    bool with_audio; /* when settled */
    bool no_audio;   /* onMetaData says so, or its codec is of no use */
    bool seen[TRACK_COUNT];
    bool lost[TRACK_COUNT];
    uint32_t first_ts_ms[TRACK_COUNT];
    unsigned video_frames;
    struct buffer hold;

    AVCodecParameters *par[TRACK_COUNT];
    bool known[TRACK_COUNT]; /* par is complete as far as it will be */
};

struct flv_reader *flv_reader_new(const struct media_sink *sink)
{
    struct flv_reader *r = xcalloc(1, sizeof(*r));
    r->sink = *sink;
    for (int i = 0; i < TRACK_COUNT; i++) {
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
    free(r->in.data);
    free(r->hold.data);
    free(r);
}

bool flv_reader_has_seen(const struct flv_reader *reader, enum track track)
{
    return reader->seen[track];
}

static int append(struct buffer *b, const void *data, size_t len)
{
    if (len == 0)
        return 0;
    if (b->len + len > b->capacity) {
        size_t capacity = b->capacity == 0 ? 64u << 10 : b->capacity;
        while (capacity < b->len + len)
            capacity *= 2;
        uint8_t *grown = realloc(b->data, capacity + AV_INPUT_BUFFER_PADDING_SIZE);
        if (grown == NULL)
            return -ENOMEM;
        b->data = grown;
        b->capacity = capacity;
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
    return 0;
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

/* The parameter sets of the configuration in force, in band before the frame that needs them. */
static int send_parameter_sets(struct flv_reader *r, const struct flv_tag *tag)
{
    static const uint8_t start_code[] = {0, 0, 0, 1};
    const AVCodecParameters *par = r->par[TRACK_VIDEO];
    struct parameter_sets *sets = xcalloc(1, sizeof(*sets));
    struct buffer out = {.data = NULL};
    int rc = 0;

    parameter_sets_init(sets, par->codec_id);
    parameter_sets_add_extradata(sets, par->extradata, (size_t)par->extradata_size);
    for (unsigned i = 0; i < sets->count && rc == 0; i++) {
        rc = append(&out, start_code, sizeof(start_code));
        if (rc == 0)
            rc = append(&out, sets->set[i].data, sets->set[i].len);
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

/* The configuration that an audio unit brings, or is: G.711 and MP3 need none. */
static int take_audio_config(struct flv_reader *r, struct flv_unit *unit)
{
    const AVCodecParameters *par = r->par[TRACK_AUDIO];
    if (r->settled && !r->with_audio)
        return 0;
    if (unit->codec == AV_CODEC_ID_AAC) {
        if (!unit->config || unit->len == 0 || unit->len > CONFIG_MAX_BYTES ||
            same_config(par, unit))
            return 0;
        if (!flv_tag_read_asc(unit)) {
            r->no_audio = true;
            return 0;
        }
    } else if (same_format(par, unit)) {
        return 0;
    }
    int rc = set_par(r, TRACK_AUDIO, unit);
    return rc == 0 && r->settled ? announce(r) : rc;
}

/* Hand one coded frame over.  The tracks are settled. */
static void deliver(struct flv_reader *r, const struct flv_tag *tag, const struct flv_unit *unit,
                    bool *alive)
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
        *alive = true;
}

static int hold(struct flv_reader *r, const struct flv_tag *tag)
{
    struct held held = {
        .type = tag->type, .ts_ms = tag->ts_ms, .len = tag->len, .received_us = tag->received_us};
    int rc = append(&r->hold, &held, sizeof(held));
    return rc != 0 ? rc : append(&r->hold, tag->data, tag->len);
}

static int settle(struct flv_reader *r, bool *alive)
{
    r->settled = true;
    r->with_audio = r->known[TRACK_AUDIO];
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
        if (flv_tag_read_unit(&tag, &unit) == 0)
            deliver(r, &tag, &unit, alive);
        pos += sizeof(held) + held.len;
    }
    free(r->hold.data);
    r->hold = (struct buffer){.data = NULL};
    return rc;
}

/* How far a track has advanced, ms; 0 if it went back. */
static uint32_t advance_ms(const struct flv_reader *r, enum track track, uint32_t ts_ms)
{
    uint32_t ms = ts_ms - r->first_ts_ms[track];
    return ms < 0x80000000u ? ms : 0;
}

static bool may_settle(const struct flv_reader *r, const struct flv_tag *tag)
{
    if (!r->known[TRACK_VIDEO])
        return false;
    return r->known[TRACK_AUDIO] || (r->no_audio && r->video_frames > 0) ||
           r->video_frames >= AUDIO_WAIT_FRAMES ||
           (tag->type == FLV_TAG_VIDEO && advance_ms(r, TRACK_VIDEO, tag->ts_ms) >= AUDIO_WAIT_MS);
}

/* A coded frame while the tracks are not settled. */
static int wait_for_tracks(struct flv_reader *r, const struct flv_tag *tag,
                           const struct flv_unit *unit, bool *alive)
{
    if (tag->type == FLV_TAG_VIDEO && !unit->config) {
        r->video_frames++;
        if (unit->key && !r->known[TRACK_VIDEO]) { /* its parameter sets must be in band then */
            int rc = set_par(r, TRACK_VIDEO, unit);
            if (rc != 0)
                return rc;
        }
    }
    if (!unit->config) {
        if (r->hold.len + sizeof(struct held) + tag->len > FLV_READER_HELD_MAX) {
            if (r->known[TRACK_VIDEO]) {
                int rc = settle(r, alive);
                if (rc == 0)
                    deliver(r, tag, unit, alive);
                return rc;
            }
            r->hold.len = 0;
            r->lost[TRACK_VIDEO] = r->lost[TRACK_AUDIO] = true;
        }
        int rc = hold(r, tag);
        if (rc != 0)
            return rc;
    }
    return may_settle(r, tag) ? settle(r, alive) : 0;
}

static int take_media(struct flv_reader *r, const struct flv_tag *tag, bool *alive)
{
    enum track track = tag->type == FLV_TAG_VIDEO ? TRACK_VIDEO : TRACK_AUDIO;
    struct flv_unit unit;
    int rc = flv_tag_read_unit(tag, &unit);
    if (rc != 0)
        return rc;
    if (!r->seen[track])
        r->first_ts_ms[track] = tag->ts_ms;
    r->seen[track] = true;

    if (unit.codec == AV_CODEC_ID_NONE) {
        r->no_audio |= track == TRACK_AUDIO && tag->len >= 2; /* a codec that is not ours */
        return !r->settled && may_settle(r, tag) ? settle(r, alive) : 0;
    }
    if (track == TRACK_AUDIO)
        rc = take_audio_config(r, &unit);
    else if (unit.config)
        rc = take_video_config(r, tag, &unit);
    if (rc != 0)
        return rc;
    if (!r->settled)
        return wait_for_tracks(r, tag, &unit, alive);
    if (!unit.config && unit.len > 0)
        deliver(r, tag, &unit, alive);
    return 0;
}

/* --- framing ------------------------------------------------------------ */

static int take_tag(struct flv_reader *r, const struct flv_tag *tag, bool *alive)
{
    struct flv_script script;
    if (tag->type != FLV_TAG_SCRIPT)
        return take_media(r, tag, alive);
    if (flv_script_read(tag->data, tag->len, &script))
        r->no_audio = script.has_video && !script.has_audio;
    return 0;
}

/* Could a tag begin here?  p: FLV_TAG_HEADER_BYTES. */
static bool is_tag_header(const uint8_t *p)
{
    struct flv_tag tag;
    return flv_tag_read_header(p, &tag) && tag.len <= FLV_READER_TAG_MAX;
}

/* E.2.  Returns 1 if done, 0 if more bytes are needed. */
static int take_file_header(struct flv_reader *r)
{
    const uint8_t *p = r->in.data + r->consumed;
    size_t left = r->in.len - r->consumed;
    if (left < FILE_HEADER_BYTES)
        return 0;
    uint32_t data_offset = bytes_get32(p + 5);
    if (memcmp(p, "FLV", 3) != 0 || data_offset < FILE_HEADER_BYTES ||
        data_offset > DATA_OFFSET_MAX)
        return -EPROTO;
    if (left < data_offset)
        return 0;
    r->consumed += data_offset;
    r->framing = FRAMING_TRAILER; /* PreviousTagSize0 */
    return 1;
}

static int take_next_tag(struct flv_reader *r, int64_t received_us, bool *alive)
{
    const uint8_t *p = r->in.data + r->consumed;
    size_t left = r->in.len - r->consumed;
    if (left < FLV_TAG_HEADER_BYTES)
        return 0;
    if (!is_tag_header(p)) {
        r->framing = FRAMING_LOST;
        r->skipped = 0;
        r->lost[TRACK_VIDEO] = r->lost[TRACK_AUDIO] = true;
        return 1;
    }
    struct flv_tag tag = {.received_us = received_us};
    flv_tag_read_header(p, &tag);
    if (left < FLV_TAG_HEADER_BYTES + tag.len)
        return 0;
    r->consumed += FLV_TAG_HEADER_BYTES + tag.len;
    r->framing = FRAMING_TRAILER;
    int rc = take_tag(r, &tag, alive);
    return rc == 0 ? 1 : rc;
}

/* Look for a tag whose PreviousTagSize confirms it. */
static int find_tag(struct flv_reader *r)
{
    while (r->in.len - r->consumed >= FLV_TAG_HEADER_BYTES) {
        const uint8_t *p = r->in.data + r->consumed;
        struct flv_tag tag;
        if (flv_tag_read_header(p, &tag) && tag.len > 0 && tag.len <= RESYNC_TAG_MAX) {
            size_t size = FLV_TAG_HEADER_BYTES + tag.len;
            if (r->in.len - r->consumed < size + PREVIOUS_TAG_SIZE_BYTES)
                return 0;
            if (bytes_get32(p + size) == size) {
                r->framing = FRAMING_TAGS;
                return 1;
            }
        }
        r->consumed++;
        if (++r->skipped > FLV_READER_SKIP_MAX)
            return -EPROTO;
    }
    return 0;
}

/* One step of what is in r->in.  Returns 1 to go on, 0 if more bytes are needed. */
static int step(struct flv_reader *r, int64_t received_us, bool *alive)
{
    switch (r->framing) {
    case FRAMING_HEADER:
        return take_file_header(r);
    case FRAMING_TRAILER:
        /* Many writers get PreviousTagSize wrong; whether a tag follows shows by itself. */
        if (r->in.len - r->consumed < PREVIOUS_TAG_SIZE_BYTES)
            return 0;
        r->consumed += PREVIOUS_TAG_SIZE_BYTES;
        r->framing = FRAMING_TAGS;
        return 1;
    case FRAMING_TAGS:
        return take_next_tag(r, received_us, alive);
    case FRAMING_LOST:
        break;
    }
    return find_tag(r);
}

int flv_reader_push(struct flv_reader *reader, const uint8_t *data, size_t len, int64_t received_us,
                    bool *alive)
{
    int rc = append(&reader->in, data, len);
    if (rc != 0 || reader->in.len == 0)
        return rc;
    do
        rc = step(reader, received_us, alive);
    while (rc == 1);

    reader->in.len -= reader->consumed;
    memmove(reader->in.data, reader->in.data + reader->consumed, reader->in.len);
    reader->consumed = 0;
    return rc;
}

int flv_reader_finish(struct flv_reader *reader, bool *alive)
{
    if (reader->settled || !reader->known[TRACK_VIDEO])
        return 0;
    return settle(reader, alive);
}
