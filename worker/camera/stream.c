#include "worker/camera/stream.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/log.h"
#include "common/url.h"
#include "common/url_redact.h"
#include "common/xalloc.h"
#include "worker/audio/audio_format.h"
#include "worker/camera/backoff.h"
#include "worker/camera/camera_state.h"
#include "worker/camera/held_clients.h"
#include "worker/camera/ingest.h"
#include "worker/camera/source.h"
#include "worker/http/client_return.h"
#include "worker/media/video_codec.h"
#include "worker/viewers/outputs.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REFUSED_MS INT64_C(300000)
#define TICK_MS 1000
#define YIELD_POLL_MS 10
/* How long after the source's own deadlines the loop gives up on the source's thread. */
#define GRACE_MS 1000
/* Reading becomes lazy so long after the last request.  A snapshot's connection stays here for
 * less, and its next request comes without notice. */
#define LAZY_AFTER_MS 1500
/* Requests wait so long for what has gathered, if the source does not say that it has been read. */
#define HOLD_MS 200
#define HELD_MAX 512 /* requests beyond this do not wait */
/* How long an unreachable camera without viewers is kept. */
#define FAILED_IDLE_MS 1000
/* A source that has not ended this long after it was told to has hung. */
#define SOURCE_OVERDUE_MS 5000

struct stream {
    uv_loop_t *loop;
    struct stream_events events;
    struct ipc_limits limits;
    struct source_params params;
    struct source_memory memory;
    struct camera_url url;   /* secret */
    char shown[IPC_URL_MAX]; /* redacted */
    bool always_on;
    bool expects_clients; /* of another camera, when this one streams */

    enum ipc_camera_state state;
    struct source *source; /* NULL: not connected */
    bool source_closing;
    struct ingest *ingest;
    struct client_return back; /* for the outputs */
    struct outputs *outputs;
    struct held_clients held; /* requests that wait for on_caught_up() */
    uv_timer_t hold;          /* the longest that they wait */
    uv_timer_t retry;
    uv_timer_t tick;
    struct closing closing; /* hold, retry, tick, outputs, source */

    unsigned attempts;     /* failed ones since the last frame */
    uint32_t connections;  /* attempts that succeeded */
    enum http_error error; /* why the last attempt failed; NONE while all is well */
    char detail[SOURCE_DETAIL_MAX];
    int64_t connecting_since_ms;
    uint64_t pictures_in;     /* pictures of this connection, at the last tick */
    uint32_t pictures_rate;   /* pictures between the last two ticks */
    int64_t lost_ms;          /* since when playing viewers lack a picture; 0: they have one */
    int64_t refused_until_ms; /* no attempt before this: the camera rejected the password */
    int64_t yield_by_ms;      /* 0: not yielding */
    int64_t asked_ms;         /* when the last request came */
    int64_t wanted_ms;        /* when the camera last had a viewer, or was always on */

    struct source_loss loss; /* on connections that have ended */
    uint64_t frames_refused; /* likewise */
    uint64_t frames_in;
    uint64_t frames_damaged;
    uint64_t frames_left_out;
    int64_t picture_us; /* clock_us() when the newest picture came; 0: none has come */
    int64_t key_dts_us; /* the newest key frame's; INT64_MIN: none */
    uint32_t key_frame_interval_ms;
    struct codec_config *video; /* the newest; we hold a reference */
    enum AVCodecID audio_codec; /* the camera's; NONE: no sound, or not known yet */
};

static void connect_now(struct stream *s);

/* --- state ---------------------------------------------------------------- */

static void report_state(struct stream *s, uint32_t retry_ms)
{
    const struct ipc_state report = {
        .state = (uint32_t)s->state,
        .error = (uint32_t)s->error,
        .retry_ms = retry_ms,
        .restarts = s->connections > 0 ? s->connections - 1 : 0,
    };
    s->events.on_state(s->events.ctx, &report);
}

static void set_state(struct stream *s, enum ipc_camera_state state, uint32_t retry_ms)
{
    if (s->state == state)
        return;
    assert(camera_state_may(s->state, state));
    log_info(NULL, "camera %s -> %s", ipc_camera_state_name(s->state),
             ipc_camera_state_name(state));
    s->state = state;
    report_state(s, retry_ms);
}

static size_t clients(const struct stream *s)
{
    return outputs_waiting(s->outputs) + outputs_streaming(s->outputs) + s->held.count;
}

static void release_held(struct stream *s)
{
    (void)uv_timer_stop(&s->hold);
    held_clients_release(&s->held, s->outputs);
}

static bool is_refused(const struct stream *s)
{
    return clock_ms() < s->refused_until_ms;
}

/* --- connecting ----------------------------------------------------------- */

static int64_t until_next_attempt_ms(const struct stream *s)
{
    return backoff_least_ms(s->connecting_since_ms, clock_ms());
}

static int64_t delay_ms(const struct stream *s)
{
    bool watched = outputs_streaming(s->outputs) > 0 && s->error != HTTP_ERROR_CAMERA_TIMEOUT;
    uint32_t random = 0;
    (void)uv_random(NULL, NULL, &random, sizeof(random), 0, NULL);
    int64_t ms = backoff_ms(s->attempts, watched, random);
    int64_t least_ms = until_next_attempt_ms(s);
    return ms > least_ms ? ms : least_ms;
}

static void on_retry(uv_timer_t *timer)
{
    connect_now(timer->data);
}

static void connect_in(struct stream *s, int64_t ms)
{
    set_state(s, IPC_CAMERA_BACKOFF, (uint32_t)ms);
    (void)uv_timer_start(&s->retry, on_retry, (uint64_t)ms, 0);
}

/* Connect as soon as permitted; no attempt may be under way. */
static void connect_soon(struct stream *s)
{
    int64_t wait_ms = until_next_attempt_ms(s);
    if (wait_ms > 0)
        connect_in(s, wait_ms);
    else
        connect_now(s);
}

/* The source is closed: connect again, or become idle. */
static void after_attempt(struct stream *s)
{
    if (s->yield_by_ms != 0)
        return;
    if (s->closing.asked || is_refused(s)) {
        set_state(s, IPC_CAMERA_IDLE, is_refused(s) ? REFUSED_MS : 0);
    } else if (outputs_waiting(s->outputs) > 0) {
        connect_soon(s); /* they came after the attempt had failed */
    } else if (s->always_on || outputs_streaming(s->outputs) > 0) {
        connect_in(s, delay_ms(s));
    } else {
        set_state(s, IPC_CAMERA_IDLE, 0);
    }
}

/* A part has closed: free the stream after the last one. */
static void release(struct stream *s)
{
    if (!closing_release(&s->closing))
        return;
    ingest_free(&s->ingest);
    codec_config_unref(&s->video);
    explicit_bzero(&s->url, sizeof(s->url));
    closing_finish(&s->closing, s);
}

static void on_source_closed(void *ctx)
{
    struct stream *s = ctx;
    s->source = NULL;
    s->source_closing = false;
    after_attempt(s);
    release(s);
}

/* Is there a connection, or an attempt to make one? */
static bool has_source(const struct stream *s)
{
    return s->source != NULL && !s->source_closing;
}

static struct source_loss loss_of(const struct stream *s)
{
    struct source_loss loss = has_source(s) ? source_get_loss(s->source) : (struct source_loss){0};
    return source_loss_sum(&s->loss, &loss);
}

static void leave_camera(struct stream *s)
{
    (void)uv_timer_stop(&s->retry);
    release_held(s);
    if (!has_source(s))
        return;
    s->loss = loss_of(s);
    s->frames_refused += source_frames_refused(s->source);
    s->source_closing = true;
    outputs_disconnected(s->outputs);
    source_close(s->source, on_source_closed, s);
}

static void attempt_failed(struct stream *s, enum http_error error, const char *detail)
{
    if (s->state == IPC_CAMERA_STREAMING)
        s->lost_ms = clock_ms();
    else
        s->attempts++;
    s->error = error;
    (void)snprintf(s->detail, sizeof(s->detail), "%s", detail);
    log_warnx(NULL, "%s: %s: %s",
              s->state == IPC_CAMERA_STREAMING ? "camera lost" : "cannot connect",
              http_error_code(error), detail);
    if (error == HTTP_ERROR_CAMERA_UNAUTHORIZED) {
        s->refused_until_ms = clock_ms() + REFUSED_MS;
        outputs_close_streaming(s->outputs, error, "the camera rejects the password");
    }
    set_state(s, IPC_CAMERA_BACKOFF, 0);
    release_held(s);
    outputs_fail_waiting(s->outputs, INT64_MAX, error, detail);
    leave_camera(s);
}

/* --- the source's events -------------------------------------------------- */

static void on_source_tracks(void *ctx, enum AVCodecID camera_audio, struct codec_config *audio)
{
    struct stream *s = ctx;
    s->audio_codec = camera_audio;
    if (s->state == IPC_CAMERA_CONNECTING)
        report_state(s, 0); /* the first picture may take seconds: other logins wait (ipc.h) */
    outputs_set_tracks(s->outputs, audio);
}

static void on_first_frame(struct stream *s, const struct frame *frame)
{
    s->key_dts_us = INT64_MIN; /* a pause does not count as an interval */
    log_info(NULL, "first frame %lld ms after connecting",
             (long long)(clock_ms() - s->connecting_since_ms));
    s->connections++;
    s->attempts = 0;
    s->lost_ms = 0;
    s->error = HTTP_ERROR_NONE;
    set_state(s, IPC_CAMERA_STREAMING, 0);
    if (frame->damaged) {
        log_info(NULL, "the first key frame has lost packets: a whole one is waited for");
        source_ask_key_frame(s->source);
    }
}

static void on_key_frame(struct stream *s, int64_t dts_us)
{
    if (s->key_dts_us != INT64_MIN && dts_us > s->key_dts_us)
        s->key_frame_interval_ms = (uint32_t)((dts_us - s->key_dts_us) / 1000);
    s->key_dts_us = dts_us;
}

static void on_source_frame(void *ctx, struct frame *frame)
{
    struct stream *s = ctx;
    s->frames_in++;
    if (frame->track == TRACK_VIDEO) {
        s->picture_us = clock_us();
        s->frames_damaged += frame->damaged;
        s->frames_left_out += frame->left_out;
        if (frame->config != s->video) {
            codec_config_unref(&s->video);
            s->video = codec_config_ref(frame->config);
        }
        if (s->state == IPC_CAMERA_CONNECTING)
            on_first_frame(s, frame);
        if (frame->key)
            on_key_frame(s, frame->dts_us);
    }
    outputs_push(s->outputs, frame);
}

static void on_caught_up(void *ctx)
{
    release_held(ctx);
}

static void on_source_end(void *ctx, enum http_error error, const char *detail)
{
    attempt_failed(ctx, error, detail);
}

static void connect_now(struct stream *s)
{
    assert(s->source == NULL);
    (void)uv_timer_stop(&s->retry); /* a viewer came before the attempt was due */
    s->connecting_since_ms = clock_ms();
    s->pictures_in = 0;
    set_state(s, IPC_CAMERA_CONNECTING, 0);
    const struct source_events events = {
        .output = {on_source_tracks, on_source_frame, s},
        .on_caught_up = on_caught_up,
        .on_end = on_source_end,
        .ctx = s,
    };
    closing_hold(&s->closing);
    s->source = source_open(s->loop, &s->params, s->ingest, &events);
}

/* --- once a second -------------------------------------------------------- */

static bool is_connecting(const struct stream *s)
{
    return s->state == IPC_CAMERA_CONNECTING && s->source != NULL && !s->source_closing;
}

/* Is the camera connected, with a key frame or any picture still to come?  It stays connected, so
 * that the next viewer finds it ready, and is asked for a key frame. */
static bool waits_for_picture(struct stream *s)
{
    if (!is_connecting(s))
        return false;
    uint64_t pictures_in = ingest_pictures_in(s->ingest);
    s->pictures_rate = (uint32_t)(pictures_in - s->pictures_in);
    s->pictures_in = pictures_in;
    if (s->pictures_rate > 0)
        source_ask_key_frame(s->source);
    return s->pictures_rate > 0 || source_awaits_picture(s->source);
}

/* What is missing while waits_for_picture(). */
static const char *missing(const struct stream *s, char *text, size_t size)
{
    if (s->pictures_rate > 0)
        (void)snprintf(text, size, "no key frame yet, %u pictures/s arrive", s->pictures_rate);
    else
        (void)snprintf(text, size, "no picture yet, sound arrives");
    return text;
}

/* The source's own deadlines have not fired: its thread hangs where no interrupt reaches it, for
 * example in a name look-up. */
static bool connecting_for_too_long(const struct stream *s)
{
    return is_connecting(s) &&
           clock_ms() - s->connecting_since_ms > s->limits.connect_timeout_ms + GRACE_MS;
}

static bool is_wanted(const struct stream *s)
{
    return clients(s) > 0 || s->always_on || (s->expects_clients && is_connecting(s));
}

static void check_idle(struct stream *s)
{
    int64_t now_ms = clock_ms();
    if (is_wanted(s)) {
        s->wanted_ms = now_ms;
        return;
    }
    bool connected = s->state == IPC_CAMERA_STREAMING || s->state == IPC_CAMERA_CONNECTING;
    int64_t idle_ms = connected ? s->limits.idle_timeout_ms : FAILED_IDLE_MS;
    if (now_ms - s->wanted_ms < idle_ms)
        return;
    if (s->source != NULL || s->state == IPC_CAMERA_BACKOFF)
        set_state(s, IPC_CAMERA_IDLE, 0);
    leave_camera(s);
    outputs_give_back(s->outputs); /* before the master may dismiss this worker */
    s->events.on_idle(s->events.ctx);
}

/* Read seldom while nobody watches: in this tick, and once before the next. */
static void be_lazy(struct stream *s)
{
    if (s->state == IPC_CAMERA_STREAMING && !s->source_closing && clients(s) == 0 &&
        clock_ms() - s->asked_ms > LAZY_AFTER_MS)
        (void)source_set_lazy(s->source, true);
}

static void on_tick(uv_timer_t *timer)
{
    struct stream *s = timer->data;
    if (s->yield_by_ms != 0)
        return;
    char text[SOURCE_DETAIL_MAX];
    bool waits = waits_for_picture(s);
    be_lazy(s);
    if (!waits && connecting_for_too_long(s))
        attempt_failed(s, HTTP_ERROR_CAMERA_TIMEOUT, "no answer within the time for connecting");
    if (s->lost_ms != 0 && clock_ms() - s->lost_ms > s->limits.reconnect_window_ms)
        outputs_close_streaming(s->outputs, s->error, "the camera did not come back");
    outputs_fail_waiting(
        s->outputs, clock_ms() - s->limits.connect_timeout_ms - GRACE_MS, HTTP_ERROR_CAMERA_TIMEOUT,
        waits ? missing(s, text, sizeof(text)) : "no picture within the time for connecting");
    outputs_check(s->outputs);
    check_idle(s);
}

/* --- life ----------------------------------------------------------------- */

static void take_settings(struct stream *s, const struct ipc_settings *settings)
{
    s->limits = settings->limits;
    s->always_on = settings->always_on != 0;
    s->params.tls_insecure = settings->tls_insecure != 0;
    s->params.access = settings->access;
}

int stream_open(uv_loop_t *loop, const struct ipc_assign *assign,
                const struct stream_events *events, struct stream **out)
{
    struct camera_url url;
    const char *reason;
    int rc = url_parse(&url, assign->url, strlen(assign->url), &reason);
    if (rc != 0)
        return -EINVAL;

    struct stream *s = xcalloc(1, sizeof(*s));
    s->loop = loop;
    s->events = *events;
    s->url = url;
    (void)url_redact(&url, s->shown);
    s->params = (struct source_params){
        .url = &s->url,
        .transport = (enum ipc_transport)assign->transport,
        .limits = &s->limits,
        .memory = &s->memory,
    };
    take_settings(s, &assign->settings);
    s->state = IPC_CAMERA_IDLE;
    s->key_dts_us = INT64_MIN;
    s->wanted_ms = clock_ms();
    s->ingest = ingest_new();
    s->back = (struct client_return){s->events.on_return, s->events.ctx};
    s->outputs = outputs_new(loop, &s->limits, s->shown, &s->back);
    (void)uv_timer_init(loop, &s->hold);
    (void)uv_timer_init(loop, &s->retry);
    (void)uv_timer_init(loop, &s->tick);
    for (int i = 0; i < 4; i++)
        closing_hold(&s->closing); /* outputs and timers */
    s->hold.data = s->retry.data = s->tick.data = s;
    (void)uv_timer_start(&s->tick, on_tick, TICK_MS, TICK_MS);
    log_info(NULL, "camera %s", s->shown);
    s->expects_clients = assign->connect != 0;
    if (s->always_on || s->expects_clients)
        connect_now(s);
    *out = s;
    return 0;
}

void stream_set_settings(struct stream *stream, const struct ipc_settings *settings)
{
    take_settings(stream, settings);
    if (has_source(stream))
        source_limits_changed(stream->source);
    outputs_limits_changed(stream->outputs);
    if (stream->always_on && stream->source == NULL && stream->state == IPC_CAMERA_IDLE &&
        !is_refused(stream))
        connect_soon(stream);
}

static void on_held_for_long(uv_timer_t *timer)
{
    release_held(timer->data);
}

static void hold_client(struct stream *s, int *fd, const struct ipc_client *request)
{
    if (s->held.count == 0)
        (void)uv_timer_start(&s->hold, on_held_for_long, HOLD_MS, 0);
    held_clients_add(&s->held, fd, request);
}

void stream_add_client(struct stream *stream, int *fd, const struct ipc_client *request)
{
    stream->asked_ms = stream->wanted_ms = clock_ms();
    bool gathered = has_source(stream) && source_set_lazy(stream->source, false);
    /* Pictures want the newest one, and streams begin at it. */
    if (gathered && request->resumed == 0 && stream->held.count < HELD_MAX) {
        hold_client(stream, fd, request);
        return;
    }
    outputs_add_client(stream->outputs, fd, request);
    if (request->resumed != 0 && stream->state != IPC_CAMERA_STREAMING && stream->lost_ms == 0)
        stream->lost_ms = clock_ms(); /* its picture stands still since the other worker ended */
    if (is_refused(stream))
        outputs_fail_waiting(stream->outputs, INT64_MAX, stream->error, stream->detail);
    else if (stream->source == NULL) /* idle, or waiting for the next attempt */
        connect_soon(stream);
}

static void on_yielding(uv_timer_t *timer)
{
    struct stream *s = timer->data;
    if ((s->source == NULL && outputs_are_whole(s->outputs)) || clock_ms() > s->yield_by_ms)
        s->events.on_yielded(s->events.ctx);
}

void stream_yield(struct stream *stream, uint32_t grace_ms)
{
    log_info(NULL, "making way for another worker");
    stream->yield_by_ms = clock_ms() + grace_ms;
    leave_camera(stream);
    (void)uv_timer_start(&stream->retry, on_yielding, 0, YIELD_POLL_MS);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void on_outputs_closed(void *ctx)
{
    release(ctx);
}

void stream_close(struct stream *stream, void (*closed)(void *ctx), void *ctx)
{
    (void)closing_ask(&stream->closing, closed, ctx); /* the timers are held */
    leave_camera(stream);
    outputs_fail_waiting(stream->outputs, INT64_MAX, HTTP_ERROR_DRAINING, "the server is stopping");
    uv_close((uv_handle_t *)&stream->hold, on_timer_closed);
    uv_close((uv_handle_t *)&stream->retry, on_timer_closed);
    uv_close((uv_handle_t *)&stream->tick, on_timer_closed);
    outputs_close(stream->outputs, on_outputs_closed, stream);
}

void stream_get_stats(const struct stream *stream, struct ipc_stats *stats)
{
    const struct codec_config *v = stream->video;
    struct fanout_stats out = outputs_stats(stream->outputs);
    struct rendition_stats transcoder = outputs_transcoder_stats(stream->outputs);
    struct source_loss loss = loss_of(stream);
    *stats = (struct ipc_stats){
        .bytes_in = ingest_bytes_in(stream->ingest),
        .bytes_out = out.bytes_out,
        .frames_in = stream->frames_in,
        .frames_dropped = out.frames_skipped,
        .gop_overflows = out.gop_overflows,
        .packets_lost = loss.network,
        .packets_overrun = loss.overrun,
        .frames_damaged = stream->frames_damaged,
        .frames_left_out = stream->frames_left_out,
        .frames_refused = stream->frames_refused,
        .transcoder_dropped = transcoder.frames_dropped,
        .transcoder_late = transcoder.frames_late,
        .clients_refused = out.refused,
        .join = out.join,
        .snapshot = outputs_snapshot_times(stream->outputs),
        .key_frame_interval_ms = stream->key_frame_interval_ms,
        .viewers =
            (uint32_t)(clients(stream) - outputs_snapshots(stream->outputs) - stream->held.count),
        .audio_codec = audio_format_fourcc(stream->audio_codec),
        .picture_us = stream->picture_us,
        .no_audio = stream->state == IPC_CAMERA_STREAMING ? ingest_no_audio(stream->ingest) : 0,
    };
    if (has_source(stream))
        stats->frames_refused += source_frames_refused(stream->source);
    if (v != NULL) {
        stats->video_codec = video_codec_fourcc(v->codec);
        stats->width = (uint32_t)v->width;
        stats->height = (uint32_t)v->height;
        if (v->frame_rate_num > 0)
            stats->frame_rate_mhz = (uint32_t)(1000LL * v->frame_rate_num /
                                               (v->frame_rate_den > 0 ? v->frame_rate_den : 1));
    }
}

bool stream_is_healthy(const struct stream *stream)
{
    return stream->source == NULL || source_overdue_ms(stream->source) < SOURCE_OVERDUE_MS;
}
