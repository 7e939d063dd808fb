#include "common/log_queue.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WRITE_BYTES 16384u
#define NOTICE_MAX 512u

struct log_queue {
    int fd;
    size_t (*notice)(char *out, size_t size, uint64_t dropped);
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool closing;
    bool ended;     /* the thread has left the queue alone */
    bool abandoned; /* the thread frees it */
    uint64_t dropped;
    uint64_t told; /* dropped lines that a notice has reported */
    bool broken;   /* the last write failed, and a notice would fail too */
    bool mid_line; /* the last byte that was written ends no line: only the thread uses it */
    size_t start;
    size_t len;
    char bytes[LOG_QUEUE_BYTES]; /* a ring */
};

/* --- the ring, under the mutex -------------------------------------------- */

static void put(struct log_queue *q, const char *data, size_t len)
{
    size_t at = (q->start + q->len) % sizeof(q->bytes);
    size_t first = len < sizeof(q->bytes) - at ? len : sizeof(q->bytes) - at;
    memcpy(q->bytes + at, data, first);
    memcpy(q->bytes, data + first, len - first);
    q->len += len;
}

/* Whole lines, as many as fit: a line that fails leaves no rest behind. */
static size_t take(struct log_queue *q, char *out, size_t size)
{
    size_t len = q->len < size ? q->len : size;
    for (size_t n = len; n > 0 && len < q->len; n--) {
        if (q->bytes[(q->start + n - 1) % sizeof(q->bytes)] == '\n') {
            len = n;
            break;
        }
    }
    size_t first = len < sizeof(q->bytes) - q->start ? len : sizeof(q->bytes) - q->start;
    memcpy(out, q->bytes + q->start, first);
    memcpy(out + first, q->bytes, len - first);
    q->start = (q->start + len) % sizeof(q->bytes);
    q->len -= len;
    return len;
}

/* Report dropped lines at the place where they are missing, before the next line. */
static void tell_dropped(struct log_queue *q)
{
    char line[NOTICE_MAX];
    if (q->dropped == q->told)
        return;
    size_t len = q->notice(line, sizeof(line), q->dropped - q->told);
    if (len > sizeof(q->bytes) - q->len)
        return;
    put(q, line, len);
    q->told = q->dropped;
}

/* --- the thread ----------------------------------------------------------- */

/* stderr may be non-blocking: we share its flags with the process that started the server. */
static void wait_for_room(int fd)
{
    struct pollfd polled = {.fd = fd, .events = POLLOUT};
    (void)poll(&polled, 1, -1);
}

/* A disk that is full takes a part of a line, and others when there is room again.
 * @return how many lines could not be written. */
static uint64_t write_all(struct log_queue *q, const char *data, size_t len)
{
    uint64_t lost = 0;
    if (q->mid_line && write(q->fd, "\n", 1) == 1)
        q->mid_line = false;
    while (len > 0) {
        ssize_t n = write(q->fd, data, len);
        if (n > 0) {
            q->mid_line = data[n - 1] != '\n';
            data += n;
            len -= (size_t)n;
        } else if (errno == EAGAIN) {
            wait_for_room(q->fd);
        } else if (errno != EINTR) {
            for (size_t i = 0; i < len; i++)
                lost += data[i] == '\n';
            return lost;
        }
    }
    return 0;
}

static void destroy(struct log_queue *q)
{
    (void)pthread_cond_destroy(&q->changed);
    (void)pthread_mutex_destroy(&q->mutex);
    free(q);
}

static void *run(void *arg)
{
    struct log_queue *q = arg;
    char data[WRITE_BYTES];
    (void)pthread_mutex_lock(&q->mutex);
    for (;;) {
        if (q->len == 0 && !q->broken)
            tell_dropped(q);
        if (q->len == 0 && q->closing)
            break;
        if (q->len == 0) {
            (void)pthread_cond_wait(&q->changed, &q->mutex);
            continue;
        }
        size_t len = take(q, data, sizeof(data));
        (void)pthread_mutex_unlock(&q->mutex);
        uint64_t lost = write_all(q, data, len);
        (void)pthread_mutex_lock(&q->mutex);
        q->dropped += lost;
        q->broken = lost > 0;
    }
    q->ended = true;
    bool abandoned = q->abandoned;
    (void)pthread_mutex_unlock(&q->mutex);
    if (abandoned)
        destroy(q);
    return NULL;
}

/* --- its users ------------------------------------------------------------ */

struct log_queue *log_queue_open(int fd, size_t (*notice)(char *out, size_t size, uint64_t dropped))
{
    struct log_queue *q = calloc(1, sizeof(*q));
    if (q == NULL)
        return NULL;
    q->fd = fd;
    q->notice = notice;
    (void)pthread_mutex_init(&q->mutex, NULL);
    (void)pthread_cond_init(&q->changed, NULL);
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all); /* the loop's thread handles signals */
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&q->thread, NULL, run, q);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0) {
        free(q);
        return NULL;
    }
    return q;
}

void log_queue_add(struct log_queue *queue, const char *line, size_t len)
{
    (void)pthread_mutex_lock(&queue->mutex);
    if (queue->dropped > queue->told && queue->len + len + NOTICE_MAX <= sizeof(queue->bytes))
        tell_dropped(queue);
    if (queue->dropped > queue->told || queue->len + len > sizeof(queue->bytes))
        queue->dropped++;
    else
        put(queue, line, len);
    (void)pthread_cond_signal(&queue->changed);
    (void)pthread_mutex_unlock(&queue->mutex);
}

uint64_t log_queue_dropped(struct log_queue *queue)
{
    (void)pthread_mutex_lock(&queue->mutex);
    uint64_t dropped = queue->dropped;
    (void)pthread_mutex_unlock(&queue->mutex);
    return dropped;
}

/* Leave the queue to its thread.  @return false: the thread has ended meanwhile, and is joined. */
static bool abandon(struct log_queue *q)
{
    pthread_t thread = q->thread;
    (void)pthread_mutex_lock(&q->mutex);
    bool ended = q->ended;
    q->abandoned = !ended;
    (void)pthread_mutex_unlock(&q->mutex);
    if (ended)
        (void)pthread_join(thread, NULL);
    else
        (void)pthread_detach(thread);
    return !ended;
}

void log_queue_close(struct log_queue **queue, unsigned wait_ms)
{
    struct log_queue *q = *queue;
    struct timespec until;
    *queue = NULL;
    (void)pthread_mutex_lock(&q->mutex);
    q->closing = true;
    (void)pthread_cond_signal(&q->changed);
    (void)pthread_mutex_unlock(&q->mutex);
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += wait_ms / 1000;
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    if (pthread_timedjoin_np(q->thread, NULL, &until) == 0 || !abandon(q))
        destroy(q);
}
