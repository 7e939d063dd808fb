#include "worker/rtp/rtp_receive.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SSRC 0x11223344u

static struct {
    uint16_t sequences[4096];
    bool lost[4096];
    size_t count;
} out;

static void on_packet(void *ctx, const struct rtp_packet *packet, bool lost_before,
                      int64_t received_us)
{
    (void)ctx;
    (void)received_us;
    assert_true(out.count < 4096);
    out.sequences[out.count] = packet->sequence;
    out.lost[out.count++] = lost_before;
}

static struct rtp_types types = {.chosen = 96};

static struct rtp_receiver *open_receiver(bool reorder)
{
    memset(&out, 0, sizeof(out));
    return rtp_receiver_new(reorder, 90000, &types, on_packet, NULL);
}

static void push_from(struct rtp_receiver *r, uint32_t ssrc, uint16_t sequence, int64_t now_us)
{
    uint8_t p[20] = {0x80, 96, (uint8_t)(sequence >> 8), (uint8_t)sequence};
    for (int i = 0; i < 4; i++)
        p[8 + i] = (uint8_t)(ssrc >> (24 - 8 * i));
    rtp_receiver_packet(r, p, sizeof(p), now_us);
}

static void push(struct rtp_receiver *r, uint16_t sequence, int64_t now_us)
{
    push_from(r, SSRC, sequence, now_us);
}

static void assert_out(const uint16_t *sequences, size_t count)
{
    assert_int_equal(out.count, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(out.sequences[i], sequences[i]);
}

static void test_parse(void **state)
{
    struct rtp_packet p;
    /* Two CSRCs, an extension of one word, three bytes of padding. */
    const uint8_t data[] = {0xB2, 0xE0, 0, 7,    0,    0, 0, 9, 1, 2, 3, 4,   0,   0, 0, 1, 0,
                            0,    0,    2, 0xBE, 0xDE, 0, 1, 5, 5, 5, 5, 'a', 'b', 0, 0, 3};
    assert_int_equal(rtp_parse(&p, data, sizeof(data)), 0);
    assert_true(p.marker);
    assert_int_equal(p.payload_type, 96);
    assert_int_equal(p.sequence, 7);
    assert_int_equal(p.timestamp, 9);
    assert_int_equal(p.ssrc, 0x01020304);
    assert_int_equal(p.payload_len, 2);
    assert_memory_equal(p.payload, "ab", 2);
    for (size_t len = 0; len < 28; len++)
        assert_int_equal(rtp_parse(&p, data, len), -EPROTO);
    uint8_t wrong[12] = {0x40};
    assert_int_equal(rtp_parse(&p, wrong, sizeof(wrong)), -EPROTO);
    uint8_t lie[13] = {0xA0, 96, 0, 0, 0, 0,  0,
                       0,    0,  0, 0, 0, 200}; /* padding longer than it all */
    assert_int_equal(rtp_parse(&p, lie, sizeof(lie)), 0);
    assert_int_equal(p.payload_len, 1);
}

/* A marker beside a payload type from 64 to 95 looks like RTCP. */
static void test_rtcp_or_media(void **state)
{
    static const uint8_t reports[] = {0x80, 200, 0, 1, 1, 1, 1, 1, 0x80, 202, 0, 1, 1, 1, 1, 1};
    uint8_t media[] = {0x80, 0x80 | 80, 0, 1, 0, 0, 0, 9, 1, 2, 3, 4, 'a'};
    assert_true(rtp_is_rtcp(reports, sizeof(reports), 96));
    assert_true(rtp_is_rtcp(reports, sizeof(reports) - 2, 96)); /* its lengths are wrong */
    assert_true(rtp_is_rtcp(reports, sizeof(reports), 72));
    assert_false(rtp_is_rtcp(reports, sizeof(reports) - 2, 72));
    assert_false(rtp_is_rtcp(media, sizeof(media), 80));
    assert_false(rtp_is_rtcp(media, sizeof(media), 96)); /* a type that nobody announced */
    media[1] = 0x80 | 72;
    assert_false(rtp_is_rtcp(media, sizeof(media), 72));
    media[1] = 96;
    assert_false(rtp_is_rtcp(media, sizeof(media), 96));
    media[1] = 223;
    media[3] = 40;
    for (size_t len = 0; len <= sizeof(media); len++)
        assert_false(rtp_is_rtcp(media, len, 96));
}

static void test_order_restored(void **state)
{
    struct rtp_receiver *r = open_receiver(true);
    const uint16_t in[] = {65533, 65535, 65534, 1, 2, 0, 3};
    for (size_t i = 0; i < 7; i++)
        push(r, in[i], 1000);
    assert_out((const uint16_t[]){65533, 65534, 65535, 0, 1, 2, 3}, 7);
    for (size_t i = 0; i < 7; i++)
        assert_false(out.lost[i]);
    assert_int_equal(rtp_receiver_stats(r)->lost, 0);
    assert_int_equal(rtp_receiver_stats(r)->reordered, 3);
    assert_int_equal(rtp_receiver_deadline(r), INT64_MAX);
    rtp_receiver_free(&r);
}

static void test_loss_given_up_in_time(void **state)
{
    struct rtp_receiver *r = open_receiver(true);
    push(r, 1, 0);
    push(r, 3, 1000);
    push(r, 5, 2000);
    assert_out((const uint16_t[]){1}, 1);
    assert_int_equal(rtp_receiver_deadline(r), 1000 + RTP_REORDER_US);
    rtp_receiver_timeout(r, 1000 + RTP_REORDER_US);
    assert_out((const uint16_t[]){1, 3}, 2);
    assert_true(out.lost[1]);
    push(r, 2, 63000); /* too late */
    assert_int_equal(rtp_receiver_stats(r)->late, 1);
    assert_int_equal(rtp_receiver_deadline(r), 2000 + RTP_REORDER_US);
    push(r, 4, 61500);
    assert_out((const uint16_t[]){1, 3, 4, 5}, 4);
    assert_false(out.lost[2]);
    assert_int_equal(rtp_receiver_stats(r)->lost, 1);
    rtp_receiver_free(&r);
}

static void test_duplicates(void **state)
{
    struct rtp_receiver *r = open_receiver(true);
    push(r, 1, 0);
    push(r, 1, 0);
    push(r, 3, 0);
    push(r, 3, 0);
    push(r, 2, 0);
    push(r, 2, 0);
    assert_out((const uint16_t[]){1, 2, 3}, 3);
    assert_int_equal(rtp_receiver_stats(r)->late, 3);
    rtp_receiver_free(&r);
}

static void test_window_is_bounded(void **state)
{
    struct rtp_receiver *r = open_receiver(true);
    push(r, 0, 0);
    for (uint16_t i = 2; i < 2 + 2 * RTP_WINDOW; i++)
        push(r, i, 0);
    /* The gap at 1 was given up as soon as a packet came that did not fit any more. */
    assert_int_equal(out.count, 1 + 2 * RTP_WINDOW);
    assert_true(out.lost[1]);
    assert_int_equal(rtp_receiver_stats(r)->lost, 1);
    rtp_receiver_free(&r);
}

static void test_window_is_bounded_in_bytes(void **state)
{
    struct rtp_receiver *r = open_receiver(true);
    static uint8_t large[60000] = {0x80, 96};
    push_from(r, 0, 0, 0);
    size_t held = RTP_WINDOW_BYTES / sizeof(large);
    for (uint16_t i = 2; i < 2 + held; i++) {
        large[2] = (uint8_t)(i >> 8);
        large[3] = (uint8_t)i;
        rtp_receiver_packet(r, large, sizeof(large), 0);
    }
    assert_int_equal(out.count, 1);
    large[2] = 0;
    large[3] = (uint8_t)(2 + held);
    rtp_receiver_packet(r, large, sizeof(large), 0);
    assert_int_equal(out.count, 2 + held);
    rtp_receiver_free(&r);
}

static void test_new_start(void **state)
{
    struct rtp_receiver *r = open_receiver(true);
    push(r, 40000, 0);
    push(r, 10, 0); /* one stray packet is none */
    assert_int_equal(out.count, 1);
    push(r, 40001, 0);
    push(r, 11, 0);
    push(r, 12, 0); /* two in a row are */
    push(r, 13, 0);
    assert_out((const uint16_t[]){40000, 40001, 12, 13}, 4);
    assert_true(out.lost[2]);
    push_from(r, 5, 60000, 0); /* another source: at once, and nothing was lost */
    assert_int_equal(out.sequences[4], 60000);
    assert_false(out.lost[4]);
    rtp_receiver_free(&r);
}

static void push_stamped(struct rtp_receiver *r, uint16_t sequence, uint32_t timestamp)
{
    uint8_t p[20] = {0x80, 96, (uint8_t)(sequence >> 8), (uint8_t)sequence};
    for (int i = 0; i < 4; i++) {
        p[4 + i] = (uint8_t)(timestamp >> (24 - 8 * i));
        p[8 + i] = (uint8_t)(SSRC >> (24 - 8 * i));
    }
    rtp_receiver_packet(r, p, sizeof(p), 0);
}

/* Numbers that begin anew with each GOP, however short, are told from late packets by their time
 * stamps, which go on. */
static void test_numbers_that_begin_anew(void **state)
{
    struct rtp_receiver *r = open_receiver(true);
    uint32_t timestamp = 0xFFFFF000; /* it wraps */
    for (unsigned i = 0; i < 400; i++) {
        push_stamped(r, (uint16_t)(7 + i % 100), timestamp);
        timestamp += i % 4 == 3 ? 3600 : 0;
    }
    assert_int_equal(out.count, 400 - 3); /* the first of each GOP is the first sign of it */
    for (unsigned gop = 1; gop < 4; gop++) {
        assert_int_equal(out.sequences[100 + (gop - 1) * 99], 8);
        assert_true(out.lost[100 + (gop - 1) * 99]);
    }
    rtp_receiver_free(&r);
}

static void test_late_packets_are_no_new_start(void **state)
{
    struct rtp_receiver *r = open_receiver(true);
    for (unsigned i = 0; i < 40; i++)
        push_stamped(r, (uint16_t)i, i / 4 * 3600);
    for (unsigned i = 8; i < 40; i++) /* all once more: the newest is none either */
        push_stamped(r, (uint16_t)i, i / 4 * 3600);
    push_stamped(r, 3, 36000); /* one that is newer is stray */
    push_stamped(r, 40, 36000);
    push_stamped(r, 4, 39600);
    push_stamped(r, 6, 39600);
    push_stamped(r, 41, 36000);
    assert_int_equal(out.count, 42);
    assert_int_equal(rtp_receiver_stats(r)->lost, 0);
    rtp_receiver_free(&r);
}

static void push_type(struct rtp_receiver *r, uint8_t type, uint32_t ssrc, uint16_t sequence)
{
    uint8_t p[20] = {0x80, type, (uint8_t)(sequence >> 8), (uint8_t)sequence};
    p[11] = (uint8_t)ssrc;
    rtp_receiver_packet(r, p, sizeof(p), 0);
}

/* Retransmissions, error correction: with an SSRC and numbers of their own, described or not. */
static void test_other_payload_types(void **state)
{
    for (int reorder = 0; reorder < 2; reorder++) {
        memset(&out, 0, sizeof(out));
        const struct rtp_types two = {.chosen = 96, .refused = {[97 / 8] = 1 << (97 % 8)}};
        struct rtp_receiver *r = rtp_receiver_new(reorder, 90000, &two, on_packet, NULL);
        push_type(r, 97, 9, 500);
        for (uint16_t i = 0; i < 10; i++) {
            push_type(r, 96, 1, (uint16_t)(2 * i));
            push_type(r, 97, 9, (uint16_t)(501 + i));
            push_type(r, 122, 1,
                      (uint16_t)(2 * i + 1)); /* not described, numbered with the media */
        }
        assert_int_equal(out.count, 10);
        for (size_t i = 0; i < 10; i++)
            assert_true(out.sequences[i] == 2 * i && !out.lost[i]);
        assert_int_equal(rtp_receiver_stats(r)->foreign, 21);
        rtp_receiver_free(&r);
    }
}

/* m: media, f: error correction with the same SSRC, each with the number that follows; t: a gap is
 * given up. */
static void play(struct rtp_receiver *r, const char *sent)
{
    for (const char *at = sent; at != NULL; at = strchr(at, ' ')) {
        at += *at == ' ';
        if (*at == 't')
            rtp_receiver_timeout(r, 2 * RTP_REORDER_US);
        else
            push_type(r, *at == 'm' ? 96 : 122, 1, (uint16_t)strtoul(at + 1, NULL, 10));
    }
}

static bool is_anything_damaged(void)
{
    bool any = false;
    for (size_t k = 0; k < out.count; k++)
        any = any || out.lost[k];
    return any;
}

/* Over TCP a number that error correction has used is no loss, wherever it was sent; one that
 * nobody has used is. */
static void test_numbers_of_other_types_over_tcp(void **state)
{
    static const struct {
        const char *sent;
        unsigned lost;
    } cases[] = {
        {"m0 f1 f2 m3 f4 f5 m6", 0},
        {"m0 f3 m1 m2 m4 f7 m5 m6 m8", 0},          /* sent before the media that it protects */
        {"m0 m1 f2 f3 m2 m3 f4 f5 m4 m5 m6", 0},    /* with numbers of media that follow */
        {"m0 m1 f0 m2 f1 m3", 0},                   /* with numbers of media that have come */
        {"m65534 f0 f1 m65535 m2", 0},              /* the numbers wrap */
        {"m0 f1 m3 m4", 1},                         /* nobody has used 2 */
        {"m0 f2 m4 m513 m515", 2 + 508 + 1},        /* what was used once is forgotten */
        {"m0 f2 m9000 m8999 m9000 m9001 m9002", 0}, /* new starts forget it, too */
        {"m0 m2 f1 m4 f3 m6 f5 m7", 1},             /* sent after the media that follow: learnt */
        {"m0 m2 f1 m3 m5 t m6", 1 + 1},             /* then a gap still is one, after a moment */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rtp_receiver *r = open_receiver(false);
        play(r, cases[i].sent);
        if (rtp_receiver_stats(r)->lost != cases[i].lost)
            fail_msg("%s: %d lost", cases[i].sent, (int)rtp_receiver_stats(r)->lost);
        if (is_anything_damaged() != (cases[i].lost > 0 || strstr(cases[i].sent, "m9000") != NULL))
            fail_msg("%s: damaged: %d", cases[i].sent, is_anything_damaged());
        rtp_receiver_free(&r);
    }
}

/* Over UDP, too; and such a number takes no media's place. */
static void test_numbers_of_other_types_over_udp(void **state)
{
    static const struct {
        const char *sent;
        size_t delivered;
        unsigned lost;
    } cases[] = {
        {"m0 f1 f2 m3 f4 f5 m6", 3, 0},
        {"m0 f3 m1 m2 m4", 4, 0},          /* sent before the media that it protects */
        {"m0 m2 f1 m4 f3 m5", 4, 0},       /* after the media that follow */
        {"m0 m1 f2 f3 m2 m3 f4 m4", 5, 0}, /* with numbers of media that follow */
        {"m0 f2 m2 m1 m3 f4 m5 m4", 6, 0}, /* the same, reordered */
        {"m0 m2 f2 m1 m3", 4, 0},          /* with the number of one that waits */
        {"m0 f2 t m1 m2", 3, 0},           /* media that come much later than its number */
        {"m65534 f0 f1 m65535 m2", 3, 0},  /* the numbers wrap */
        {"m0 f1 m3 m4 t", 3, 1},           /* nobody has used 2 */
        {"m0 m2 f2 f1 t m3", 3, 1},        /* what has numbers of its own excuses no loss */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rtp_receiver *r = open_receiver(true);
        play(r, cases[i].sent);
        if (rtp_receiver_stats(r)->lost != cases[i].lost || out.count != cases[i].delivered)
            fail_msg("%s: %d lost, %d delivered", cases[i].sent, (int)rtp_receiver_stats(r)->lost,
                     (int)out.count);
        assert_int_equal(is_anything_damaged(), cases[i].lost > 0);
        for (size_t k = 1; k < out.count; k++)
            assert_true((uint16_t)(out.sequences[k] - out.sequences[k - 1]) < 0x8000);
        rtp_receiver_free(&r);
    }
}

static void on_payload(void *ctx, const struct rtp_packet *packet, bool lost_before,
                       int64_t received_us)
{
    (void)lost_before;
    (void)received_us;
    char *text = ctx;
    (void)snprintf(text + strlen(text), 100 - strlen(text), "%u:%.*s ", packet->payload_type,
                   (int)packet->payload_len, (const char *)packet->payload);
}

static void push_red(struct rtp_receiver *r, uint16_t sequence, const char *payload, size_t len)
{
    uint8_t p[100] = {0x80, 100, 0, (uint8_t)sequence};
    memcpy(p + 12, payload, len);
    rtp_receiver_packet(r, p, 12 + len, 0);
}

/* RFC 2198: media within, alone or behind older ones, and error correction (RFC 5109). */
static void test_media_wrapped_in_red(void **state)
{
    const struct rtp_types red = {
        .chosen = 96, .red = 100, .refused = {[100 / 8] = 1 << (100 % 8)}};
    for (int reorder = 0; reorder < 2; reorder++) {
        char text[100] = "";
        struct rtp_receiver *r = rtp_receiver_new(reorder, 90000, &red, on_payload, text);
        push_red(r, 0, "\x60one", 4);
        push_red(r, 1, "\x7a error correction", 18);
        push_red(r, 3, "\xe0\0\0\3\x60oldtwo", 11); /* early over UDP, a loss over TCP */
        push_red(r, 4, "\xe0\0\0\3\x60ol", 7);      /* broken */
        push_red(r, 5, "\xe0\0\0\3", 4);
        push_red(r, 6, "", 0);
        rtp_receiver_timeout(r, 2 * RTP_REORDER_US);
        push_red(r, 7, "\x60three", 6);
        assert_string_equal(text, "96:one 96:two 96:three ");
        assert_int_equal(rtp_receiver_stats(r)->lost, 1);
        rtp_receiver_free(&r);
    }
}

/* Comfort noise, for as long as nobody speaks. */
static void test_long_run_of_another_type(void **state)
{
    for (int reorder = 0; reorder < 2; reorder++) {
        struct rtp_receiver *r = open_receiver(reorder);
        push_type(r, 96, 1, 60000);
        for (uint32_t i = 60001; i < 60001 + 70000; i++)
            push_type(r, 13, 1, (uint16_t)i);
        push_type(r, 96, 1, (uint16_t)(60001 + 70000));
        assert_int_equal(out.count, 2);
        assert_false(out.lost[1]);
        assert_int_equal(rtp_receiver_stats(r)->lost, 0);
        rtp_receiver_free(&r);
    }
}

/* Some cameras send another type than they announce. */
/* The description has a type for each of H.264 and HEVC, and the second one is sent. */
static void test_type_of_the_other_codec(void **state)
{
    for (int media_first = 0; media_first < 2; media_first++) {
        const struct rtp_types both = {
            .chosen = 96, .other_codec = 98, .refused = {[98 / 8] = 1u << 98 % 8}};
        memset(&out, 0, sizeof(out));
        struct rtp_receiver *r = rtp_receiver_new(false, 90000, &both, on_packet, NULL);
        if (media_first)
            push(r, 1, 0);
        for (uint8_t i = 0; i < 5; i++) {
            uint8_t p[20] = {0x80, 98, 0, i};
            assert_false(rtp_receiver_is_other_codec(r));
            rtp_receiver_packet(r, p, sizeof(p), 0);
        }
        assert_true(rtp_receiver_is_other_codec(r) == !media_first);
        assert_int_equal(out.count, media_first);
        rtp_receiver_free(&r);
    }
}

static void test_another_type_than_announced(void **state)
{
    struct rtp_receiver *r = open_receiver(false);
    push_type(r, 98, 1, 5);
    push_type(r, 98, 1, 6);
    push_type(r, 200 & 0x7f, 1, 7); /* a sender report in the wrong place */
    assert_out((const uint16_t[]){5, 6}, 2);
    push_type(r, 96, 2, 70); /* so 98 was something else: what it broke is lost */
    push_type(r, 98, 1, 8);
    push_type(r, 96, 2, 71);
    assert_out((const uint16_t[]){5, 6, 70, 71}, 4);
    assert_true(out.lost[2] && !out.lost[3]);
    assert_int_equal(rtp_receiver_stats(r)->foreign, 2);
    rtp_receiver_free(&r);
}

/* Uniview: another SSRC with every GOP.  UDP: late packets of the one before are no new start. */
static void test_new_ssrc_is_no_loss(void **state)
{
    for (int reorder = 0; reorder < 2; reorder++) {
        struct rtp_receiver *r = open_receiver(reorder);
        for (uint16_t gop = 0; gop < 5; gop++)
            for (uint16_t i = 0; i < 4; i++)
                push_from(r, SSRC + gop, gop % 2 ? (uint16_t)(1000 * gop + i) : i, 0);
        assert_int_equal(out.count, 20);
        for (size_t i = 0; i < 20; i++)
            assert_false(out.lost[i]);
        if (reorder) {
            push_from(r, SSRC + 3, 3004, 1000);
            assert_int_equal(out.count, 20);
        }
        assert_int_equal(rtp_receiver_stats(r)->lost, 0);
        rtp_receiver_free(&r);
    }
}

/* Two SSRCs in turn, one sequence of numbers; a late packet of the other one is left out. */
static void test_ssrcs_in_turn(void **state)
{
    struct rtp_receiver *r = open_receiver(true);
    for (uint16_t i = 0; i < 6; i++)
        push_from(r, SSRC + i % 2, i, i * 1000);
    push_from(r, SSRC, 4, 7000);
    push_from(r, SSRC, 6, 8000);
    assert_out((const uint16_t[]){0, 1, 2, 3, 4, 5, 6}, 7);
    for (size_t i = 0; i < out.count; i++)
        assert_false(out.lost[i]);
    rtp_receiver_free(&r);
}

/* Both tracks count together: what the other one used is no loss once that is proven, whichever
 * socket is read first. */
static void test_numbers_shared_by_two_tracks(void **state)
{
    for (int udp = 0; udp < 2; udp++) {
        struct rtp_receiver *r = open_receiver(udp);
        int64_t now_us = 0;
        for (uint16_t i = 65400; i != 100; i++, now_us += RTP_REORDER_US) {
            rtp_receiver_timeout(r, now_us);
            if (udp && i % 16 == 8) { /* 9 is the other track's, and read after 10 */
                push(r, i++, now_us);
                push(r, (uint16_t)(i + 1), now_us);
                rtp_receiver_other_track(r, i++);
            } else if (i % 4 == 1) {
                rtp_receiver_other_track(r, i);
            } else {
                push(r, i, now_us);
            }
        }
        assert_int_equal(out.count, 236 / 4 * 3);
        for (size_t n = 0; n < out.count; n++) {
            assert_int_equal(out.sequences[n],
                             (uint16_t)(65400 + n / 3 * 4 + (n % 3 + (n % 3 > 0))));
            assert_false(out.lost[n] && n > 60);
        }
        push(r, 102, now_us); /* 100 is missing, and nobody used it */
        rtp_receiver_timeout(r, now_us + RTP_REORDER_US);
        assert_true(out.lost[out.count - 1]);
        rtp_receiver_free(&r);
    }
}

/* Each track counts for itself, as RFC 3550 has it: what the other one used is missing here. */
static void test_numbers_of_two_tracks_apart(void **state)
{
    struct rtp_receiver *r = open_receiver(false);
    for (uint16_t i = 0; i < 100; i++) {
        push(r, i, 0);
        rtp_receiver_other_track(r, (uint16_t)(101 + i / 3));
    }
    rtp_receiver_other_track(r, 101);
    push(r, 100, 0);
    push(r, 102, 0);
    assert_int_equal(out.count, 102);
    assert_true(out.lost[101]);
    rtp_receiver_free(&r);
}

/* TCP: numbers that count by two, down, or with their bytes swapped say nothing after a while. */
static void test_tcp_numbers_astray(void **state)
{
    for (int how = 0; how < 3; how++) {
        struct rtp_receiver *r = open_receiver(false);
        for (uint16_t i = 0; i < 100; i++)
            push(r, (uint16_t)(how == 0 ? 2 * i : how == 1 ? 500 - i : i << 8), 0);
        assert_int_equal(out.count, 100);
        assert_true(out.lost[20]);
        for (size_t i = 40; i < 100; i++)
            assert_false(out.lost[i]);
        for (uint16_t i = 0; i < 100; i++) /* they mean something again */
            push(r, (uint16_t)(1000 + i), 0);
        push(r, 1101, 0);
        assert_int_equal(out.count, 201);
        assert_true(out.lost[200]);
        rtp_receiver_free(&r);
    }
    /* A camera that drops most of its packets. */
    struct rtp_receiver *r = open_receiver(false);
    for (uint16_t i = 0; i < 200; i++)
        push(r, (uint16_t)(i / 2 * 10 + i % 2), 0);
    for (size_t i = 100; i < 200; i++)
        assert_true(out.lost[i] == (i % 2 == 0));
    rtp_receiver_free(&r);
}

static void test_tcp_waits_for_nothing(void **state)
{
    struct rtp_receiver *r = open_receiver(false);
    const uint16_t in[] = {5, 6, 6, 9, 10, 2, 3};
    for (size_t i = 0; i < 7; i++)
        push(r, in[i], 0);
    assert_out((const uint16_t[]){5, 6, 9, 10, 2, 3}, 6);
    assert_true(out.lost[2] && out.lost[4]);
    assert_false(out.lost[3] || out.lost[5]);
    assert_int_equal(rtp_receiver_stats(r)->lost, 2);
    rtp_receiver_free(&r);
}

static void push_payload(struct rtp_receiver *r, uint32_t timestamp, const char *payload)
{
    uint8_t p[100] = {0x80, 96, 0, 7, 0, 0, 0, 0, 0x11, 0x22, 0x33, 0x44}; /* SSRC */
    p[7] = (uint8_t)timestamp;
    memcpy(p + 12, payload, strlen(payload));
    rtp_receiver_packet(r, p, 12 + strlen(payload), 0);
}

/* A number that never changes says nothing: over TCP only the very same packet is a duplicate. */
static void test_tcp_without_numbers(void **state)
{
    struct rtp_receiver *r = open_receiver(false);
    push_payload(r, 1, "the first");
    push_payload(r, 1, "a fragment");
    push_payload(r, 1, "a fragment more");
    push_payload(r, 2, "a fragment more");
    push_payload(r, 2, "a fragment more"); /* the same once more */
    push_payload(r, 3, "");
    push(r, 8, 0); /* numbered after all */
    push(r, 10, 0);
    assert_out((const uint16_t[]){7, 7, 7, 7, 7, 8, 10}, 7);
    for (size_t i = 0; i < 7; i++)
        assert_int_equal(out.lost[i], i == 6);
    assert_int_equal(rtp_receiver_stats(r)->unnumbered, 4);
    assert_int_equal(rtp_receiver_stats(r)->late, 1);
    assert_int_equal(rtp_receiver_stats(r)->lost, 1);
    rtp_receiver_free(&r);

    r = open_receiver(true); /* over UDP they are duplicates, as ever */
    push_payload(r, 1, "the first");
    push_payload(r, 2, "another");
    assert_int_equal(out.count, 1);
    rtp_receiver_free(&r);
}

static size_t sender_report(uint8_t *p, uint32_t ssrc)
{
    memset(p, 0, 36);
    p[0] = 0x80;
    p[1] = 200;
    p[3] = 6;
    for (int i = 0; i < 4; i++)
        p[4 + i] = (uint8_t)(ssrc >> (24 - 8 * i));
    p[11] = 2; /* NTP 2.5 s, timestamp 9 */
    p[12] = 0x80;
    p[19] = 9;
    p[28] = 0x81; /* BYE of the same */
    p[29] = 203;
    p[31] = 1;
    memcpy(p + 32, p + 4, 4);
    return 36;
}

static void test_reports(void **state)
{
    struct rtp_receiver *r = open_receiver(true);
    uint8_t buf[RTP_REPORT_MAX];
    struct rtp_sender_report sr;
    bool bye;
    assert_int_equal(rtp_receiver_report(r, 0, buf), 0);
    for (uint16_t i = 0; i < 100; i++)
        if (i % 10 != 5)
            push(r, (uint16_t)(65500 + i), 0);
    rtp_receiver_timeout(r, INT64_MAX - 1);

    uint8_t rtcp[36];
    size_t len = sender_report(rtcp, SSRC);
    assert_true(rtp_receiver_rtcp(r, rtcp, len, 1000000, &sr, &bye));
    assert_true(bye);
    assert_true(sr.ntp == (2ull << 32 | 0x80000000u));
    assert_int_equal(sr.timestamp, 9);
    for (size_t cut = 0; cut < 28; cut++)
        assert_false(rtp_receiver_rtcp(r, rtcp, cut, 1000000, &sr, &bye));
    len = sender_report(rtcp, 99);
    assert_false(rtp_receiver_rtcp(r, rtcp, len, 1000000, &sr, &bye));
    assert_false(bye);

    len = rtp_receiver_report(r, 3000000, buf);
    assert_true(len > 32 && len % 4 == 0 && len <= RTP_REPORT_MAX);
    assert_int_equal(buf[1], 201);
    assert_int_equal(buf[12], 256 * 10 / 100); /* fraction lost */
    assert_int_equal(buf[15], 10);             /* lost */
    const uint8_t highest[4] = {0, 1, 0, 63};  /* wrapped once */
    assert_memory_equal(buf + 16, highest, 4);
    const uint8_t last_sr[8] = {0, 2, 0x80, 0, 0, 2, 0, 0}; /* middle of NTP, 2 s ago */
    assert_memory_equal(buf + 24, last_sr, 8);
    assert_int_equal(buf[33], 202);
    assert_int_equal((buf[34] << 8 | buf[35]) * 4 + 4 + 32, len);
    rtp_receiver_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_rtcp_or_media),
        cmocka_unit_test(test_order_restored),
        cmocka_unit_test(test_loss_given_up_in_time),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_window_is_bounded),
        cmocka_unit_test(test_window_is_bounded_in_bytes),
        cmocka_unit_test(test_new_start),
        cmocka_unit_test(test_numbers_that_begin_anew),
        cmocka_unit_test(test_late_packets_are_no_new_start),
        cmocka_unit_test(test_other_payload_types),
        cmocka_unit_test(test_numbers_of_other_types_over_tcp),
        cmocka_unit_test(test_numbers_of_other_types_over_udp),
        cmocka_unit_test(test_media_wrapped_in_red),
        cmocka_unit_test(test_long_run_of_another_type),
        cmocka_unit_test(test_type_of_the_other_codec),
        cmocka_unit_test(test_another_type_than_announced),
        cmocka_unit_test(test_new_ssrc_is_no_loss),
        cmocka_unit_test(test_ssrcs_in_turn),
        cmocka_unit_test(test_numbers_shared_by_two_tracks),
        cmocka_unit_test(test_numbers_of_two_tracks_apart),
        cmocka_unit_test(test_tcp_numbers_astray),
        cmocka_unit_test(test_tcp_waits_for_nothing),
        cmocka_unit_test(test_tcp_without_numbers),
        cmocka_unit_test(test_reports),
    };
    return cmocka_run_group_tests_name("rtp_receive", tests, NULL, NULL);
}
