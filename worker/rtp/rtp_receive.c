#include "worker/rtp/rtp_receive.h"

#include "common/bytes.h"
#include "common/xalloc.h"
#include "worker/rtp/rtp_numbers.h"
#include "worker/rtp/rtp_red.h"

#include <stdlib.h>
#include <string.h>

#define RTCP_SENDER_REPORT 200
#define RTCP_RECEIVER_REPORT 201
#define RTCP_DESCRIPTION 202
#define RTCP_BYE 203
#define JUMP_MIN 3000      /* a step this large is a new start, not a late packet or a loss */
#define OTHER_CODEC_SURE 5 /* packets */
#define OWN_SSRC 0x43414D46u
/* Payloads with equal timestamp, length and this many first bytes count as identical. */
#define BEGINNING_BYTES 32

struct slot {
    uint8_t *data;
    size_t len;
    int64_t received_us;
};

/* What tells packets with the same sequence number apart. */
struct identity {
    uint32_t timestamp;
    size_t payload_len;
    uint8_t beginning[BEGINNING_BYTES]; /* the payload's first bytes, zero-padded */
};

struct rtp_receiver {
    rtp_deliver_fn *deliver;
    void *ctx;
    bool reorder;
    uint32_t clock_rate;
    struct rtp_types types;
    int type;             /* the payload type taken for media; -1: none came yet */
    unsigned other_codec; /* packets of the other codec's type before the media's first one */

    bool started;
    uint32_t ssrc;
    uint32_t last_ssrc; /* the previous SSRC: its UDP packets may still come */
    int64_t last_ssrc_until_us;
    uint16_t next;      /* sequence number to deliver next */
    uint32_t newest;    /* time stamp of what was delivered: the newest */
    uint16_t suspicion; /* sequence number that would confirm a jump back */
    bool suspicious;
    bool lost;                      /* something is missing before `next` */
    struct identity last;           /* TCP: identity of the packet before `next` */
    uint8_t others[RTP_WINDOW / 8]; /* a bit for each number from `next` on that another payload
                                       type has used */
    bool others_apart;              /* other types have numbers of their own */
    bool waits;                     /* a gap stays open for a while */
    uint16_t gap;                   /* TCP: first number of the newest gap, and how many follow */
    uint16_t gap_len;
    struct rtp_numbers numbers;

    struct slot slots[RTP_WINDOW]; /* early packets, by sequence number */
    size_t waiting;
    size_t waiting_bytes;

    /* For receiver reports. */
    uint32_t cycles; /* to add to `highest`: 65536 per wrap */
    uint16_t highest;
    uint32_t base;
    uint64_t received_since_start;
    uint32_t expected_prior;
    uint32_t received_prior;
    int64_t transit;
    uint32_t jitter; /* 1/16 timestamp units */
    uint32_t sr_middle;
    int64_t sr_received_us; /* 0: none yet */

    struct rtp_stats stats;
};

struct rtp_receiver *rtp_receiver_new(bool reorder, uint32_t clock_rate,
                                      const struct rtp_types *types, rtp_deliver_fn *deliver,
                                      void *ctx)
{
    struct rtp_receiver *r = xcalloc(1, sizeof(*r));
    r->reorder = reorder;
    r->waits = reorder;
    r->clock_rate = clock_rate;
    r->types = *types;
    r->type = -1;
    r->deliver = deliver;
    r->ctx = ctx;
    return r;
}

static void drop_slot(struct rtp_receiver *r, struct slot *slot)
{
    r->waiting--;
    r->waiting_bytes -= slot->len;
    free(slot->data);
    slot->data = NULL;
}

void rtp_receiver_free(struct rtp_receiver **receiver)
{
    struct rtp_receiver *r = *receiver;
    *receiver = NULL;
    if (r == NULL)
        return;
    for (size_t i = 0; i < RTP_WINDOW; i++)
        free(r->slots[i].data);
    free(r);
}

static struct identity identity_of(const struct rtp_packet *packet)
{
    struct identity id = {.timestamp = packet->timestamp, .payload_len = packet->payload_len};
    size_t len = packet->payload_len < BEGINNING_BYTES ? packet->payload_len : BEGINNING_BYTES;
    memcpy(id.beginning, packet->payload, len);
    return id;
}

/* TCP: does a new packet repeat the previous sequence number?  Some cameras never change it. */
static bool is_unnumbered(const struct rtp_receiver *r, const struct rtp_packet *packet)
{
    if (r->reorder || (uint16_t)(packet->sequence + 1) != r->next)
        return false;
    const struct identity id = identity_of(packet);
    return id.timestamp != r->last.timestamp || id.payload_len != r->last.payload_len ||
           memcmp(id.beginning, r->last.beginning, BEGINNING_BYTES) != 0;
}

static bool is_other(const struct rtp_receiver *r, uint16_t number)
{
    return (r->others[number % RTP_WINDOW / 8] >> number % 8 & 1) != 0;
}

/* Has another payload type used the number?  Forget it. */
static bool forget_other(struct rtp_receiver *r, uint16_t number)
{
    bool used = is_other(r, number);
    r->others[number % RTP_WINDOW / 8] &= (uint8_t) ~(1 << number % 8);
    return used;
}

/* Media and another type have used the same number: so numbers of other types say nothing. */
static void take_apart(struct rtp_receiver *r)
{
    r->others_apart = true;
    memset(r->others, 0, sizeof(r->others));
}

/* @return how many numbers before this one, from `next` on, nobody has used: they are missing. */
static uint16_t skip_to(struct rtp_receiver *r, uint16_t number)
{
    uint16_t missing = 0;
    for (; r->next != number; r->next++)
        missing = (uint16_t)(missing + !forget_other(r, r->next));
    return missing;
}

static void deliver(struct rtp_receiver *r, const struct rtp_packet *packet, int64_t received_us)
{
    if (!r->reorder)
        r->last = identity_of(packet);
    bool lost_before = r->lost;
    r->lost = false;
    if ((int32_t)(packet->timestamp - r->newest) > 0)
        r->newest = packet->timestamp;
    r->next = (uint16_t)(packet->sequence + 1);
    r->deliver(r->ctx, packet, lost_before, received_us);
}

/* @return false if it is no RTP packet. */
static bool read_packet(const struct rtp_receiver *r, struct rtp_packet *packet,
                        const uint8_t *data, size_t len)
{
    if (rtp_parse(packet, data, len) != 0)
        return false;
    if (r->types.red != 0 && packet->payload_type == r->types.red)
        (void)rtp_red_unwrap(packet); /* a broken one stays of a refused type */
    return true;
}

static void deliver_slot(struct rtp_receiver *r, struct slot *slot)
{
    struct rtp_packet packet;
    if (read_packet(r, &packet, slot->data, slot->len)) /* it was parsed before it was kept */
        deliver(r, &packet, slot->received_us);
    drop_slot(r, slot);
}

/* What other types have used before this number is not awaited. */
static void pass_others(struct rtp_receiver *r, uint16_t number)
{
    while (r->next != number && forget_other(r, r->next))
        r->next++;
}

/* Deliver the waiting packets up to the next number that is missing. */
static void drain(struct rtp_receiver *r)
{
    while (r->waiting > 0) {
        struct slot *slot = &r->slots[r->next % RTP_WINDOW];
        if (slot->data != NULL)
            deliver_slot(r, slot);
        else if (forget_other(r, r->next))
            r->next++;
        else
            return;
    }
}

/* Give up the packets missing before the first waiting one. */
static void skip_gap(struct rtp_receiver *r)
{
    while (r->waiting > 0 && r->slots[r->next % RTP_WINDOW].data == NULL) {
        bool other = forget_other(r, r->next++);
        r->stats.lost += !other;
        r->lost = r->lost || !other;
    }
    drain(r);
}

static void flush(struct rtp_receiver *r)
{
    while (r->waiting > 0)
        skip_gap(r);
}

/* A new sequence begins with this packet.  lost: packets before it were lost. */
static void restart(struct rtp_receiver *r, const struct rtp_packet *packet, bool lost)
{
    flush(r);
    r->lost = r->lost || lost;
    r->started = true;
    r->suspicious = false;
    memset(r->others, 0, sizeof(r->others));
    r->gap_len = 0;
    r->ssrc = packet->ssrc;
    r->next = packet->sequence;
    r->newest = packet->timestamp;
    r->highest = packet->sequence;
    r->cycles = 0;
    r->base = packet->sequence;
    r->received_since_start = 0;
    r->expected_prior = 0;
    r->received_prior = 0;
    r->jitter = 0;
    r->transit = INT64_MIN;
    r->sr_received_us = 0;
}

static void count(struct rtp_receiver *r, const struct rtp_packet *packet, int64_t now_us)
{
    r->stats.received++;
    r->received_since_start++;
    if ((uint16_t)(packet->sequence - r->highest) < 0x8000) {
        if (packet->sequence < r->highest)
            r->cycles += 0x10000;
        r->highest = packet->sequence;
    }
    int64_t arrival = now_us / 1000 * r->clock_rate / 1000;
    int64_t transit = (uint32_t)arrival - (int64_t)packet->timestamp;
    if (r->transit != INT64_MIN) {
        int64_t d = (int32_t)(uint32_t)(transit - r->transit);
        d = d < 0 ? -d : d;
        r->jitter = (uint32_t)((int64_t)r->jitter + d - (((int64_t)r->jitter + 8) >> 4));
    }
    r->transit = transit;
}

static void keep(struct rtp_receiver *r, const uint8_t *data, size_t len,
                 const struct rtp_packet *packet, int64_t now_us)
{
    struct slot *slot = &r->slots[packet->sequence % RTP_WINDOW];
    if (slot->data != NULL) {
        r->stats.late++; /* a duplicate of a waiting packet */
        return;
    }
    slot->data = malloc(len);
    if (slot->data == NULL)
        return; /* as if the network had lost it */
    memcpy(slot->data, data, len);
    slot->len = len;
    slot->received_us = now_us;
    r->waiting++;
    r->waiting_bytes += len;
    r->stats.reordered++;
    while (r->waiting_bytes > RTP_WINDOW_BYTES)
        skip_gap(r);
}

/* Has the sender begun a new sequence?  Over UDP two such packets in a row prove it; otherwise a
 * packet that is behind or far away is late, a duplicate or stray.  What is late, or comes twice,
 * has no newer time stamp than what was delivered. */
static bool is_new_start(struct rtp_receiver *r, const struct rtp_packet *packet)
{
    uint16_t back = (uint16_t)(r->next - packet->sequence);
    if (!r->reorder)
        return back != 1; /* TCP keeps the order: at most, a packet comes twice */
    if (back < JUMP_MIN && (int32_t)(packet->timestamp - r->newest) <= 0)
        return false;
    bool confirmed = r->suspicious && packet->sequence == r->suspicion;
    r->suspicious = true;
    r->suspicion = (uint16_t)(packet->sequence + 1);
    return confirmed;
}

/* RTCP on the RTP channel looks like these payload types (RFC 5761 section 4). */
static bool is_rtcp(unsigned type)
{
    return type >= 72 && type <= 76;
}

/* Decide which payload type is media. */
static void settle_type(struct rtp_receiver *r, const struct rtp_packet *packet)
{
    unsigned type = packet->payload_type;
    bool chosen = type == r->types.chosen;
    bool refused = is_rtcp(type) || (r->types.refused[type / 8] >> (type % 8) & 1) != 0;
    if (type == (unsigned)r->type || (!chosen && (refused || r->type >= 0)))
        return;
    if (r->type >= 0)
        restart(r, packet, true); /* earlier packets were something else */
    r->type = (int)type;
}

/* Other types may share the media's numbers (GStreamer's error correction), before or after their
 * turn.  What they have used is not awaited. */
static void note_other(struct rtp_receiver *r, uint16_t number)
{
    uint16_t ahead = (uint16_t)(number - r->next);
    if (ahead == RTP_WINDOW && forget_other(r, r->next)) { /* a long run of them */
        r->next++;
        ahead--;
    }
    if (ahead >= RTP_WINDOW)
        return;
    if (r->slots[number % RTP_WINDOW].data != NULL) {
        take_apart(r);
        return;
    }
    r->others[number % RTP_WINDOW / 8] |= (uint8_t)(1 << number % 8);
    drain(r);
}

/* TCP: does another type send its numbers after media that follow them?  Then gaps wait for it. */
static void note_late_other(struct rtp_receiver *r, uint16_t number)
{
    if ((uint16_t)(number - r->gap) >= r->gap_len)
        return;
    r->waits = true;
    r->gap_len = 0;
}

static void take_other(struct rtp_receiver *r, const struct rtp_packet *packet, int64_t now_us)
{
    r->stats.foreign++;
    r->other_codec +=
        r->type < 0 && r->types.other_codec != 0 && packet->payload_type == r->types.other_codec;
    if (!r->started || packet->ssrc != r->ssrc || r->others_apart)
        return;
    if ((uint16_t)(packet->sequence - r->next) <= RTP_WINDOW) {
        count(r, packet, now_us);
        note_other(r, packet->sequence);
    } else {
        note_late_other(r, packet->sequence);
    }
}

/* Take a packet with another SSRC: cameras begin a new sequence so, some with every GOP.  Some have
 * two in turn, with numbers that go on.
 * @return false if it is a late packet from the previous sequence. */
static bool take_ssrc(struct rtp_receiver *r, const struct rtp_packet *packet, int64_t now_us)
{
    if (r->reorder && packet->ssrc == r->last_ssrc && now_us < r->last_ssrc_until_us &&
        packet->sequence != r->next) {
        r->stats.late++;
        return false;
    }
    if (r->started) {
        r->last_ssrc = r->ssrc;
        r->last_ssrc_until_us = now_us + RTP_REORDER_US;
    }
    restart(r, packet, false);
    return true;
}

/* Have other types used all numbers before this one? */
static bool is_passed(const struct rtp_receiver *r, uint16_t number)
{
    uint16_t at = r->next;
    if ((uint16_t)(number - at) >= RTP_WINDOW)
        return false;
    while (at != number && is_other(r, at))
        at++;
    return at == number;
}

void rtp_receiver_other_track(struct rtp_receiver *receiver, uint16_t sequence)
{
    struct rtp_receiver *r = receiver;
    rtp_numbers_other_track(&r->numbers, sequence);
    if (r->started && !r->others_apart && rtp_numbers_are_shared(&r->numbers) &&
        (uint16_t)(sequence - r->next) <= RTP_WINDOW)
        note_other(r, sequence);
}

/* Media have used this number. @return how many that are missing come before it. */
static uint16_t claim(struct rtp_receiver *r, uint16_t number)
{
    if (is_other(r, number))
        take_apart(r);
    pass_others(r, number);
    return (uint16_t)(number - r->next);
}

/* Go on with this number: nothing is awaited any more. */
static void jump_to(struct rtp_receiver *r, uint16_t number)
{
    flush(r);
    uint16_t gap = r->next;
    uint16_t missing = skip_to(r, number);
    r->stats.lost += missing;
    r->lost = r->lost || missing > 0;
    r->gap = gap;
    r->gap_len = (uint16_t)(number - gap);
}

void rtp_receiver_packet(struct rtp_receiver *receiver, const uint8_t *data, size_t len,
                         int64_t now_us)
{
    struct rtp_receiver *r = receiver;
    struct rtp_packet packet;
    if (!read_packet(r, &packet, data, len))
        return;
    settle_type(r, &packet);
    if (packet.payload_type != r->type) {
        take_other(r, &packet, now_us);
        return;
    }
    if ((!r->started || packet.ssrc != r->ssrc) && !take_ssrc(r, &packet, now_us))
        return;

    rtp_numbers_own(&r->numbers, packet.sequence);
    uint16_t ahead = (uint16_t)(packet.sequence - r->next);
    if (is_unnumbered(r, &packet)) {
        r->stats.unnumbered++;
        ahead = 0;
    } else if (!r->reorder &&
               rtp_numbers_are_astray(&r->numbers, ahead == 0 || is_passed(r, packet.sequence))) {
        memset(r->others, 0, sizeof(r->others));
        ahead = 0;
    } else if (ahead >= JUMP_MIN) {
        if (!is_new_start(r, &packet)) {
            r->stats.late++;
            return;
        }
        restart(r, &packet, true);
        ahead = 0;
    } else if (ahead < RTP_WINDOW) {
        ahead = claim(r, packet.sequence);
    }
    r->suspicious = false;
    count(r, &packet, now_us);
    if (ahead > 0 && r->waits && ahead < RTP_WINDOW) {
        keep(r, data, len, &packet, now_us);
        return;
    }
    if (ahead > 0)
        jump_to(r, packet.sequence);
    deliver(r, &packet, now_us);
    drain(r);
}

/* The first waiting packet after the gap: its arrival decides how long the gap stays open. */
static const struct slot *first_waiting(const struct rtp_receiver *r)
{
    for (unsigned i = 0; i < RTP_WINDOW; i++) {
        const struct slot *slot = &r->slots[(uint16_t)(r->next + i) % RTP_WINDOW];
        if (slot->data != NULL)
            return slot;
    }
    return NULL;
}

int64_t rtp_receiver_deadline(const struct rtp_receiver *receiver)
{
    const struct slot *slot = receiver->waiting > 0 ? first_waiting(receiver) : NULL;
    return slot != NULL ? slot->received_us + RTP_REORDER_US : INT64_MAX;
}

void rtp_receiver_timeout(struct rtp_receiver *receiver, int64_t now_us)
{
    while (receiver->waiting > 0 && rtp_receiver_deadline(receiver) <= now_us)
        skip_gap(receiver);
}

bool rtp_receiver_rtcp(struct rtp_receiver *receiver, const uint8_t *data, size_t len,
                       int64_t now_us, struct rtp_sender_report *report, bool *bye)
{
    struct rtp_receiver *r = receiver;
    bool found = false;
    *bye = false;
    while (len >= 8 && (data[0] & 0xC0) == 0x80) {
        size_t size = ((size_t)bytes_get16(data + 2) + 1) * 4;
        if (size > len || size < 8)
            break;
        uint32_t ssrc = bytes_get32(data + 4);
        /* Any other SSRC belongs to another stream or is made up. */
        bool ours = !r->started || ssrc == r->ssrc;
        if (data[1] == RTCP_SENDER_REPORT && size >= 28 && ours) {
            report->ssrc = ssrc;
            report->ntp = (uint64_t)bytes_get32(data + 8) << 32 | bytes_get32(data + 12);
            report->timestamp = bytes_get32(data + 16);
            r->sr_middle = (uint32_t)(report->ntp >> 16);
            r->sr_received_us = now_us;
            found = true;
        } else if (data[1] == RTCP_BYE && ours) {
            *bye = true;
        }
        data += size;
        len -= size;
    }
    return found;
}

size_t rtp_receiver_report(struct rtp_receiver *receiver, int64_t now_us, uint8_t *buf)
{
    struct rtp_receiver *r = receiver;
    if (!r->started)
        return 0;
    uint32_t highest = r->cycles + r->highest;
    uint32_t expected = highest - r->base + 1;
    uint32_t received = (uint32_t)r->received_since_start;
    int64_t lost = (int64_t)expected - received;
    lost = lost > 0x7FFFFF ? 0x7FFFFF : lost < -0x800000 ? -0x800000 : lost;
    int64_t expected_interval = (int64_t)expected - r->expected_prior;
    int64_t lost_interval = expected_interval - ((int64_t)received - r->received_prior);
    uint32_t fraction = 0;
    if (expected_interval > 0 && lost_interval > 0)
        fraction = (uint32_t)((lost_interval << 8) / expected_interval);
    r->expected_prior = expected;
    r->received_prior = received;

    memset(buf, 0, RTP_REPORT_MAX);
    buf[0] = 0x81; /* version 2, one report block */
    buf[1] = RTCP_RECEIVER_REPORT;
    buf[3] = 7; /* length in words minus one */
    bytes_put32(buf + 4, OWN_SSRC);
    bytes_put32(buf + 8, r->ssrc);
    bytes_put32(buf + 12, (fraction > 255 ? 255 : fraction) << 24 | ((uint32_t)lost & 0xFFFFFF));
    bytes_put32(buf + 16, highest);
    bytes_put32(buf + 20, r->jitter >> 4);
    if (r->sr_received_us != 0) {
        bytes_put32(buf + 24, r->sr_middle);
        bytes_put32(buf + 28, (uint32_t)((now_us - r->sr_received_us) * 65536 / 1000000));
    }
    static const char cname[] = "cam-httpflv";
    uint8_t *sdes = buf + 32;
    sdes[0] = 0x81;
    sdes[1] = RTCP_DESCRIPTION;
    bytes_put32(sdes + 4, OWN_SSRC);
    sdes[8] = 1; /* CNAME */
    sdes[9] = sizeof(cname) - 1;
    memcpy(sdes + 10, cname, sizeof(cname) - 1);
    size_t size = (10 + sizeof(cname) - 1 + 1 + 3) / 4 * 4; /* at least one zero byte ends it */
    sdes[3] = (uint8_t)(size / 4 - 1);
    return 32 + size;
}

bool rtp_receiver_is_other_codec(const struct rtp_receiver *receiver)
{
    return receiver->type < 0 && receiver->other_codec >= OTHER_CODEC_SURE;
}

const struct rtp_stats *rtp_receiver_stats(const struct rtp_receiver *receiver)
{
    return &receiver->stats;
}
