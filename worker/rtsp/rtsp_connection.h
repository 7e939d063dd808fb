/*
 * One connection to a camera: its transport, session and media, and when it has to act next.
 * Worker, loop thread; never blocks.  source_rtsp.c makes one after the other and does the rest.
 */
#ifndef WORKER_RTSP_CONNECTION_H
#define WORKER_RTSP_CONNECTION_H

#include "worker/media/source_loss.h"
#include "worker/rtsp/rtsp_lazy.h"
#include "worker/rtsp/rtsp_media.h"
#include "worker/rtsp/rtsp_session.h"
#include "worker/rtsp/rtsp_transport.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rtsp_connection {
    struct rtsp_transport *transport; /* NULL: none */
    struct rtsp_session *session;     /* NULL until connected */
    struct rtsp_media media;
    bool playing; /* the tracks are set up, PLAY is being sent */
    /* Times by clock_awake_us(); INT64_MAX: never. */
    int64_t udp_silence_by_us; /* when to give up datagrams if none has come */
    int64_t report_at_us;
    struct rtsp_lazy lazy;
    struct source_loss loss;
};

/* No connection: before the first one, and between two. */
extern const struct rtsp_connection rtsp_connection_none;

/** Close it at once.  @param closed  called with ctx later, if it had a transport. */
void rtsp_connection_close(struct rtsp_connection *c, void (*closed)(void *ctx), void *ctx);

/** Send what the session has to say.  The transport may fail meanwhile. */
void rtsp_connection_flush(struct rtsp_connection *c);

/** Say TEARDOWN, if there is a session. */
void rtsp_connection_teardown(struct rtsp_connection *c);

/** @return where to put bytes that arrive.  Borrowed until the next call. */
uint8_t *rtsp_connection_space(struct rtsp_connection *c, size_t *len);

/** Send a track's receiver report.  @param ask_key_frame  ask for a key frame in it, too. */
void rtsp_connection_report(struct rtsp_connection *c, enum rtsp_way way, enum track track,
                            bool ask_key_frame);

/** @return the packets lost so far. */
struct source_loss rtsp_connection_loss(struct rtsp_connection *c);

/** @return when media that wait for a missing packet must go on, clock_awake_us(). */
int64_t rtsp_connection_media_deadline(const struct rtsp_connection *c);

/** @return when something is due, the media's deadline included, clock_awake_us(). */
int64_t rtsp_connection_deadline(const struct rtsp_connection *c);

#endif /* WORKER_RTSP_CONNECTION_H */
