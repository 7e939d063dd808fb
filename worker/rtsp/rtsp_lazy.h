/*
 * Reads seldom from a camera that nobody watches: media wait in the sockets meanwhile.  Datagrams
 * wait only while the sockets have room for them, and not at all on a connection whose sockets have
 * dropped some meanwhile.  What the network loses does not count.  Worker, loop thread.
 */
#ifndef WORKER_RTSP_LAZY_H
#define WORKER_RTSP_LAZY_H

#include "worker/rtsp/rtsp_patience.h"
#include "worker/rtsp/rtsp_transport.h"

/* At first {.at_us = INT64_MAX}. */
struct rtsp_lazy {
    int64_t at_us;     /* when to read next, by clock_awake_us(); INT64_MAX: not lazy */
    uint64_t overruns; /* datagrams that the sockets dropped before it became lazy */
    bool overran;      /* they dropped some while it was lazy */
};

/** Is the camera read seldom, because nobody watches? */
bool rtsp_lazy_is_on(const struct rtsp_lazy *lazy);

/**
 * Is it time to read?
 *
 * @param media_at_us  when media that have been read stop waiting for what is missing, which may
 *                     have come by now: reading comes first.  By clock_awake_us(), as now_us.
 */
bool rtsp_lazy_is_due(const struct rtsp_lazy *lazy, int64_t media_at_us, int64_t now_us);

/** Become lazy, if nothing is lost by it. */
void rtsp_lazy_begin(struct rtsp_lazy *lazy, struct rtsp_transport *transport,
                     const struct rtsp_patience *patience);

/** Set when to read next: now it is read. */
void rtsp_lazy_reading(struct rtsp_lazy *lazy, const struct rtsp_transport *transport,
                       const struct rtsp_patience *patience);

/** It was read: become eager if datagrams were dropped, or no longer fit. */
void rtsp_lazy_check(struct rtsp_lazy *lazy, struct rtsp_transport *transport);

/** Become eager. */
void rtsp_lazy_end(struct rtsp_lazy *lazy, struct rtsp_transport *transport);

#endif /* WORKER_RTSP_LAZY_H */
