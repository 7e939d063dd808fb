/*
 * Do sound's stamps advance by its packets' durations?  Some cameras count at another rate than
 * they announce (90 kHz for 8, 11025 Hz for 8000), which is no error of their clock: the sound is
 * as long as it says.  Worker, source thread.  Pure.
 *
 * Lost packets and pauses must not count, so each packet moves the estimate by one small step, up
 * or down.  A rate near 1 could also be jitter: it is believed once packet after packet confirms
 * it.
 */
#ifndef WORKER_STAMP_RATE_H
#define WORKER_STAMP_RATE_H

/* Plain: lives in its user by value. */
struct stamp_rate {
    double rate; /* time by stamps per duration, to some per cent */
    double mean; /* the same, of the packets that agree */
    int steady;  /* how far these outnumber the others */
};

void stamp_rate_init(struct stamp_rate *rate);

/**
 * Take a packet.
 *
 * @param ratio  how far the stamps moved since the packet before, in durations of that.
 * @return time by stamps per duration: 1 unless it is known to be another.  0: this packet does not
 *         tell, because its step is unusual or the stamps are too coarse.
 */
double stamp_rate_take(struct stamp_rate *rate, double ratio);

#endif /* WORKER_STAMP_RATE_H */
