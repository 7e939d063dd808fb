/*
 * Worker process, loop thread: receives the camera and its clients from the master, and reports
 * state and counters back.  The master kills a worker that stops reporting, so a worker whose
 * camera thread hangs withholds its reports.
 */
#include "worker/process/worker.h"

#include "common/clock.h"
#include "common/fd.h"
#include "common/http_reply.h"
#include "common/ipc.h"
#include "common/log.h"
#include "worker/camera/stream.h"
#include "worker/http/departures.h"
#include "worker/process/sandbox.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#define STATS_INTERVAL_MS 1000
/* One pool thread decodes pictures, one renders them. */
#define POOL_THREADS "2"
/* free() returns blocks of at least this size to the system, and trims the free end of a pool
 * thread's arena.  Otherwise glibc would raise its thresholds at the first freed picture. */
#define MMAP_BYTES (512 * 1024)

struct worker {
    uv_loop_t *loop; /* Borrowed */
    int channel;
    uv_poll_t poll;
    uv_timer_t stats;
    enum ipc_phase phase;
    struct stream *stream; /* NULL until assigned */
    bool leaving;
    bool yielding;
    bool unreachable; /* the camera has been unreachable since it last streamed */
    uint64_t clients_seen;
    struct departures departures;
    uv_prepare_t telling; /* tells the master of departures, once per turn of the loop */
};

/* The queue is full only if the master is stuck.  Later messages repeat or replace lost ones. */
static void report(struct worker *w, enum ipc_type type, const void *payload)
{
    int rc = ipc_send(w->channel, type, payload, NULL);
    if (rc != 0 && rc != -EPIPE)
        log_warnx(NULL, "cannot send %s: %s", ipc_desc[type].name, strerrordesc_np(-rc));
}

/* None while the source hangs: the master is to notice (docs/architecture.md). */
static void report_stats(struct worker *w)
{
    struct ipc_stats stats = {0};
    if (w->stream != NULL) {
        if (!stream_is_healthy(w->stream))
            return;
        if (!w->leaving)
            stream_get_stats(w->stream, &stats);
    }
    report(w, IPC_STATS, &stats);
}

/* Departures that do not fit into the channel stay for the next turn, at most a second later. */
static void on_telling(uv_prepare_t *handle)
{
    struct worker *w = handle->data;
    struct ipc_left left;
    while (departures_next(&w->departures, &left) &&
           ipc_send(w->channel, IPC_LEFT, &left, NULL) == 0)
        departures_drop(&w->departures, &left);
}

/* --- leaving -------------------------------------------------------------- */

static void close_handles(struct worker *w)
{
    uv_close((uv_handle_t *)&w->poll, NULL);
    uv_close((uv_handle_t *)&w->stats, NULL);
    uv_close((uv_handle_t *)&w->telling, NULL);
}

static void on_stream_closed(void *ctx)
{
    struct worker *w = ctx;
    w->stream = NULL;
    close_handles(w);
}

static void leave(struct worker *w)
{
    if (w->leaving)
        return;
    w->leaving = true;
    w->phase = IPC_PH_DRAIN;
    if (w->stream != NULL)
        stream_close(w->stream, on_stream_closed, w);
    else
        close_handles(w);
}

static void on_stats(uv_timer_t *timer);

/* --- messages ------------------------------------------------------------- */

#define X(U, l, type, fds, ph) static int on_##l(struct worker *w, const type *m, int *fd);
IPC_TO_WORKER(X)
#undef X

static void on_stream_state(void *ctx, const struct ipc_state *state)
{
    struct worker *w = ctx;
    if (state->state == IPC_CAMERA_STREAMING)
        w->unreachable = false;
    else if (state->error == HTTP_ERROR_CAMERA_UNREACHABLE)
        w->unreachable = true;
    /* Whoever hears that it streams is to know what it streams.  The timer stays in step with the
     * stream's tick. */
    if (state->state == IPC_CAMERA_STREAMING)
        report_stats(w);
    report(w, IPC_STATE, state);
}

static void on_stream_idle(void *ctx)
{
    struct worker *w = ctx;
    const struct ipc_idle idle = {.clients_seen = w->clients_seen};
    report_stats(w); /* the master may dismiss this worker, and then reads no more of it */
    report(w, IPC_IDLE, &idle);
}

static void on_stream_return(void *ctx, const struct ipc_return *connection, int *fd)
{
    struct worker *w = ctx;
    if (ipc_send(w->channel, IPC_RETURN, connection, fd) != 0)
        departures_add(&w->departures, connection->ticket); /* closed: the client connects again */
}

/* The master has descriptors of all clients: nothing is closed here. */
static void on_stream_yielded(void *ctx)
{
    struct worker *w = ctx;
    on_telling(&w->telling);
    report_stats(w);
    _exit(EXIT_SUCCESS); /* threads may run: no exit handlers */
}

static bool settings_ok(const struct ipc_settings *settings)
{
    return settings->access.mode < IPC_ACCESS_MODE_COUNT && settings->log_level < LOG_LEVEL_COUNT &&
           ipc_string_ok(settings->access.list, sizeof(settings->access.list));
}

static int on_assign(struct worker *w, const struct ipc_assign *m, int *fd)
{
    (void)fd;
    if (!ipc_string_ok(m->url, sizeof(m->url)) ||
        !ipc_string_ok(m->camera_id, sizeof(m->camera_id)) || m->transport >= IPC_TRANSPORT_COUNT ||
        !settings_ok(&m->settings))
        return -EPROTO;
    log_set_level((enum log_level)m->settings.log_level);
    char title[sizeof(m->camera_id) + 32];
    (void)snprintf(title, sizeof(title), "cam-httpflv: camera %s", m->camera_id);
    (void)uv_set_process_title(title);
    w->phase = IPC_PH_RUN;
    const struct stream_events events = {on_stream_state, on_stream_idle, on_stream_return,
                                         on_stream_yielded, w};
    int rc = stream_open(w->loop, m, &events, &w->stream);
    /* Right after the stream's tick, which has just begun: one wake-up for both. */
    (void)uv_timer_start(&w->stats, on_stats, STATS_INTERVAL_MS, STATS_INTERVAL_MS);
    return rc;
}

static int on_client(struct worker *w, const struct ipc_client *m, int *fd)
{
    if (!ipc_string_ok(m->camera, sizeof(m->camera)) || !ipc_string_ok(m->peer, sizeof(m->peer)) ||
        !ipc_string_ok(m->origin, sizeof(m->origin)) ||
        !ipc_string_ok(m->if_none_match, sizeof(m->if_none_match)) ||
        m->picture >= IPC_PICTURE_COUNT || m->head_bytes > sizeof(m->bytes) ||
        m->rest_bytes > sizeof(m->bytes) - m->head_bytes)
        return -EPROTO;
    w->clients_seen++;
    if (w->yielding)
        return 0; /* its slot says that it is unanswered */
    if (!w->leaving)
        stream_add_client(w->stream, fd, m);
    else
        departures_add(&w->departures, m->ticket);
    return 0;
}

static int on_settings(struct worker *w, const struct ipc_settings *m, int *fd)
{
    (void)fd;
    if (!settings_ok(m))
        return -EPROTO;
    log_set_level((enum log_level)m->log_level);
    if (!w->leaving && !w->yielding)
        stream_set_settings(w->stream, m);
    return 0;
}

static int on_leave(struct worker *w, const struct ipc_leave *m, int *fd)
{
    (void)m;
    (void)fd;
    leave(w);
    return 0;
}

static int on_yield(struct worker *w, const struct ipc_yield *m, int *fd)
{
    (void)fd;
    if (w->leaving || w->yielding)
        return 0;
    w->yielding = true;
    stream_yield(w->stream, m->grace_ms);
    return 0;
}

static int on_drain(struct worker *w, const struct ipc_drain *m, int *fd)
{
    (void)m; /* the master keeps the time, and kills a worker that is not gone by then */
    (void)fd;
    leave(w);
    return 0;
}

static int dispatch(struct worker *w, struct ipc_msg *msg)
{
    switch ((enum ipc_type)msg->hdr.type) {
#define X(U, l, type, fds, ph) \
    case IPC_##U:              \
        return on_##l(w, (const type *)(const void *)msg->payload, &msg->fd);
        IPC_TO_WORKER(X)
#undef X
    default:
        return -EPROTO; /* a message for another receiver */
    }
}

/* The kernel kills us with the master, but this may come first.  The next master goes on with our
 * clients if systemd has them (master/fd_store.h), so none is ended here. */
static void on_master_gone(struct worker *w)
{
    if (w->stream != NULL)
        _exit(EXIT_SUCCESS); /* threads may run: no exit handlers */
    (void)uv_poll_stop(&w->poll);
    leave(w);
}

static void on_broken_channel(struct worker *w, int error)
{
    log_warnx(NULL, "leaving: %s", strerrordesc_np(error));
    (void)uv_poll_stop(&w->poll);
    leave(w);
}

/* Count a lost client too: the master counted it as sent, and lets us exit if the counts agree. */
static void on_client_lost(struct worker *w, const struct ipc_msg *msg)
{
    static struct log_limit limit;
    unsigned suppressed;
    w->clients_seen++;
    departures_add(&w->departures, ((const struct ipc_client *)(const void *)msg->payload)->ticket);
    if (log_limit_pass(&limit, 1, 1000, &suppressed))
        log_errorx(NULL, "no descriptor left: a client was lost (%u more)", suppressed);
}

static void on_channel(uv_poll_t *handle, int status, int events)
{
    (void)events;
    struct worker *w = handle->data;
    struct ipc_msg msg;
    int rc = status < 0 ? 0 : 1;
    while (rc == 1 && !uv_is_closing((uv_handle_t *)handle)) {
        rc = ipc_recv(w->channel, w->phase, &msg);
        if (rc != 1)
            break;
        rc = dispatch(w, &msg);
        ipc_msg_free(&msg);
        if (rc != 0)
            break;
        rc = 1;
    }
    if (rc == -EMFILE)
        on_client_lost(w, &msg);
    else if (rc == 0 || rc == -ECONNRESET) /* it left messages unread */
        on_master_gone(w);
    else if (rc < 0 && rc != -EAGAIN)
        on_broken_channel(w, -rc);
}

static void on_stats(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    report_stats(w);
    if (w->unreachable && !w->leaving && sandbox_is_outdated()) {
        log_warnx(NULL, "leaving: the files that tell where names lead were replaced");
        leave(w); /* the next client, or always_on, gets a worker that can read the new files */
    }
}

int worker_take_memory(int channel, struct handover **out)
{
    struct ipc_msg msg;
    int rc = ipc_recv(channel, IPC_PH_FORKED, &msg);
    if (rc != 1)
        return rc == 0 ? -EPIPE : rc;
    rc = handover_open(msg.fd, out);
    ipc_msg_free(&msg);
    return rc;
}

int worker_run(uv_loop_t *loop, int channel, struct handover *handover)
{
    struct worker w = {.loop = loop, .channel = channel, .phase = IPC_PH_BOOT};
    w.departures.handover = handover;
    (void)setenv("UV_THREADPOOL_SIZE", POOL_THREADS, 0); /* before the pool starts */
    (void)mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
    (void)uv_poll_init(loop, &w.poll, w.channel);
    (void)uv_timer_init(loop, &w.stats);
    (void)uv_prepare_init(loop, &w.telling);
    loop->data = &w.departures; /* cppcheck-suppress autoVariables ; the loop is closed below */
    w.poll.data = w.stats.data = w.telling.data = &w;
    (void)uv_prepare_start(&w.telling, on_telling);
    (void)uv_poll_start(&w.poll, UV_READABLE, on_channel);
    (void)uv_timer_start(&w.stats, on_stats, STATS_INTERVAL_MS, STATS_INTERVAL_MS);

    const struct ipc_ready ready = {.version = IPC_VERSION, .pid = (uint32_t)getpid()};
    report(&w, IPC_READY, &ready);
    (void)uv_run(loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(loop);
    departures_clear(&w.departures);
    fd_close(&w.channel);
    return EXIT_SUCCESS;
}
