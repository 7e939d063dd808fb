/*
 * Receives one RTP stream (RFC 3550): puts packets in order, counts losses, reads sender reports,
 * writes receiver reports.  Worker; pure: time is an argument.
 *
 * Over UDP, early packets wait for a missing one for RTP_REORDER_US, within RTP_WINDOW packets and
 * RTP_WINDOW_BYTES; after that the missing packet counts as lost.  Over TCP nothing waits: a gap
 * there is the camera's fault, and packets that repeat a sequence number are taken as they come.
 * Numbers that another payload type has used are no loss, unless that type counts for itself: then
 * media use the same numbers.  If it sends its numbers over TCP after media that follow, gaps wait
 * as over UDP.  A new SSRC begins another sequence without a loss; so do, with
 * one, numbers far away, or behind with newer time stamps.
 */
#ifndef WORKER_RTP_RECEIVE_H
#define WORKER_RTP_RECEIVE_H

#include "worker/rtp/rtp_packet.h"
#include "worker/rtp/rtp_types.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RTP_WINDOW 512u /* a 4K key frame has that many packets */
#define RTP_WINDOW_BYTES ((size_t)4 << 20)
#define RTP_REORDER_US 60000
#define RTP_REPORT_MAX 128 /* bytes of a receiver report */

struct rtp_sender_report {
    uint32_t ssrc;
    uint64_t ntp; /* 32.32 fixed point seconds since 1900 */
    uint32_t timestamp;
};

/* Gets packets in order.  lost_before: packets before this one were lost.  packet: Borrowed. */
typedef void rtp_deliver_fn(void *ctx, const struct rtp_packet *packet, bool lost_before,
                            int64_t received_us);

struct rtp_receiver;

/**
 * @param reorder     UDP: packets may overtake each other.
 * @param clock_rate  the timestamps' rate, Hz.
 * @param types       copied.  A type that is neither chosen nor refused counts as media until
 *                    the chosen one comes: some cameras announce one type and send another.
 * @return never NULL.  Caller owns; rtp_receiver_free().
 */
struct rtp_receiver *rtp_receiver_new(bool reorder, uint32_t clock_rate,
                                      const struct rtp_types *types, rtp_deliver_fn *deliver,
                                      void *ctx);
void rtp_receiver_free(struct rtp_receiver **receiver);

/** Take a packet: deliver it and the packets that waited for it.  Invalid data is ignored. */
void rtp_receiver_packet(struct rtp_receiver *receiver, const uint8_t *data, size_t len,
                         int64_t now_us);

/** Give up missing packets that have been awaited long enough. */
void rtp_receiver_timeout(struct rtp_receiver *receiver, int64_t now_us);
/** When to call rtp_receiver_timeout(); INT64_MAX: never. */
int64_t rtp_receiver_deadline(const struct rtp_receiver *receiver);

/**
 * Read a compound RTCP packet.
 *
 * @param report  filled on true.
 * @param bye     set to whether the source says goodbye.
 * @return true if the packet holds a sender report from this stream's source.
 */
bool rtp_receiver_rtcp(struct rtp_receiver *receiver, const uint8_t *data, size_t len,
                       int64_t now_us, struct rtp_sender_report *report, bool *bye);

/** Do packets come of the payload type that the description gives to the other one of H.264 and
 * HEVC, and none of the chosen one? */
bool rtp_receiver_is_other_codec(const struct rtp_receiver *receiver);

/** A packet of the session's other track had this number: some cameras count both tracks together.
 * Call it in the order of arrival. */
void rtp_receiver_other_track(struct rtp_receiver *receiver, uint16_t sequence);

/**
 * Write a compound of receiver report and CNAME (RFC 3550 section 6.4.2, 6.5.1).
 *
 * @param buf  room for RTP_REPORT_MAX bytes.
 * @return bytes written; 0 until a packet has been received.
 */
size_t rtp_receiver_report(struct rtp_receiver *receiver, int64_t now_us, uint8_t *buf);

struct rtp_stats {
    uint64_t received;
    uint64_t lost;
    uint64_t reordered;  /* packets that came early and waited */
    uint64_t late;       /* duplicates, and packets that came after they were given up */
    uint64_t unnumbered; /* TCP: packets that repeated a sequence number and were taken */
    uint64_t foreign;    /* dropped: their payload type is not the track's media */
};
const struct rtp_stats *rtp_receiver_stats(const struct rtp_receiver *receiver);

#endif /* WORKER_RTP_RECEIVE_H */
