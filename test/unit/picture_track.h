/* Test help: a depacketizer of pictures without NAL units, and what comes out of it. */
#ifndef TEST_UNIT_PICTURE_TRACK_H
#define TEST_UNIT_PICTURE_TRACK_H

#include "worker/rtp/rtp_depacketize.h"

#include <libavcodec/avcodec.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define PICTURES_MAX 16

struct picture_track {
    struct rtp_depacketizer *depacketizer;
    uint32_t timestamp;
    size_t count;
    struct {
        uint8_t data[65536];
        size_t len;
        bool lost;
        int64_t pts;
    } pictures[PICTURES_MAX];
};

static inline void picture_track_take(void *ctx, const struct media_packet *packet)
{
    struct picture_track *t = ctx;
    assert_int_equal(packet->form, MEDIA_RAW);
    assert_true(packet->last && !packet->cut);
    assert_true(t->count < PICTURES_MAX && packet->len <= sizeof(t->pictures[0].data));
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < AV_INPUT_BUFFER_PADDING_SIZE; i++)
        sum ^= packet->data[packet->len + i]; /* readable */
    (void)sum;
    memcpy(t->pictures[t->count].data, packet->data, packet->len);
    t->pictures[t->count].len = packet->len;
    t->pictures[t->count].lost = packet->lost_before;
    t->pictures[t->count++].pts = packet->pts;
}

/** @param lines  attributes after `m=video 0 RTP/AVP 96`. */
static inline struct picture_track *picture_track_open(const char *lines)
{
    struct picture_track *t = calloc(1, sizeof(*t));
    struct sdp *sdp = calloc(1, sizeof(*sdp));
    char text[1024];
    assert_non_null(t);
    assert_non_null(sdp);
    (void)snprintf(text, sizeof(text), "m=video 0 RTP/AVP 96\n%s\n", lines);
    sdp_parse(sdp, text, strlen(text));
    t->timestamp = 1000;
    assert_int_equal(rtp_depacketizer_open(sdp_choose(sdp, TRACK_VIDEO), picture_track_take, t,
                                           &t->depacketizer),
                     0);
    free(sdp);
    return t;
}

static inline void picture_track_close(struct picture_track *t)
{
    rtp_depacketizer_free(&t->depacketizer);
    free(t);
}

/** The timestamp moves on after a marker. */
static inline void picture_track_packet(struct picture_track *t, struct rtp_packet packet,
                                        bool lost)
{
    packet.timestamp = t->timestamp;
    rtp_depacketizer_push(t->depacketizer, &packet, lost, t->timestamp, 1);
    if (packet.marker)
        t->timestamp += 3600;
}

static inline void picture_track_push(struct picture_track *t, const uint8_t *data, size_t len,
                                      bool marker, bool lost)
{
    const struct rtp_packet packet = {.marker = marker, .payload = data, .payload_len = len};
    picture_track_packet(t, packet, lost);
}

static inline void picture_track_hex(struct picture_track *t, const char *hex, bool marker,
                                     bool lost)
{
    uint8_t payload[256];
    size_t len = strlen(hex) / 2;
    assert_true(len <= sizeof(payload));
    for (size_t i = 0; i < len; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        payload[i] = (uint8_t)byte;
    }
    picture_track_push(t, payload, len, marker, lost);
}

/** All pictures so far: hex, " lost" where packets were lost before, each with a newline. */
static inline void picture_track_expect(const struct picture_track *t, const char *expected)
{
    char text[4096] = "";
    size_t at = 0;
    for (size_t i = 0; i < t->count; i++) {
        for (size_t j = 0; j < t->pictures[i].len; j++)
            at += (size_t)snprintf(text + at, sizeof(text) - at, "%02x", t->pictures[i].data[j]);
        at += (size_t)snprintf(text + at, sizeof(text) - at, "%s\n",
                               t->pictures[i].lost ? " lost" : "");
    }
    assert_string_equal(text, expected);
}

#endif /* TEST_UNIT_PICTURE_TRACK_H */
