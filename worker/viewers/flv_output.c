#include "worker/viewers/flv_output.h"

#include "common/xalloc.h"
#include "worker/media/aac.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

_Static_assert((int)TRACK_COUNT == (int)HANDOVER_TRACKS && (int)TRACK_VIDEO == (int)HANDOVER_VIDEO,
               "slots number the tracks as frames do");

/* Per write: at most this many frames; stop adding frames past this many bytes. */
#define BATCH_FRAMES 16
#define BATCH_BYTES ((size_t)64 * 1024)

/* --- bytes between tags ----------------------------------------------------- */

static void append_bytes(struct flv_output *o, const void *data, size_t len)
{
    uint8_t *grown = realloc(o->head, o->head_len + len);
    if (grown == NULL)
        abort(); /* far below a megabyte: requests, records and silence are bounded */
    memcpy(grown + o->head_len, data, len);
    o->head = grown;
    o->head_len += len;
}

/* A WebSocket viewer gets sequence headers etc. as a message of their own. */
static void append_message(struct flv_output *o, const uint8_t *data, size_t len)
{
    if (o->websocket) {
        uint8_t header[WEBSOCKET_HEADER_MAX];
        size_t header_len = websocket_binary_header(header, len);
        append_bytes(o, header, header_len);
    }
    append_bytes(o, data, len);
}

/* --- the next frame ---------------------------------------------------------- */

static bool same_config(const struct codec_config *a, const struct codec_config *b)
{
    return a == b || (a != NULL && a->codec == b->codec && a->record_len == b->record_len &&
                      memcmp(a->record, b->record, a->record_len) == 0);
}

static uint32_t fourcc(const struct codec_config *video)
{
    return video->codec == AV_CODEC_ID_HEVC  ? 0x68766331u /* hvc1 */
           : video->codec == AV_CODEC_ID_AV1 ? 0x61763031u /* av01 */
                                             : FLV_OUTPUT_H264;
}

static void remember_config(struct flv_output *o, struct codec_config *config)
{
    codec_config_unref(&o->config[config->track]);
    o->config[config->track] = codec_config_ref(config);
    o->told[config->track] = handover_digest(config->record, config->record_len);
    if (config->track == TRACK_VIDEO)
        o->codec = fourcc(config);
}

/*
 * Send a changed configuration right before its first frame; do not repeat an unchanged one.
 * @return true when a sequence header was appended to the head buffer.
 */
static bool announce_config(struct flv_output *o, struct codec_config *config, uint32_t ts_ms)
{
    bool changed = !same_config(o->config[config->track], config);
    if (changed) {
        size_t size = flv_config_size(config, o->dialect);
        uint8_t *tag = xcalloc(1, size);
        append_message(o, tag, flv_config(tag, config, o->dialect, ts_ms));
        free(tag);
    }
    remember_config(o, config);
    return changed;
}

/* Too far behind: continue at the newest key frame, or wait for the next one. */
static void skip_ahead(struct flv_output *o)
{
    uint64_t key;
    uint64_t from = o->at.cursor;
    bool ahead = frame_ring_newest_key(o->ring, &key) && key > from;
    o->at.cursor = ahead ? key : frame_ring_head(o->ring);
    o->at.wait_key = true;
    o->frames_skipped += o->at.cursor - from;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* Frames cached when the viewer joined do not count: it asked for them. */
static bool too_far_behind(const struct flv_output *o, const struct frame *next)
{
    int64_t newest_us = frame_ring_newest_arrival_us(o->ring);
    if (newest_us == INT64_MIN)
        return false;
    int64_t excused_us = later(o->joined_us, frame_ring_excused_us(o->ring));
    return newest_us - later(next->received_us, excused_us) >
           (int64_t)o->limits->queue_max_ms * 1000;
}

static void keep_up(struct flv_output *o)
{
    const struct frame *next = frame_ring_get(o->ring, o->at.cursor);
    if (o->at.cursor < frame_ring_tail(o->ring) || (next != NULL && too_far_behind(o, next)))
        skip_ahead(o);
}

/* No player accepts another codec within a connection: it has to reconnect. */
static bool changed_codec(const struct flv_output *o, const struct frame *f)
{
    const struct codec_config *told = o->config[f->track];
    return told != NULL && told != f->config && told->codec != f->config->codec;
}

static bool left_out(struct flv_output *o, const struct frame *f)
{
    if (o->at.wait_key) {
        if (f->track != TRACK_VIDEO || !f->key)
            return true;
        o->at.wait_key = false;
        if (o->at.clock.last_ms[TRACK_VIDEO] == -1) {
            viewer_clock_start(&o->at.clock, f->dts_us);
            o->silent_frames = 0;
        } else {
            viewer_clock_skip_to(&o->at.clock, f);
        }
    }
    return f->track == TRACK_AUDIO && !o->want_audio;
}

static void make_tag(const struct flv_output *o, struct frame *f, uint32_t ts_ms, int32_t cts_ms,
                     struct flv_output_tag *tag)
{
    uint8_t flv[FLV_PREFIX_MAX];
    size_t flv_len = flv_frame_prefix(flv, f, o->dialect, ts_ms, cts_ms);
    assert(flv_len != 0); /* access_unit bounds a frame far below a tag's limit */
    size_t ws_len = 0;
    if (o->websocket)
        ws_len = websocket_binary_header(tag->prefix, flv_len + f->len + FLV_TRAILER_BYTES);
    memcpy(tag->prefix + ws_len, flv, flv_len);
    tag->prefix_len = (uint8_t)(ws_len + flv_len);
    tag->frame = f;
    flv_frame_trailer(tag->trailer, f, flv_len);
}

/*
 * Make a tag of the viewer's next frame, if it may directly follow what is in the batch.  A frame
 * with a new configuration may not: its sequence header must go first, through the head buffer,
 * which is sent at the front of a batch.  The header is made when `first` is true.
 *
 * @param first  the batch has neither head nor tag so far.
 */
static bool next_tag(struct flv_output *o, bool first, struct flv_output_tag *tag)
{
    struct frame *f;
    for (; (f = frame_ring_get(o->ring, o->at.cursor)) != NULL; o->at.cursor++) {
        struct flv_output_position before = o->at;
        uint32_t ts_ms;
        int32_t cts_ms;
        if (changed_codec(o, f)) {
            o->codec_changed = true;
            return false;
        }
        if (f->track == TRACK_VIDEO && !same_config(o->config[TRACK_VIDEO], f->config)) {
            viewer_clock_skip_to(&o->at.clock, f);
            before.clock = o->at.clock;
        }
        if (left_out(o, f) || !viewer_clock_map(&o->at.clock, f, &ts_ms, &cts_ms))
            continue;
        if (f->config != o->config[f->track]) {
            if (!first || announce_config(o, f->config, ts_ms)) {
                o->at = before;
                return false;
            }
        }
        make_tag(o, f, ts_ms, cts_ms, tag);
        o->at.cursor++;
        return true;
    }
    return false;
}

/* --- silence ------------------------------------------------------------------ */

static bool is_silence_due(const struct flv_output *o)
{
    return o->silent_frames > 0 && o->at.clock.last_ms[TRACK_VIDEO] != -1;
}

static void append_silence(struct flv_output *o)
{
    struct codec_config *audio = o->config[TRACK_AUDIO];
    size_t len;
    const uint8_t *data = aac_silent_frame(audio->channels, &len);
    struct frame *f = frame_new(audio, len);
    if (f == NULL)
        abort(); /* a few bytes */
    memcpy(f->data, data, len);
    int64_t frame_us = aac_frame_us(audio->sample_rate);
    uint8_t *tags = xcalloc((size_t)o->silent_frames, FLV_PREFIX_MAX + len + FLV_TRAILER_BYTES);
    uint8_t *p = tags;
    for (; o->silent_frames > 0; o->silent_frames--) {
        size_t prefix_len =
            flv_frame_prefix(p, f, o->dialect, (uint32_t)(o->silent_from_us / 1000), 0);
        memcpy(p + prefix_len, f->data, len);
        flv_frame_trailer(p + prefix_len + len, f, prefix_len);
        p += prefix_len + len + FLV_TRAILER_BYTES;
        o->silent_from_us += frame_us;
    }
    append_message(o, tags, (size_t)(p - tags));
    free(tags);
    frame_unref(&f);
}

/* --- one write ----------------------------------------------------------------- */

static int tag_iov(struct flv_output_tag *tag, struct iovec *iov)
{
    iov[0] = (struct iovec){tag->prefix, tag->prefix_len};
    iov[1] = (struct iovec){tag->frame->data, tag->frame->len};
    iov[2] = (struct iovec){tag->trailer, sizeof(tag->trailer)};
    return 3;
}

static size_t tag_len(const struct flv_output_tag *tag)
{
    return tag->prefix_len + tag->frame->len + sizeof(tag->trailer);
}

/* Drop the first n bytes of an I/O vector. @return its new count. */
static int iov_skip(struct iovec *iov, int count, size_t n)
{
    int first = 0;
    while (first < count && n >= iov[first].iov_len)
        n -= iov[first++].iov_len;
    if (first < count) {
        iov[first].iov_base = (uint8_t *)iov[first].iov_base + n;
        iov[first].iov_len -= n;
    }
    memmove(iov, iov + first, (size_t)(count - first) * sizeof(*iov));
    return count - first;
}

/* What one sendmsg() sends: the partial tag, the head, then tags from the cursor on. */
struct batch {
    struct iovec iov[3 + 1 + BATCH_FRAMES * 3];
    int iov_count;
    size_t partial_bytes;
    size_t head_bytes;
    size_t bytes; /* in total */
    struct flv_output_tag tags[BATCH_FRAMES];
    struct flv_output_position before;              /* the viewer's position before the first tag */
    struct flv_output_position after[BATCH_FRAMES]; /* and after each tag */
    int tag_count;
};

static void batch_fill(struct flv_output *o, struct batch *b)
{
    b->iov_count = 0;
    b->partial_bytes = 0;
    b->tag_count = 0;
    b->before = o->at;
    o->codec_changed = false;
    if (is_silence_due(o))
        append_silence(o);
    if (o->partial.frame != NULL) {
        b->partial_bytes = tag_len(&o->partial) - o->partial_sent;
        b->iov_count = iov_skip(b->iov, tag_iov(&o->partial, b->iov), o->partial_sent);
    }
    b->head_bytes = o->head_len - o->head_sent;
    if (b->head_bytes > 0)
        b->iov[b->iov_count++] = (struct iovec){o->head + o->head_sent, b->head_bytes};
    b->bytes = b->partial_bytes + b->head_bytes;

    /* The first frame, a key frame, goes alone. */
    int most = o->at.clock.last_ms[TRACK_VIDEO] == -1 ? 1 : BATCH_FRAMES;
    while (o->started && b->tag_count < most && b->bytes < BATCH_BYTES &&
           next_tag(o, b->head_bytes == 0 && b->tag_count == 0, &b->tags[b->tag_count])) {
        b->iov_count += tag_iov(&b->tags[b->tag_count], b->iov + b->iov_count);
        b->bytes += tag_len(&b->tags[b->tag_count]);
        b->after[b->tag_count++] = o->at;
    }
}

static void partial_sent(struct flv_output *o, size_t n)
{
    o->partial_sent += n;
    if (o->partial.frame != NULL && o->partial_sent == tag_len(&o->partial))
        frame_unref(&o->partial.frame);
}

static void head_sent(struct flv_output *o, size_t n)
{
    o->head_sent += n;
    if (o->head_len > 0 && o->head_sent == o->head_len) {
        free(o->head);
        o->head = NULL;
        o->head_len = o->head_sent = 0;
    }
}

/* The socket took n bytes of the batch: move the viewer's position accordingly. */
static void batch_sent(struct flv_output *o, const struct batch *b, size_t n)
{
    size_t part = n < b->partial_bytes ? n : b->partial_bytes;
    partial_sent(o, part);
    n -= part;
    part = n < b->head_bytes ? n : b->head_bytes;
    head_sent(o, part);
    n -= part;

    o->at = b->before;
    for (int i = 0; i < b->tag_count && n > 0; i++) {
        size_t len = tag_len(&b->tags[i]);
        o->at = b->after[i];
        if (n < len) {
            o->partial = b->tags[i];
            o->partial.frame = frame_ref(o->partial.frame);
            o->partial_sent = n;
            break;
        }
        n -= len;
    }
}

/* One sendmsg(). */
static enum flv_output_result write_batch(struct flv_output *o, int fd)
{
    struct batch b;
    batch_fill(o, &b);
    if (b.bytes == 0) /* a sequence header may have been made: it leads the next batch */
        return o->head_len > 0 ? FLV_OUTPUT_MORE : FLV_OUTPUT_DONE;

    struct msghdr mh = {.msg_iov = b.iov, .msg_iovlen = (size_t)b.iov_count};
    ssize_t n;
    do
        n = sendmsg(fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (n == -1 && errno == EINTR);
    bool full = n == -1 && (errno == EAGAIN || errno == ENOBUFS);
    size_t sent = n > 0 ? (size_t)n : 0;
    batch_sent(o, &b, sent);
    o->bytes += sent;
    if (n == -1 && !full)
        return FLV_OUTPUT_LOST;
    if (sent < b.bytes)
        return FLV_OUTPUT_FULL;
    bool more = o->started && (o->at.cursor < frame_ring_head(o->ring) || is_silence_due(o));
    return more ? FLV_OUTPUT_MORE : FLV_OUTPUT_DONE;
}

enum flv_output_result flv_output_write(struct flv_output *output, int fd)
{
    enum flv_output_result result;
    if (output->started)
        keep_up(output);
    uint64_t before = output->bytes;
    do
        result = write_batch(output, fd);
    while (result == FLV_OUTPUT_MORE && output->bytes == before);
    if (output->codec_changed && (result == FLV_OUTPUT_DONE || result == FLV_OUTPUT_MORE))
        result = FLV_OUTPUT_CODEC;
    if (result == FLV_OUTPUT_DONE && output->at.clock.last_ms[TRACK_VIDEO] > VIEWER_CLOCK_MAX_MS)
        result = FLV_OUTPUT_END;
    return result;
}

/* --- life ----------------------------------------------------------------------- */

void flv_output_init(struct flv_output *output, const struct frame_ring *ring,
                     const struct ipc_limits *limits, const struct ipc_client *request)
{
    *output = (struct flv_output){
        .ring = ring,
        .limits = limits,
        .dialect = request->hevc == IPC_HEVC_LEGACY ? FLV_HEVC_LEGACY : FLV_HEVC_ENHANCED,
        .websocket = request->websocket != 0,
        .want_audio = request->audio != 0,
    };
}

void flv_output_free(struct flv_output *output)
{
    frame_unref(&output->partial.frame);
    for (int i = 0; i < TRACK_COUNT; i++)
        codec_config_unref(&output->config[i]);
    free(output->head);
    output->head = NULL;
}

void flv_output_append(struct flv_output *output, const void *data, size_t len)
{
    append_bytes(output, data, len);
}

size_t flv_output_pending(const struct flv_output *output)
{
    return output->head_len - output->head_sent;
}

bool flv_output_is_between_messages(const struct flv_output *output)
{
    return output->partial.frame == NULL && output->head_len == 0;
}

/* Players want the header, onMetaData at time 0 and the configurations together, then frames from a
 * key frame on. */
static void append_preamble(struct flv_output *o, struct codec_config *video,
                            struct codec_config *audio)
{
    size_t size = FLV_HEADER_BYTES + FLV_METADATA_MAX + flv_config_size(video, o->dialect) +
                  (audio != NULL ? flv_config_size(audio, o->dialect) : 0);
    uint8_t *buf = xcalloc(1, size);
    size_t len = FLV_HEADER_BYTES;
    flv_header(buf, true, audio != NULL);
    len += flv_metadata(buf + len, video, audio, o->dialect);
    len += flv_config(buf + len, video, o->dialect, 0);
    remember_config(o, video);
    if (audio != NULL) {
        len += flv_config(buf + len, audio, o->dialect, 0);
        remember_config(o, audio);
    }
    append_message(o, buf, len);
    free(buf);
}

void flv_output_start(struct flv_output *output, const struct viewer_join *join,
                      struct codec_config *video, struct codec_config *audio)
{
    if (!output->want_audio)
        audio = NULL;
    struct viewer_start s = viewer_start_find(output->ring, join, audio);
    output->joined_us = frame_ring_newest_arrival_us(output->ring);
    output->at.cursor = s.cursor;
    output->at.wait_key = s.wait_key;
    output->at.clock = s.clock;
    output->silent_from_us = s.silent_from_us;
    output->silent_frames = s.silent_frames;
    append_preamble(output, video, audio);
    output->started = true;
}

/* --- another ring --------------------------------------------------------------- */

void flv_output_move(struct flv_output *output, const struct frame_ring *ring)
{
    output->ring = ring;
    output->at.cursor = frame_ring_head(ring);
    output->at.wait_key = true;
}

/* --- going on after another worker --------------------------------------------- */

/* A sequence header that the viewer has is not repeated: mpegts.js would lose pictures there. */
static void remember_if_told(struct flv_output *o, struct codec_config *config, uint64_t told)
{
    if (handover_digest(config->record, config->record_len) == told)
        remember_config(o, config);
}

bool flv_output_resume(struct flv_output *output, const struct handover_slot *slot, int64_t now_us,
                       struct codec_config *video, struct codec_config *audio)
{
    const struct viewer_join join = {.join = IPC_JOIN_LIVE, .now_us = now_us};
    if (!output->want_audio)
        audio = NULL;
    if (!flv_carries(video->codec) || slot->codec != fourcc(video) ||
        (slot->told[HANDOVER_AUDIO] != 0) != (audio != NULL))
        return false;
    struct viewer_start s = viewer_start_find(output->ring, &join, NULL);
    output->joined_us = frame_ring_newest_arrival_us(output->ring);
    output->at = (struct flv_output_position){s.cursor, s.wait_key, s.clock};
    viewer_clock_resume(&output->at.clock, slot->last_ms);
    output->bytes_before = slot->bytes;
    memcpy(output->told, slot->told, sizeof(output->told));
    output->codec = slot->codec;
    remember_if_told(output, video, slot->told[HANDOVER_VIDEO]);
    if (audio != NULL)
        remember_if_told(output, audio, slot->told[HANDOVER_AUDIO]);
    output->started = true;
    return true;
}

void flv_output_record(const struct flv_output *output, struct handover_slot *slot)
{
    memcpy(slot->last_ms, output->at.clock.last_ms, sizeof(slot->last_ms));
    memcpy(slot->told, output->told, sizeof(slot->told));
    slot->bytes = output->bytes_before + output->bytes;
    slot->codec = output->codec;
}
