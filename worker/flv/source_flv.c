/*
 * Reads a camera or gateway that speaks RTMP(S), or HTTP(S) with FLV: libavformat is the transport
 * (it turns RTMP into FLV bytes), flv_reader reads the bytes.  Worker, the source's own thread: it
 * blocks, and an interrupt callback enforces the deadlines.
 */
#include "worker/flv/source_flv.h"
#include "common/clock.h"
#include "worker/flv/address_guard.h"
#include "worker/flv/flv_reader.h"
#include "worker/flv/read_ahead.h"
#include "worker/flv/rtmp_opening.h"
#include "worker/flv/rtmp_path.h"
#include "worker/flv/rtmp_stamps.h"
#include "worker/media/av_util.h"
#include "worker/media/gather.h"

#include <errno.h>
#include <libavformat/avio.h>
#include <libavutil/dict.h>
#include <libavutil/error.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_BYTES (32 << 10)
#define LEAVE_US 1000000 /* time for RTMP to say goodbye */
/* How long after the connect deadline the first picture may come while sound does: servers that
 * begin at a key frame send sound at once. */
#define PICTURE_WAIT_US 60000000

struct flv_source {
    const struct source_params *params;
    struct source_flv_control *control;
    int64_t started_us;
    int64_t accepted_us; /* arrival of the last accepted media packet; 0: none */
    int64_t received_us; /* arrival of the last bytes */
    int64_t leave_by_us; /* 0: not leaving */
    AVIOContext *io;
    struct flv_reader *reader;
    int reader_rc; /* of the last flv_reader_tick() */
    struct address_guard guard;
    int socket; /* what media come from, once they do; -1: not known */
    struct read_ahead ahead;
    struct rtmp_stamps stamps;
    char log[512]; /* libavformat's errors */
};

static bool is_stopped(const struct flv_source *s)
{
    return atomic_load_explicit(&s->control->stop, memory_order_acquire);
}

void source_flv_set_limits(struct source_flv_control *control, const struct ipc_limits *limits)
{
    atomic_store_explicit(&control->connect_timeout_ms, limits->connect_timeout_ms,
                          memory_order_relaxed);
    atomic_store_explicit(&control->stall_timeout_ms, limits->stall_timeout_ms,
                          memory_order_relaxed);
}

/* How long may the next accepted media packet take? */
static uint32_t timeout_ms(const struct flv_source *s)
{
    return atomic_load_explicit(s->accepted_us != 0 ? &s->control->stall_timeout_ms
                                                    : &s->control->connect_timeout_ms,
                                memory_order_relaxed);
}

static uint32_t stall_ms(const struct flv_source *s)
{
    return atomic_load_explicit(&s->control->stall_timeout_ms, memory_order_relaxed);
}

static int64_t gather_us(const struct flv_source *s)
{
    return gather_interval_us(stall_ms(s));
}

/* How long media may have waited in the socket: that is not the camera's silence. */
static int64_t late_us(const struct flv_source *s)
{
    return flv_lazy_is_due(&s->control->lazy) ? gather_us(s) : 0;
}

/* Have video and audio tags come, but no accepted packet? */
static bool awaits_picture(const struct flv_source *s)
{
    return s->accepted_us == 0 && flv_reader_has_seen(s->reader, TRACK_VIDEO) &&
           flv_reader_has_seen(s->reader, TRACK_AUDIO);
}

static int64_t deadline_us(const struct flv_source *s)
{
    if (s->leave_by_us != 0)
        return s->leave_by_us;
    int64_t timeout_us = (int64_t)timeout_ms(s) * 1000;
    if (s->accepted_us != 0)
        return s->accepted_us + timeout_us + late_us(s);
    int64_t by_us = s->started_us + timeout_us;
    if (!awaits_picture(s))
        return by_us;
    int64_t heard_by_us = s->received_us + (int64_t)stall_ms(s) * 1000;
    int64_t last_us = by_us + PICTURE_WAIT_US;
    heard_by_us = heard_by_us < last_us ? heard_by_us : last_us;
    return heard_by_us > by_us ? heard_by_us : by_us;
}

/* Must reading end?  Not to be called while the reader is at work. */
static bool is_over(struct flv_source *s)
{
    bool alive = false;
    if (s->reader_rc == 0 && s->leave_by_us == 0)
        s->reader_rc = flv_reader_tick(s->reader, clock_us(), &alive);
    if (alive)
        s->accepted_us = clock_us();
    return is_stopped(s) || s->reader_rc != 0 || clock_awake_us() > deadline_us(s);
}

/* Media come: the socket stays the same from now on. */
static void find_socket(struct flv_source *s)
{
    if (s->socket >= 0 || s->accepted_us == 0)
        return;
    s->socket = address_guard_socket(&s->guard);
    if (s->socket >= 0)
        read_ahead_begin(&s->ahead, s->socket);
}

static void leave_socket(struct flv_source *s)
{
    read_ahead_end();
    rtmp_stamps_end();
    s->socket = -1;
}

/* libavformat calls this on our own thread before each look for bytes, and ten times a second while
 * it waits for them. */
static int on_interrupt(void *opaque)
{
    struct flv_source *s = opaque;
    struct flv_lazy *lazy = &s->control->lazy;
    if (read_ahead_has_bytes() && !read_ahead_is_writing()) /* it waits for nothing */
        return false;
    if (is_over(s))
        return true;
    return flv_lazy_is_due(lazy) && flv_lazy_wait(lazy, s->socket, gather_us(s)) && is_over(s);
}

static bool is_rtmp(const struct source_params *params)
{
    return params->url->scheme == URL_RTMP || params->url->scheme == URL_RTMPS;
}

/* libavformat checks with GnuTLS, against the system's authorities or, as for rtsps, those that the
 * environment names. */
static void set_tls(AVDictionary **opts, const struct source_params *params)
{
    const char *authorities = getenv(X509_get_default_cert_file_env());
    if (params->tls_insecure)
        return;
    (void)av_dict_set(opts, "tls_verify", "1", 0);
    if (authorities != NULL)
        (void)av_dict_set(opts, "ca_file", authorities, 0);
}

static void set_rtmp(AVDictionary **opts, const char *path)
{
    struct rtmp_path split;
    (void)av_dict_set(opts, "protocol_whitelist", "rtmp,rtmps,tls,tcp", 0);
    (void)av_dict_set(opts, "rtmp_live", "live", 0);
    /* The dialogue consists of small messages: Nagle and delayed ACK would cost 40 ms each time. */
    (void)av_dict_set(opts, "tcp_nodelay", "1", 0);
    if (!rtmp_path_needs_split(path))
        return;
    rtmp_path_split(path, &split);
    (void)av_dict_set(opts, "rtmp_app", split.app, 0);
    (void)av_dict_set(opts, "rtmp_playpath", split.stream, 0);
}

static void set_http(AVDictionary **opts)
{
    /* The list also applies to redirects: none can lead to a file. */
    (void)av_dict_set(opts, "protocol_whitelist", "http,https,tls,tcp", 0);
    (void)av_dict_set(opts, "user_agent", "CAM-HTTPFLV", 0);
    (void)av_dict_set(opts, "seekable", "0", 0); /* no Range: some servers answer 416 */
    (void)av_dict_set(opts, "icy", "0", 0);
}

static int open_url(struct flv_source *s)
{
    const AVIOInterruptCB interrupt = {on_interrupt, s};
    const struct source_params *params = s->params;
    struct rtmp_opening opening = {.threes = 0};
    AVDictionary *opts = NULL;
    char url[IPC_URL_MAX];

    /* No libavformat timeouts: the interrupt callback enforces ours, which may change. */
    set_tls(&opts, params);
    if (is_rtmp(params))
        set_rtmp(&opts, params->url->path);
    else
        set_http(&opts);
    (void)url_format_libav(params->url, url);
    if (params->url->scheme == URL_RTMP) {
        rtmp_opening_begin(&opening);
        rtmp_stamps_begin(&s->stamps);
    }
    int rc = avio_open2(&s->io, url, AVIO_FLAG_READ, &interrupt, &opts);
    rtmp_opening_end();
    if (opening.renamed)
        flv_reader_expect_aggregate(s->reader);
    explicit_bzero(url, sizeof(url));
    av_dict_free(&opts);
    return rc;
}

/* RTMP servers reject a password in their answer to `connect`, each in its own words, which
 * libavformat only logs. */
static bool is_rejected(const struct flv_source *s)
{
    static const char *const always[] = {"No credentials set", "Incorrect username"};
    static const char *const in_answer[] = {"authmod", "code=403", "reject", "denied", "unauthor"};
    if (!is_rtmp(s->params))
        return false;
    for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++) {
        if (strstr(s->log, always[i]) != NULL)
            return true;
    }
    if (strstr(s->log, "connect error") == NULL)
        return false;
    for (size_t i = 0; i < sizeof(in_answer) / sizeof(in_answer[0]); i++) {
        if (strcasestr(s->log, in_answer[i]) != NULL)
            return true;
    }
    return false;
}

/* Does an RTMP server refuse to play the stream?  detail is set if so. */
static bool is_refused(const struct flv_source *s, int averror, char *detail, size_t detail_size)
{
    static const char server_error[] = "Server error: ";
    if (!is_rtmp(s->params))
        return false;
    /* libavformat returns -1 for an onStatus of level "error", such as
     * NetStream.Play.StreamNotFound, and AVERROR_UNKNOWN for `_error`; it only logs their text. */
    if (averror == -1 || averror == AVERROR_UNKNOWN) {
        const char *said = strstr(s->log, server_error);
        /* Its words may hold the stream's name, and a camera of the configuration keeps its URL. */
        if (s->params->access.trusted != 0)
            said = NULL;
        (void)snprintf(detail, detail_size, "the server refuses to play this stream%s%.100s",
                       said != NULL ? ": " : "", said != NULL ? said + strlen(server_error) : "");
        return true;
    }
    /* nginx-rtmp hangs up instead.  A name that does not resolve also gives EIO. */
    bool hung_up = averror == AVERROR(EIO) || averror == AVERROR(EPIPE) ||
                   averror == AVERROR(ECONNRESET) || averror == AVERROR_EOF;
    if (hung_up && s->io == NULL && strstr(s->log, "resolve") == NULL) {
        (void)snprintf(detail, detail_size, "the server hangs up when asked for this stream");
        return true;
    }
    return false;
}

static enum http_error transport_error(const struct flv_source *s, int averror, char *detail,
                                       size_t detail_size)
{
    if (strstr(s->log, "certificate") != NULL) {
        (void)snprintf(detail, detail_size, "TLS: the camera's certificate is not trusted%s",
                       strstr(s->log, "hostname") != NULL ? ": it is another host's" : "");
        return HTTP_ERROR_CAMERA_UNREACHABLE;
    }
    if (is_rejected(s))
        averror = AVERROR_HTTP_UNAUTHORIZED;
    else if (is_refused(s, averror, detail, detail_size))
        return HTTP_ERROR_CAMERA_NOT_FOUND;
    if (averror == AVERROR_EOF) {
        (void)snprintf(detail, detail_size, "the camera ended the stream");
        return HTTP_ERROR_CAMERA_UNREACHABLE;
    }
    enum http_error error = av_util_camera_error(averror, detail, detail_size);
    if (error == HTTP_ERROR_CAMERA_UNAUTHORIZED)
        (void)snprintf(detail, detail_size, "the camera refused user name or password");
    if (strstr(s->log, "resolve") != NULL)
        (void)snprintf(detail, detail_size, "the camera's host name does not resolve");
    return error;
}

static enum http_error reader_error(int rc, char *detail, size_t detail_size)
{
    const char *text;
    enum http_error error;
    switch (rc) {
    case -EPROTO:
        text = "what the camera sends is not FLV";
        error = HTTP_ERROR_CAMERA_NO_VIDEO;
        break;
    case -ENODATA:
        text = "the camera sends audio but no video";
        error = HTTP_ERROR_CAMERA_NO_VIDEO;
        break;
    case -ENOTSUP:
        text = "the camera's video codec cannot be used";
        error = HTTP_ERROR_UNSUPPORTED_CODEC;
        break;
    default:
        text = "out of memory";
        error = HTTP_ERROR_CAMERA_UNREACHABLE;
        break;
    }
    (void)snprintf(detail, detail_size, "%s", text);
    return error;
}

static bool is_audio_only(const struct flv_source *s)
{
    return flv_reader_has_seen(s->reader, TRACK_AUDIO) &&
           !flv_reader_has_seen(s->reader, TRACK_VIDEO);
}

/* The deadline has passed. */
static enum http_error timeout_error(const struct flv_source *s, char *detail, size_t detail_size)
{
    if (is_audio_only(s))
        return reader_error(-ENODATA, detail, detail_size);
    if (s->io == NULL)
        (void)snprintf(detail, detail_size, "no %s within %u ms",
                       is_rtmp(s->params) ? "audio, video or onMetaData message" : "stream",
                       timeout_ms(s));
    else
        (void)snprintf(detail, detail_size, "no media for too long");
    return HTTP_ERROR_CAMERA_TIMEOUT;
}

static enum http_error read_stream(struct flv_source *s, char *detail, size_t detail_size)
{
    uint8_t data[READ_BYTES];
    while (!is_over(s)) {
        find_socket(s);
        int n = avio_read_partial(s->io, data, sizeof(data));
        if (n == AVERROR(EAGAIN))
            continue;
        bool alive = false;
        int rc = n > 0 ? flv_reader_push(s->reader, data, (size_t)n, clock_us(), &alive)
                       : flv_reader_finish(s->reader, &alive);
        s->received_us = clock_us();
        if (alive)
            s->accepted_us = s->received_us;
        atomic_store_explicit(&s->control->awaits_picture, awaits_picture(s), memory_order_relaxed);
        if (rc != 0)
            return reader_error(rc, detail, detail_size);
        if (n <= 0 && is_audio_only(s))
            return reader_error(-ENODATA, detail, detail_size);
        if (n <= 0 && !is_over(s))
            return transport_error(s, n == 0 ? AVERROR_EOF : n, detail, detail_size);
    }
    return s->reader_rc != 0 ? reader_error(s->reader_rc, detail, detail_size)
                             : timeout_error(s, detail, detail_size);
}

static enum http_error forbidden(char *detail, size_t detail_size)
{
    (void)snprintf(detail, detail_size, "the camera's address is not allowed");
    return HTTP_ERROR_CAMERA_NOT_ALLOWED;
}

enum http_error source_flv_run(const struct source_params *params,
                               struct source_flv_control *control, const struct media_sink *sink,
                               char *detail, size_t detail_size)
{
    struct flv_source s = {
        .params = params,
        .control = control,
        .started_us = clock_awake_us(),
        .socket = -1,
    };
    enum http_error error;

    if (address_guard_enter(&s.guard, &params->access, params->url->host) != 0)
        return forbidden(detail, detail_size);
    s.reader = flv_reader_new(sink);
    av_util_log_capture(s.log, sizeof(s.log));
    av_util_log_hide(params->url);
    int rc = open_url(&s);
    if (rc >= 0)
        error = read_stream(&s, detail, detail_size);
    else if (s.guard.refused)
        error = forbidden(detail, detail_size);
    else if (is_over(&s))
        error = timeout_error(&s, detail, detail_size);
    else
        error = transport_error(&s, rc, detail, detail_size);

    s.leave_by_us = clock_awake_us() + LEAVE_US;
    leave_socket(&s);
    (void)avio_closep(&s.io);
    av_util_log_capture(NULL, 0);
    av_util_log_hide(NULL);
    address_guard_leave();
    flv_reader_free(&s.reader);
    return is_stopped(&s) ? HTTP_ERROR_NONE : error;
}
