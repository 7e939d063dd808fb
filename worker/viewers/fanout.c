#include "worker/viewers/fanout.h"

#include "common/clock.h"
#include "common/closing.h"
#include "common/histogram.h"
#include "common/xalloc.h"
#include "worker/http/client_set.h"

#define CHECK_INTERVAL_MS 1000
#define HANDLES 3           /* hold, check and idle */
#define CATCH_UP_AT_ONCE 16 /* parts of backlogs, about 64 KiB each */

struct fanout {
    struct client_env env;
    struct frame_ring *ring;
    struct frame_ring *held; /* the beginning of a stream, while a whole key frame is waited for */
    const struct ipc_limits *limits;
    struct client_set clients;
    bool has_tracks;
    struct codec_config *audio; /* one reference, or NULL */
    int64_t first_us;           /* arrival of the camera's first picture; INT64_MIN: none yet */
    bool holding;               /* that was damaged, and no whole key frame has come in time */
    uv_timer_t hold;            /* audio is waiting for the next video frame */
    uv_timer_t check;
    uv_idle_t idle;            /* runs while a viewer has a backlog */
    size_t next_turn;          /* index of the viewer whose turn was last */
    struct client_totals gone; /* totals of viewers that have left */
    struct ipc_histogram join;
    struct closing closing; /* parts: each client and each handle */
};

static void on_part_closed(struct fanout *f)
{
    if (!closing_release(&f->closing))
        return;
    codec_config_unref(&f->audio);
    frame_ring_free(&f->ring);
    frame_ring_free(&f->held);
    client_set_clear(&f->clients);
    refusal_log_flush(&f->env.refusals, "viewer refused");
    closing_finish(&f->closing, f);
}

/* The caller releases its part. */
static void remove_client(struct fanout *f, struct client *client)
{
    client_set_remove(&f->clients, client);
    if (f->clients.count <= FANOUT_FEW_AGAIN)
        f->env.sound_held_us = 0;
}

static void on_client_closed(void *ctx, struct client *client)
{
    struct fanout *f = ctx;
    struct client_totals t = client_totals(client);
    f->gone.bytes += t.bytes;
    f->gone.frames_skipped += t.frames_skipped;
    remove_client(f, client);
    on_part_closed(f);
}

static void flush_all(struct fanout *f)
{
    (void)uv_timer_stop(&f->hold);
    for (size_t i = 0; i < f->clients.count; i++)
        client_flush(f->clients.items[i]);
}

/*
 * Write a few parts of backlogs (of viewers who join or whose sockets were full), then let the loop
 * poll for events: new frames and new viewers wait a millisecond, not until all backlogs are sent.
 */
static void on_idle(uv_idle_t *idle)
{
    struct fanout *f = idle->data;
    int written = 0;
    for (size_t seen = 0; seen < f->clients.count && written < CATCH_UP_AT_ONCE; seen++) {
        f->next_turn = f->next_turn + 1 < f->clients.count ? f->next_turn + 1 : 0;
        written += client_catch_up(f->clients.items[f->next_turn]);
    }
    if (written == 0)
        (void)uv_idle_stop(idle);
}

static void on_backlog(void *ctx)
{
    struct fanout *f = ctx;
    if (!f->closing.asked)
        (void)uv_idle_start(&f->idle, on_idle);
}

static void on_hold(uv_timer_t *timer)
{
    flush_all(timer->data);
}

/* Can a viewer be answered: are the tracks known, and is there a frame to begin with? */
static bool ready(const struct fanout *f)
{
    return f->has_tracks && frame_ring_newest_picture(f->ring) != NULL;
}

/* Viewers get what was held; the sound alone, if a whole key frame follows. */
static void release_held(struct fanout *f, bool pictures, int64_t now_us)
{
    f->holding = false;
    frame_ring_excuse_lag(f->ring, now_us);
    for (uint64_t seq = frame_ring_tail(f->held); seq < frame_ring_head(f->held); seq++) {
        struct frame *frame = frame_ring_get(f->held, seq);
        if (pictures || frame->track == TRACK_AUDIO)
            frame_ring_push(f->ring, frame_ref(frame));
    }
    frame_ring_clear(f->held);
}

static void end_whole_key_wait(struct fanout *f, int64_t now_us)
{
    if (f->holding && now_us - f->first_us >= FANOUT_WHOLE_KEY_WAIT_US)
        release_held(f, true, now_us);
}

/* Viewers begin with a damaged key frame only if no whole one comes in time. */
static void judge_beginning(struct fanout *f, const struct frame *picture)
{
    if (f->first_us == INT64_MIN) {
        f->first_us = picture->received_us;
        f->holding = picture->damaged;
    } else if (f->holding && picture->key && !picture->damaged) {
        release_held(f, false, picture->received_us);
    }
    end_whole_key_wait(f, picture->received_us);
}

static void start_client(struct fanout *f, struct client *c)
{
    bool joins = client_get_state(c) == CLIENT_WAITING;
    int64_t accepted_us = client_request(c)->accepted_us;
    client_start(c, f->audio);
    if (joins && client_get_state(c) == CLIENT_STREAMING)
        histogram_add(&f->join, clock_us() - accepted_us);
}

static void start_waiting(struct fanout *f)
{
    for (size_t i = 0; i < f->clients.count; i++) {
        if (client_awaits_start(f->clients.items[i]) && ready(f))
            start_client(f, f->clients.items[i]);
    }
}

static void on_check(uv_timer_t *timer)
{
    struct fanout *f = timer->data;
    int64_t now_ms = clock_ms();
    if (f->holding) {
        end_whole_key_wait(f, clock_us()); /* the next picture may be long in coming */
        start_waiting(f);
        flush_all(f);
    }
    for (size_t i = 0; i < f->clients.count; i++)
        client_check(f->clients.items[i], now_ms);
}

struct fanout *fanout_new(uv_loop_t *loop, const struct ipc_limits *limits, const char *camera)
{
    struct fanout *f = xcalloc(1, sizeof(*f));
    f->limits = limits;
    f->first_us = INT64_MIN;
    f->ring = frame_ring_new(limits->gop_max_bytes, (int64_t)limits->queue_max_ms * 1000);
    f->held = frame_ring_new(limits->gop_max_bytes, (int64_t)limits->queue_max_ms * 1000);
    f->env = (struct client_env){.loop = loop,
                                 .ring = f->ring,
                                 .limits = limits,
                                 .camera = camera,
                                 .on_closed = on_client_closed,
                                 .on_backlog = on_backlog,
                                 .ctx = f};
    (void)uv_timer_init(loop, &f->hold);
    (void)uv_timer_init(loop, &f->check);
    (void)uv_idle_init(loop, &f->idle);
    f->hold.data = f->check.data = f->idle.data = f;
    for (int handle = 0; handle < HANDLES; handle++)
        closing_hold(&f->closing);
    (void)uv_timer_start(&f->check, on_check, CHECK_INTERVAL_MS, CHECK_INTERVAL_MS);
    return f;
}

static void on_handle_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

void fanout_close(struct fanout *fanout, void (*closed)(void *ctx), void *ctx)
{
    (void)closing_ask(&fanout->closing, closed, ctx); /* its handles are parts */
    for (size_t i = 0; i < fanout->clients.count; i++)
        client_close(fanout->clients.items[i], "the server closes");
    uv_close((uv_handle_t *)&fanout->hold, on_handle_closed);
    uv_close((uv_handle_t *)&fanout->check, on_handle_closed);
    uv_close((uv_handle_t *)&fanout->idle, on_handle_closed);
}

void fanout_limits_changed(struct fanout *fanout)
{
    int64_t lag_us = (int64_t)fanout->limits->queue_max_ms * 1000;
    frame_ring_set_limits(fanout->ring, fanout->limits->gop_max_bytes, lag_us);
    frame_ring_set_limits(fanout->held, fanout->limits->gop_max_bytes, lag_us);
}

static void take_client(struct fanout *f, struct client *c)
{
    client_set_add(&f->clients, c);
    closing_hold(&f->closing);
    if (f->clients.count > FANOUT_FEW)
        f->env.sound_held_us = FANOUT_AUDIO_HOLD_MS * INT64_C(1000);
    if (ready(f) && client_awaits_start(c))
        start_client(f, c);
}

void fanout_add(struct fanout *fanout, int *fd, const struct ipc_client *request)
{
    take_client(fanout, client_open(&fanout->env, fd, request));
}

static bool is_served(const struct client *c)
{
    enum client_state state = client_get_state(c);
    return state == CLIENT_WAITING || state == CLIENT_STREAMING;
}

bool fanout_any(const struct fanout *fanout, bool (*wanted)(void *ctx, const struct client *client),
                void *ctx)
{
    for (size_t i = 0; i < fanout->clients.count; i++)
        if (is_served(fanout->clients.items[i]) && wanted(ctx, fanout->clients.items[i]))
            return true;
    return false;
}

void fanout_move(struct fanout *from, struct fanout *to,
                 bool (*wanted)(void *ctx, const struct client *client), void *ctx)
{
    for (size_t i = from->clients.count; i-- > 0;) {
        struct client *c = from->clients.items[i];
        if (!is_served(c) || !wanted(ctx, c))
            continue;
        client_move(c, &to->env);
        remove_client(from, c);
        (void)closing_release(&from->closing); /* its handles are parts, too */
        take_client(to, c);
    }
}

void fanout_set_tracks(struct fanout *fanout, struct codec_config *audio)
{
    if (fanout->has_tracks && (audio == NULL) != (fanout->audio == NULL))
        fanout_close_streaming(fanout, HTTP_ERROR_NONE, "the camera's tracks changed");
    codec_config_unref(&fanout->audio);
    fanout->audio = audio != NULL ? codec_config_ref(audio) : NULL;
    fanout->has_tracks = true;
}

/* Tell new viewers the configuration of the frames: it may contradict what the camera announced. */
static void follow_config(struct fanout *f, const struct frame *sound)
{
    if (f->audio == NULL || f->audio == sound->config)
        return;
    codec_config_unref(&f->audio);
    f->audio = codec_config_ref(sound->config);
}

void fanout_push(struct fanout *fanout, struct frame *frame)
{
    bool video = frame->track == TRACK_VIDEO;
    if (video)
        judge_beginning(fanout, frame);
    else
        follow_config(fanout, frame);
    frame_ring_push(fanout->holding ? fanout->held : fanout->ring, frame);
    if (!video && fanout->env.sound_held_us > 0) {
        if (!uv_is_active((uv_handle_t *)&fanout->hold))
            (void)uv_timer_start(&fanout->hold, on_hold, FANOUT_AUDIO_HOLD_MS, 0);
        return;
    }
    if (video)
        start_waiting(fanout);
    flush_all(fanout);
}

void fanout_disconnected(struct fanout *fanout)
{
    flush_all(fanout);
    frame_ring_clear(fanout->ring);
    frame_ring_clear(fanout->held);
    fanout->first_us = INT64_MIN;
    fanout->holding = false;
}

const struct frame_ring *fanout_ring(const struct fanout *fanout)
{
    return fanout->ring;
}

const struct frame_ring *fanout_arrived(const struct fanout *fanout)
{
    return fanout->holding ? fanout->held : fanout->ring;
}

/* Has a viewer who came before that no answer? */
static bool is_anybody_waiting_since(const struct fanout *f, int64_t opened_before_ms)
{
    for (size_t i = 0; i < f->clients.count; i++) {
        const struct client *c = f->clients.items[i];
        if (client_get_state(c) == CLIENT_WAITING && client_opened_ms(c) < opened_before_ms)
            return true;
    }
    return false;
}

void fanout_fail_waiting(struct fanout *fanout, int64_t opened_before_ms, enum http_error error,
                         const char *message)
{
    bool overdue = opened_before_ms != INT64_MAX && fanout->first_us != INT64_MIN;
    if (overdue && fanout->holding && is_anybody_waiting_since(fanout, opened_before_ms))
        release_held(fanout, true, clock_us());
    for (size_t i = 0; i < fanout->clients.count; i++) {
        struct client *c = fanout->clients.items[i];
        if (client_opened_ms(c) >= opened_before_ms)
            continue;
        if (overdue && ready(fanout) && client_awaits_start(c))
            start_client(fanout, c); /* a damaged picture is better than an error */
        client_fail(c, error, message);
    }
}

void fanout_close_streaming(struct fanout *fanout, enum http_error error, const char *why)
{
    for (size_t i = 0; i < fanout->clients.count; i++) {
        struct client *client = fanout->clients.items[i];
        if (client_get_state(client) != CLIENT_STREAMING)
            continue;
        if (error == HTTP_ERROR_NONE)
            client_close(client, why);
        else
            client_end(client, error, why);
    }
}

static size_t count_state(const struct fanout *f, enum client_state state)
{
    size_t n = 0;
    for (size_t i = 0; i < f->clients.count; i++)
        n += client_get_state(f->clients.items[i]) == state;
    return n;
}

bool fanout_is_whole(const struct fanout *fanout)
{
    for (size_t i = 0; i < fanout->clients.count; i++) {
        if (!client_is_whole(fanout->clients.items[i]))
            return false;
    }
    return true;
}

size_t fanout_waiting(const struct fanout *fanout)
{
    return count_state(fanout, CLIENT_WAITING);
}

size_t fanout_streaming(const struct fanout *fanout)
{
    return count_state(fanout, CLIENT_STREAMING);
}

struct fanout_stats fanout_stats(const struct fanout *fanout)
{
    struct fanout_stats s = {.bytes_out = fanout->gone.bytes,
                             .frames_skipped = fanout->gone.frames_skipped,
                             .gop_overflows = frame_ring_overflows(fanout->ring),
                             .refused = fanout->env.refusals.count,
                             .join = fanout->join};
    for (size_t i = 0; i < fanout->clients.count; i++) {
        struct client_totals t = client_totals(fanout->clients.items[i]);
        s.bytes_out += t.bytes;
        s.frames_skipped += t.frames_skipped;
    }
    return s;
}
