/*
 * One RTP stream as it is received (RFC 3550): packets in order again, losses counted, sender
 * reports read, receiver reports written.  Worker; pure: time is an argument.
 *
 * Over UDP packets that come early wait for the missing one, for RTP_REORDER_US and within
 * RTP_WINDOW packets and RTP_WINDOW_BYTES; what comes later than that is lost.  Over TCP nothing
 * waits: a gap there is the camera's doing, and where the sequence number stands still, what comes
 * is taken as it comes.  A new SSRC begins another sequence, and is no loss.
 */
#ifndef WORKER_RTP_RECEIVE_H
#define WORKER_RTP_RECEIVE_H

#include "worker/rtp/rtp_types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RTP_WINDOW 512u /* a 4K key frame is that many packets */
#define RTP_WINDOW_BYTES ((size_t)4 << 20)
#define RTP_REORDER_US 60000
#define RTP_REPORT_MAX 128 /* bytes of a receiver report */

struct rtp_packet {
    uint8_t payload_type;
    bool marker;
    uint16_t sequence;
    uint32_t timestamp;
    uint32_t ssrc;
    const uint8_t *payload; /* without extension and padding */
    size_t payload_len;
};

struct rtp_sender_report {
    uint32_t ssrc;
    uint64_t ntp; /* 32.32 fixed point seconds since 1900 */
    uint32_t timestamp;
};

/**
 * Read the header of a packet (RFC 3550 section 5.1, 5.3.1).
 * @return 0, or -EPROTO.
 */
int rtp_parse(struct rtp_packet *packet, const uint8_t *data, size_t len);

/* A packet in its turn.  lost_before: some between it and the one before never came.  Borrowed. */
typedef void rtp_deliver_fn(void *ctx, const struct rtp_packet *packet, bool lost_before,
                            int64_t received_us);

struct rtp_receiver;

/**
 * @param reorder     UDP: packets may overtake each other.
 * @param clock_rate  of timestamps, Hz.
 * @param types       copied.  A type that is neither chosen nor refused is taken for media until
 * the chosen one comes: some cameras send another type than they announce.
 * @return never NULL.  Caller owns; rtp_receiver_free().
 */
struct rtp_receiver *rtp_receiver_new(bool reorder, uint32_t clock_rate,
                                      const struct rtp_types *types, rtp_deliver_fn *deliver,
                                      void *ctx);
void rtp_receiver_free(struct rtp_receiver **receiver);

/** A packet arrived: delivers it, and what waited for it.  Others are ignored. */
void rtp_receiver_packet(struct rtp_receiver *receiver, const uint8_t *data, size_t len,
                         int64_t now_us);

/** Give up what has been waited for long enough. */
void rtp_receiver_timeout(struct rtp_receiver *receiver, int64_t now_us);
/** When rtp_receiver_timeout() wants to be called; INT64_MAX: never. */
int64_t rtp_receiver_deadline(const struct rtp_receiver *receiver);

/**
 * Read a compound RTCP packet.
 *
 * @param report  filled on true: a sender report of this stream's source.
 * @param bye     set if the source says that it leaves.
 */
bool rtp_receiver_rtcp(struct rtp_receiver *receiver, const uint8_t *data, size_t len,
                       int64_t now_us, struct rtp_sender_report *report, bool *bye);

/**
 * A compound of receiver report and CNAME (RFC 3550 section 6.4.2, 6.5.1).
 *
 * @param buf  RTP_REPORT_MAX bytes.
 * @return bytes; 0 as long as nothing was received.
 */
size_t rtp_receiver_report(struct rtp_receiver *receiver, int64_t now_us, uint8_t *buf);

struct rtp_stats {
    uint64_t received;
    uint64_t lost;
    uint64_t reordered;  /* came early and waited */
    uint64_t late;       /* duplicates, and what came after it was given up */
    uint64_t unnumbered; /* TCP: taken with the sequence number of the packet before */
    uint64_t foreign;    /* left out: of a payload type that is not the track's media */
};
const struct rtp_stats *rtp_receiver_stats(const struct rtp_receiver *receiver);

#endif /* WORKER_RTP_RECEIVE_H */
