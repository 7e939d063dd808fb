/*
 * Test help: FLV written by hand, tag by tag, and what flv_reader made of it.
 */
#ifndef TEST_UNIT_FLV_READER_RIG_H
#define TEST_UNIT_FLV_READER_RIG_H

#include "worker/flv/flv_framing.h"
#include "worker/flv/flv_reader.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libavcodec/avcodec.h>

/* --- writing ------------------------------------------------------------ */

struct flv {
    uint8_t *data;
    size_t len;
    size_t capacity;
};

static inline void put(struct flv *f, const void *data, size_t len)
{
    if (f->len + len > f->capacity) {
        f->capacity = 2 * (f->len + len);
        f->data = realloc(f->data, f->capacity);
    }
    memcpy(f->data + f->len, data, len);
    f->len += len;
}

static inline void put_be(struct flv *f, uint64_t v, int bytes)
{
    while (bytes-- > 0) {
        uint8_t b = (uint8_t)(v >> (8 * bytes));
        put(f, &b, 1);
    }
}

static inline void put_tag(struct flv *f, int type, uint32_t ts_ms, const void *data, size_t len)
{
    put_be(f, (uint64_t)type, 1);
    put_be(f, len, 3);
    put_be(f, ts_ms, 3);
    put_be(f, ts_ms >> 24, 1);
    put_be(f, 0, 3);
    put(f, data, len);
    put_be(f, 11 + len, 4);
}

static inline void empty(struct flv *f)
{
    f->len = 0;
}

#define TEXT(f, text) put((f), (text), sizeof(text) - 1)
#define AUDIO(f, ts, text) put_tag((f), 8, (ts), (text), sizeof(text) - 1)
#define VIDEO(f, ts, text) put_tag((f), 9, (ts), (text), sizeof(text) - 1)

/* SPS and PPS of x264, 320x240; a second pair of 160x120. */
#define SPS_A                                                                                      \
    "\x67\x42\xc0\x0d\xd9\x01\x41\xfb\x01\x10\x00\x00\x03\x00\x10\x00\x00\x03\x03\x20\xf1\x42\xa4" \
    "\x80"
#define SPS_B                                                                                      \
    "\x67\x42\xc0\x0a\xd9\x0a\x3f\xb0\x11\x00\x00\x03\x00\x01\x00\x00\x03\x00\x32\x0f\x12\x26\x48" \
    "\x00"
#define PPS "\x68\xcb\x83\xcb\x20"
#define AVCC(sps, size) "\x01\x42\xc0\x0d" size "\xe1\x00\x18" sps "\x01\x00\x05" PPS
#define AVC_CONFIG(sps) "\x17\0\0\0\0" AVCC(sps, "\xff")
#define KEY "\x17\1\0\0\x28\0\0\0\3\x65\x88\x84"
#define INTER "\x27\1\xff\xff\xfe\0\0\0\3\x41\x9a\x22"
#define AAC_CONFIG "\xaf\0\x12\x10" /* LC, 44.1 kHz, stereo */
#define AAC_FRAME "\xaf\1\x21\x10\x05"

static inline void put_header(struct flv *f, int flags)
{
    put(f, "FLV\1", 4);
    put_be(f, (uint64_t)flags, 1);
    put(f, "\0\0\0\11\0\0\0\0", 8);
}

/* onMetaData with two numbers; a nested object in front, to be skipped. */
static inline void put_metadata(struct flv *f, double video, double audio)
{
    struct flv body = {.data = NULL};
    uint64_t bits;
    TEXT(&body, "\2\0\12onMetaData\10\0\0\0\3");
    TEXT(&body, "\0\5outer\3\0\5inner\2\0\2ok\0\1x\12\0\0\0\2\1\1\5\0\0\11");
    TEXT(&body, "\0\14videocodecid\0");
    memcpy(&bits, &video, 8);
    put_be(&body, bits, 8);
    TEXT(&body, "\0\14audiocodecid\0");
    memcpy(&bits, &audio, 8);
    put_be(&body, bits, 8);
    TEXT(&body, "\0\0\11");
    put_tag(f, 18, 0, body.data, body.len);
    free(body.data);
}

#define ARRIVAL_US 42

/* --- reading ------------------------------------------------------------ */

struct event {
    bool tracks;
    bool audio_alone; /* on_audio() */
    enum AVCodecID video;
    enum AVCodecID audio;
    int sample_rate;
    int channels;
    int extradata_len;
    struct media_packet packet; /* data is a copy */
};

struct rig {
    struct flv_reader *reader;
    struct event event[256];
    int count;
    int refuse; /* what on_tracks returns */
    bool alive;
    enum ipc_no_audio no_audio; /* the last reason given */
    int64_t later_us;           /* when the next bytes arrive, after ARRIVAL_US */
};

static inline int on_tracks(void *ctx, const struct media_track *video,
                            const struct media_track *audio)
{
    struct rig *rig = ctx;
    struct event *e = &rig->event[rig->count++];
    assert_true(rig->count < 256);
    *e = (struct event){
        .tracks = true, .video = video->par->codec_id, .extradata_len = video->par->extradata_size};
    assert_int_equal(video->time_base.den, 1000);
    if (audio != NULL) {
        assert_int_equal(audio->time_base.den, 1000);
        e->audio = audio->par->codec_id;
        e->sample_rate = audio->par->sample_rate;
        e->channels = audio->par->ch_layout.nb_channels;
    }
    return rig->refuse;
}

static inline void on_audio(void *ctx, const struct media_track *audio)
{
    struct rig *rig = ctx;
    struct event *e = &rig->event[rig->count++];
    assert_true(rig->count < 256);
    *e = (struct event){.audio_alone = true,
                        .audio = audio->par->codec_id,
                        .sample_rate = audio->par->sample_rate,
                        .channels = audio->par->ch_layout.nb_channels};
}

static inline void on_no_audio(void *ctx, enum ipc_no_audio why)
{
    struct rig *rig = ctx;
    rig->no_audio = why;
}

static inline bool on_packet(void *ctx, const struct media_packet *packet)
{
    struct rig *rig = ctx;
    struct event *e = &rig->event[rig->count++];
    assert_true(rig->count < 256);
    *e = (struct event){.packet = *packet};
    uint8_t *copy = malloc(packet->len + AV_INPUT_BUFFER_PADDING_SIZE);
    memcpy(copy, packet->data, packet->len + AV_INPUT_BUFFER_PADDING_SIZE); /* readable */
    e->packet.data = copy;
    return packet->track == TRACK_VIDEO;
}

/* Go on with the reader that there is, or begin with a new one. */
static inline int feed(struct rig *rig, const struct flv *f, size_t chunk)
{
    const struct media_sink sink = {.on_tracks = on_tracks,
                                    .on_audio = on_audio,
                                    .on_no_audio = on_no_audio,
                                    .on_packet = on_packet,
                                    .ctx = rig};
    int rc = 0;
    if (rig->reader == NULL)
        rig->reader = flv_reader_new(&sink);
    for (size_t pos = 0; pos < f->len && rc == 0; pos += chunk) {
        size_t n = f->len - pos < chunk ? f->len - pos : chunk;
        uint8_t *copy = malloc(n); /* exactly, for ASan */
        memcpy(copy, f->data + pos, n);
        rc = flv_reader_push(rig->reader, copy, n, ARRIVAL_US + rig->later_us, &rig->alive);
        free(copy);
    }
    return rc;
}

static inline void clear(struct rig *rig)
{
    for (int i = 0; i < rig->count; i++)
        free((void *)(uintptr_t)rig->event[i].packet.data);
    flv_reader_free(&rig->reader);
    *rig = (struct rig){.reader = NULL};
}

static inline void end(struct rig *rig, struct flv *f)
{
    clear(rig);
    free(f->data);
    *f = (struct flv){.data = NULL};
}

static inline void assert_audio_alone(const struct event *e, enum AVCodecID audio)
{
    assert_true(e->audio_alone);
    assert_int_equal(e->audio, audio);
}

static inline void assert_tracks(const struct event *e, enum AVCodecID video, enum AVCodecID audio)
{
    assert_true(e->tracks);
    assert_int_equal(e->video, video);
    assert_int_equal(e->audio, audio);
}

static inline void assert_packet(const struct event *e, enum track track, int64_t dts, int64_t pts,
                                 const char *data, size_t len)
{
    assert_false(e->tracks);
    assert_int_equal(e->packet.track, track);
    assert_int_equal(e->packet.form, track == TRACK_VIDEO ? MEDIA_LENGTHS : MEDIA_RAW);
    assert_true(e->packet.last);
    assert_int_equal(e->packet.dts, dts);
    assert_int_equal(e->packet.pts, pts);
    assert_int_equal(e->packet.received_us, ARRIVAL_US);
    assert_int_equal(e->packet.len, len);
    assert_memory_equal(e->packet.data, data, len);
}

#endif /* TEST_UNIT_FLV_READER_RIG_H */
