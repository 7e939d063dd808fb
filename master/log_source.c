#include "master/log_source.h"

#include "common/closing.h"
#include "common/fd.h"
#include "common/ipc.h"
#include "common/log.h"
#include "common/log_record.h"
#include "common/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define READ_BYTES 4096
#define LINE_COST 96 /* bytes that the master adds to a line */
#define READ_COST 64 /* a read costs more than its byte */
#define LAST_READS 32
#define DROPPED_MAX 1000000 /* lines that one record may report: a compromised worker could lie */
#define TELL_MS 60000

struct log_source {
    int fd;
    uv_poll_t poll;
    const char *process;
    pid_t pid;
    char camera[IPC_CAMERA_ID_MAX];
    struct log_record_reader reader;
    int64_t allowance; /* bytes that it may still write */
    bool paused;
    struct log_limit told;
    struct closing closing;
};

/* --- lines ---------------------------------------------------------------- */

static struct log_origin origin_of(const struct log_source *s)
{
    return (struct log_origin){
        .process = s->process, .pid = s->pid, .camera = s->camera[0] != '\0' ? s->camera : NULL};
}

static void on_record(void *ctx, enum log_level level, const char *client, const char *text)
{
    struct log_source *s = ctx;
    s->allowance -= LINE_COST;
    uint64_t dropped = log_record_dropped(text);
    log_add_dropped(dropped < DROPPED_MAX ? dropped : DROPPED_MAX);
    if (!log_enabled(level))
        return; /* its process was started when log_level was more verbose */
    struct log_origin from = origin_of(s);
    log_write_for(&from, level, client, text);
}

/* A line that our log did not write: a library's warning, an assertion, a sanitizer's report. */
static void on_text(void *ctx, const char *text)
{
    struct log_source *s = ctx;
    s->allowance -= LINE_COST;
    struct log_origin from = origin_of(s);
    log_write_for(&from, LOG_LEVEL_WARN, NULL, text);
}

static struct log_record_events events_for(struct log_source *s)
{
    return (struct log_record_events){on_record, on_text, s};
}

/* --- reading -------------------------------------------------------------- */

/* @return bytes; 0: the other end is closed; negative errno. */
static ssize_t read_some(struct log_source *s)
{
    char data[READ_BYTES];
    const struct log_record_events events = events_for(s);
    ssize_t n = read(s->fd, data, sizeof(data));
    if (n < 0)
        return -errno;
    s->allowance -= n + READ_COST;
    log_record_push(&s->reader, data, (size_t)n, &events);
    return n;
}

static void pause_reading(struct log_source *s)
{
    unsigned times;
    struct log_context about = {.camera = s->camera[0] != '\0' ? s->camera : NULL};
    s->paused = true;
    (void)uv_poll_stop(&s->poll);
    if (log_limit_pass(&s->told, 1, TELL_MS, &times))
        log_warnx(&about, "%s %d writes more than its share of the log: some of it is dropped",
                  s->process, (int)s->pid);
}

static void on_readable(uv_poll_t *handle, int status, int events)
{
    (void)events;
    struct log_source *s = handle->data;
    ssize_t n = status < 0 ? 0 : read_some(s);
    if (n == 0)
        (void)uv_poll_stop(handle);
    else if (s->allowance <= 0)
        pause_reading(s);
}

int log_source_descriptor(const struct log_source *source)
{
    return source->fd;
}

void log_source_tick(struct log_source *source)
{
    source->allowance += LOG_SOURCE_RATE;
    if (source->allowance > LOG_SOURCE_BURST)
        source->allowance = LOG_SOURCE_BURST;
    if (source->paused && source->allowance > 0) {
        source->paused = false;
        (void)uv_poll_start(&source->poll, UV_READABLE, on_readable);
    }
}

/* --- life ----------------------------------------------------------------- */

int log_source_pipe(int ends[2])
{
    return pipe2(ends, O_CLOEXEC | O_NONBLOCK) == -1 ? -errno : 0;
}

struct log_source *log_source_open(uv_loop_t *loop, int *fd, const char *process, pid_t pid)
{
    struct log_source *s = xcalloc(1, sizeof(*s));
    s->fd = fd_take(fd);
    s->process = process;
    s->pid = pid;
    s->allowance = LOG_SOURCE_BURST;
    if (uv_poll_init(loop, &s->poll, s->fd) != 0)
        abort(); /* a fresh pipe: this fails only by our own mistake */
    s->poll.data = s;
    closing_hold(&s->closing);
    (void)uv_poll_start(&s->poll, UV_READABLE, on_readable);
    return s;
}

void log_source_set_camera(struct log_source *source, const char *camera)
{
    (void)snprintf(source->camera, sizeof(source->camera), "%s", camera);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct log_source *s = handle->data;
    if (closing_release(&s->closing))
        closing_finish(&s->closing, s);
}

void log_source_close(struct log_source *source, void (*closed)(void *ctx), void *ctx)
{
    const struct log_record_events events = events_for(source);
    for (int i = 0; i < LAST_READS && read_some(source) > 0; i++) {
    }
    log_record_finish(&source->reader, &events);
    (void)closing_ask(&source->closing, closed, ctx);
    uv_close((uv_handle_t *)&source->poll, on_poll_closed);
    fd_close(&source->fd);
}
