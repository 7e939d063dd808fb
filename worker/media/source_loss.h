/*
 * RTP packets that are missing, told apart by who lost them: the network, or this host, which drops
 * datagrams while a socket's buffer is full.  Worker, loop thread.  Pure.
 */
#ifndef WORKER_SOURCE_LOSS_H
#define WORKER_SOURCE_LOSS_H

#include <stdint.h>

/* Neither number ever falls. */
struct source_loss {
    uint64_t network; /* packets that never came */
    uint64_t overrun; /* packets that came and found a socket's buffer full */
};

/**
 * Count what is newly missing.
 *
 * @param missing  packets of this connection so far.
 * @param dropped  datagrams that its sockets have dropped so far; some may have been no packets of
 *                 the camera.
 */
void source_loss_count(struct source_loss *loss, uint64_t missing, uint64_t dropped);

/** What two sources have lost together. */
struct source_loss source_loss_sum(const struct source_loss *a, const struct source_loss *b);

#endif /* WORKER_SOURCE_LOSS_H */
