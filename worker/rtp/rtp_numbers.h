/*
 * Learns what the sequence numbers of an RTP stream mean (RFC 3550 section 5.1: each packet has the
 * next one).  Some cameras count both tracks together; with some, numbers mean nothing: they count
 * by two, or down, or have their bytes swapped.  Worker; pure.
 */
#ifndef WORKER_RTP_NUMBERS_H
#define WORKER_RTP_NUMBERS_H

#include <stdbool.h>
#include <stdint.h>

/* Zeroed: nothing is known. */
struct rtp_numbers {
    bool between;      /* the other track sent something after our last packet */
    uint16_t theirs;   /* its newest number */
    unsigned shared;   /* how often ours followed it, less how often not */
    unsigned astray;   /* packets in a row that had not the next number */
    unsigned in_order; /* ... and, since numbers mean nothing, those that had */
};

/** A packet of the other track came. */
void rtp_numbers_other_track(struct rtp_numbers *numbers, uint16_t sequence);

/** A packet of this track came. */
void rtp_numbers_own(struct rtp_numbers *numbers, uint16_t sequence);

/** Is it proven that both tracks count together? */
bool rtp_numbers_are_shared(const struct rtp_numbers *numbers);

/**
 * Does this packet's number mean nothing?  Only for packets that cannot overtake each other: a
 * camera that drops packets keeps some that follow each other, so it is known when none does for
 * long.
 *
 * @param next  it is the next number, or those before it were used by others.
 */
bool rtp_numbers_are_astray(struct rtp_numbers *numbers, bool next);

#endif /* WORKER_RTP_NUMBERS_H */
