#include "worker/viewers/client.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "worker/http/client_socket.h"
#include "worker/media/video_codec.h"
#include "worker/viewers/flv_output.h"
#include "worker/viewers/websocket.h"

#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* Unsent bytes that the kernel may hold for a viewer: more would hide how far behind it is. */
#define NOTSENT_LOWAT_BYTES (128 * 1024)
/* Once this many bytes (mostly pongs) wait to be sent, further pings are not answered. */
#define PENDING_MAX 8192

struct client {
    struct client_socket socket;
    struct client_env *env;
    enum client_state state;
    bool blocked; /* the socket is full: wait until it is writable */
    bool backlog; /* there is more to write: client_catch_up() writes it */
    bool websocket;
    struct websocket_parser parser;
    bool resuming;              /* another worker answered it; it waits for client_start() */
    struct ipc_client *request; /* until the answer is given */
    struct client_wish wish;
    struct flv_output output;
};

/* --- closing ------------------------------------------------------------ */

static void on_poll_closed(uv_handle_t *handle)
{
    struct client *c = handle->data;
    c->env->on_closed(c->env->ctx, c);
    flv_output_free(&c->output);
    free(c->request);
    free(c);
}

static void close_now(struct client *c, const char *why)
{
    if (c->state == CLIENT_CLOSED)
        return;
    struct log_context ctx = client_socket_log(&c->socket);
    if (c->state != CLIENT_REFUSED) /* a refusal is logged already */
        log_info(&ctx, "viewer gone: %s; %.1f s, %llu bytes, %llu frames skipped", why,
                 (double)(clock_ms() - c->socket.opened_ms) / 1000,
                 (unsigned long long)(c->output.bytes_before + c->output.bytes),
                 (unsigned long long)c->output.frames_skipped);
    c->state = CLIENT_CLOSED;
    client_socket_close(&c->socket, on_poll_closed);
}

/* --- output --------------------------------------------------------------- */

static void on_poll(uv_poll_t *handle, int status, int events);

static void update_poll(struct client *c)
{
    client_socket_poll(&c->socket, UV_READABLE | (c->blocked ? UV_WRITABLE : 0), on_poll);
}

static void set_blocked(struct client *c, bool blocked)
{
    if (c->blocked == blocked)
        return;
    c->blocked = blocked;
    update_poll(c);
}

/* The viewer gets the rest when the others have had their turn. */
static void set_backlog(struct client *c)
{
    c->backlog = true;
    c->env->on_backlog(c->env->ctx);
}

/* Tell a successor how far the viewer has got, if it may go on from here. */
static void mark_written(struct client *c)
{
    if (!flv_output_is_between_messages(&c->output))
        return;
    flv_output_record(&c->output, c->socket.slot);
    handover_set(c->socket.slot, HANDOVER_WHOLE);
}

static void write_some(struct client *c)
{
    uint64_t before = c->output.bytes;
    handover_begin(c->socket.slot);
    enum flv_output_result result = flv_output_write(&c->output, c->socket.fd);
    mark_written(c);
    if (c->output.bytes != before)
        c->socket.progress_ms = clock_ms();
    switch (result) {
    case FLV_OUTPUT_DONE:
    case FLV_OUTPUT_FULL:
        set_blocked(c, result == FLV_OUTPUT_FULL);
        break;
    case FLV_OUTPUT_MORE:
        set_backlog(c);
        break;
    case FLV_OUTPUT_LOST:
        close_now(c, "connection lost");
        break;
    case FLV_OUTPUT_CODEC:
        client_close(c, "the camera changed its codec");
        break;
    case FLV_OUTPUT_END:
        client_close(c, "timestamps near 2^31 ms");
        break;
    }
}

void client_flush(struct client *client)
{
    if (client->state == CLIENT_STREAMING && !client->resuming && !client->blocked &&
        !client->backlog)
        write_some(client);
}

bool client_catch_up(struct client *client)
{
    if (client->state != CLIENT_STREAMING || client->resuming || !client->backlog)
        return false;
    client->backlog = false;
    write_some(client);
    return true;
}

/* --- input ---------------------------------------------------------------- */

static void send_last(struct client *c, const uint8_t *frame, size_t len)
{
    if (!flv_output_is_between_messages(&c->output))
        return; /* it would break one */
    handover_begin(c->socket.slot);
    (void)send(c->socket.fd, frame, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void send_websocket_close(struct client *c, uint16_t code)
{
    uint8_t frame[WEBSOCKET_CLOSE_MAX];
    send_last(c, frame, websocket_close_frame(frame, code));
}

static void send_websocket_error(struct client *c, enum http_error error, const char *message)
{
    uint8_t told[WEBSOCKET_ERROR_MAX];
    const char *camera = client_socket_camera(c->request, c->env->camera);
    send_last(c, told, websocket_error(told, error, camera, message));
}

/* A viewer that waits gets it at once: nothing else was sent since the handshake.  One that does
 * not read its pongs gets no more of them. */
static void send_pong(struct client *c, const struct websocket_event *ping)
{
    uint8_t pong[WEBSOCKET_PONG_FRAME_MAX];
    size_t len = websocket_pong_frame(pong, ping->payload, ping->payload_len);
    if (c->state == CLIENT_WAITING) {
        ssize_t n = send(c->socket.fd, pong, len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0 && (size_t)n < len)
            close_now(c, "does not read");
    } else if (flv_output_pending(&c->output) < PENDING_MAX) {
        flv_output_append(&c->output, pong, len);
        client_flush(c);
    }
}

static void on_websocket_data(struct client *c, const uint8_t *data, size_t len)
{
    struct websocket_event ev;
    while (len > 0 && c->state != CLIENT_CLOSED) {
        size_t used = websocket_parse(&c->parser, data, len, &ev);
        data += used;
        len -= used;
        if (ev.kind == WEBSOCKET_EVENT_PING) {
            send_pong(c, &ev);
        } else if (ev.kind == WEBSOCKET_EVENT_CLOSE || ev.kind == WEBSOCKET_EVENT_ERROR) {
            send_websocket_close(c, ev.code);
            close_now(c, ev.kind == WEBSOCKET_EVENT_CLOSE ? "closed by the viewer"
                                                          : "broke the WebSocket protocol");
        }
    }
}

/* Viewers have nothing to say after their request.  Read and throw away what they send, so that
 * closing does not reset the connection. */
static void on_readable(struct client *c)
{
    uint8_t data[4096];
    handover_set_reading(c->socket.slot, c->websocket);
    ssize_t n = client_socket_recv(&c->socket, data, sizeof(data));
    if (n < 0)
        close_now(c, "closed by the viewer");
    else if (n > 0 && c->websocket)
        on_websocket_data(c, data, (size_t)n);
    handover_set_reading(c->socket.slot, !websocket_is_between_messages(&c->parser));
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct client *c = handle->data;
    if (status < 0) {
        close_now(c, "connection lost");
        return;
    }
    if (c->state == CLIENT_REFUSED) {
        if (!client_socket_throw_away(&c->socket))
            close_now(c, "refused");
        return;
    }
    if ((events & UV_READABLE) != 0)
        on_readable(c);
    if ((events & UV_WRITABLE) != 0 && c->state == CLIENT_STREAMING) {
        set_blocked(c, false);
        set_backlog(c);
    }
}

/* --- life ----------------------------------------------------------------- */

struct client *client_open(struct client_env *env, int *fd, const struct ipc_client *request)
{
    struct client *c = xcalloc(1, sizeof(*c));
    c->env = env;
    client_socket_open(&c->socket, env->loop, fd, request, c);
    c->request = xcalloc(1, sizeof(*c->request));
    *c->request = *request;
    c->wish = (struct client_wish){request->allow_h265, request->av1, request->height};
    c->websocket = request->websocket != 0;
    c->resuming = request->resumed != 0;
    c->state = c->resuming ? CLIENT_STREAMING : CLIENT_WAITING;
    flv_output_init(&c->output, env->ring, env->limits, request);
    int lowat = NOTSENT_LOWAT_BYTES;
    (void)setsockopt(c->socket.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &lowat, sizeof(lowat));
    update_poll(c);
    return c;
}

void client_move(struct client *client, struct client_env *env)
{
    assert(client->state == CLIENT_WAITING || client->state == CLIENT_STREAMING);
    client->env = env;
    if (client_awaits_start(client)) {
        flv_output_free(&client->output);
        flv_output_init(&client->output, env->ring, env->limits, client->request);
        return;
    }
    flv_output_move(&client->output, env->ring);
    if (client->backlog)
        set_backlog(client);
}

/* A WebSocket's was the handshake. */
static void append_answer(struct client *c, const struct codec_config *video)
{
    char buf[HTTP_REPLY_MAX], headers[256];
    if (c->websocket)
        return;
    (void)snprintf(headers, sizeof(headers),
                   "Content-Type: video/x-flv\r\n"
                   "Cache-Control: no-store\r\n"
                   "X-Video-Codec: %s\r\n"
                   "Access-Control-Expose-Headers: X-Video-Codec\r\n",
                   video_codec_name(video->codec));
    flv_output_append(&c->output, buf, http_reply_head(buf, 200, c->request->origin, headers));
}

bool client_awaits_start(const struct client *client)
{
    return client->state == CLIENT_WAITING ||
           (client->state == CLIENT_STREAMING && client->resuming);
}

static void resume(struct client *c, struct codec_config *video, struct codec_config *audio)
{
    free(c->request);
    c->request = NULL;
    if (!flv_output_resume(&c->output, c->socket.slot, clock_us(), video, audio)) {
        client_close(c, "the camera has another codec, or other tracks, than before");
        return;
    }
    c->resuming = false;
    client_flush(c);
}

void client_start(struct client *client, struct codec_config *audio)
{
    const struct frame *picture = frame_ring_newest_picture(client->env->ring);
    if (!client_awaits_start(client) || picture == NULL)
        return;
    if (client->resuming) {
        resume(client, picture->config, audio);
        return;
    }
    if (!flv_carries(picture->config->codec)) {
        client_fail(client, HTTP_ERROR_UNSUPPORTED_CODEC,
                    "FLV carries H.264, HEVC and AV1, and the camera sends another codec");
        return;
    }
    append_answer(client, picture->config);
    struct viewer_join join = {.join = (enum ipc_join)client->request->join,
                               .now_us = clock_us(),
                               .sound_held_us = client->env->sound_held_us};
    flv_output_start(&client->output, &join, picture->config, audio);
    free(client->request);
    client->request = NULL;
    client->state = CLIENT_STREAMING;
    client_flush(client);
}

static void send_error(struct client *c, enum http_error error, const char *message)
{
    char buf[HTTP_REPLY_MAX];
    size_t len = client_socket_error(buf, c->request, error, c->env->camera, message);
    (void)send(c->socket.fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL); /* there is room */
}

void client_fail(struct client *client, enum http_error error, const char *message)
{
    if (client->state != CLIENT_WAITING)
        return;
    if (client->websocket)
        send_websocket_error(client, error, message);
    else
        send_error(client, error, message);
    struct log_context ctx = client_socket_log(&client->socket);
    refusal_log_write(&client->env->refusals, &ctx, "viewer refused", error, message);
    client->state = CLIENT_REFUSED;
    client_socket_linger(&client->socket);
}

void client_end(struct client *client, enum http_error error, const char *why)
{
    uint8_t frame[WEBSOCKET_CLOSE_MAX];
    if (client->websocket && client->state == CLIENT_STREAMING)
        send_last(client, frame, websocket_close_error(frame, error, why));
    close_now(client, why);
}

void client_close(struct client *client, const char *why)
{
    if (client->websocket && client->state == CLIENT_STREAMING)
        send_websocket_close(client, WEBSOCKET_GOING_AWAY);
    close_now(client, why);
}

void client_check(struct client *client, int64_t now_ms)
{
    if (client->state == CLIENT_REFUSED && client_socket_is_spent(&client->socket, now_ms))
        close_now(client, "refused");
    else if (client->state == CLIENT_STREAMING && client->blocked &&
             now_ms - client->socket.progress_ms > client->env->limits->viewer_stall_timeout_ms)
        close_now(client, "took nothing for too long");
}

bool client_is_whole(const struct client *client)
{
    return client->socket.has_left || handover_get(client->socket.slot) != HANDOVER_WITHIN;
}

enum client_state client_get_state(const struct client *client)
{
    return client->state;
}

const struct ipc_client *client_request(const struct client *client)
{
    return client->request;
}

const struct client_wish *client_get_wish(const struct client *client)
{
    return &client->wish;
}

bool client_plays_h264(const struct client *client)
{
    return client->output.codec == FLV_OUTPUT_H264;
}

int64_t client_opened_ms(const struct client *client)
{
    return client->socket.opened_ms;
}

struct client_totals client_totals(const struct client *client)
{
    return (struct client_totals){client->output.bytes, client->output.frames_skipped};
}
