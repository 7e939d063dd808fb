#include "worker/process/nursery.h"

#include "common/fd.h"
#include "common/ipc.h"
#include "common/log.h"
#include "worker/media/av_util.h"
#include "worker/process/sandbox.h"
#include "worker/process/worker.h"
#include "worker/rtsp/rtsp_tls.h"

#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define LAST_WAIT_MS 4000 /* longer than a worker without a master lives (worker.c) */
#define LAST_POLL_MS 10

struct child {
    uint32_t worker_id;
    pid_t pid;
};

struct nursery {
    int channel;
    int sigchld; /* signalfd */
    enum sandbox_mode sandbox;
    struct child *children;
    size_t count;
    size_t capacity;
};

/* --- warming up ----------------------------------------------------------- */

/* Opening a codec once fills its static tables: every worker then shares those pages. */
static void warm_decoder(enum AVCodecID id)
{
    const AVCodec *codec = avcodec_find_decoder(id);
    AVCodecContext *ctx = codec != NULL ? avcodec_alloc_context3(codec) : NULL;
    if (ctx == NULL)
        return;
    ctx->thread_count = 1; /* the nursery must stay single-threaded: it forks */
    ctx->sample_rate = 8000;
    ctx->bits_per_coded_sample = 4; /* G.726 */
    av_channel_layout_default(&ctx->ch_layout, 1);
    (void)avcodec_open2(ctx, codec, NULL);
    avcodec_free_context(&ctx);
}

static void warm_aac_encoder(void)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_AAC);
    AVCodecContext *ctx = codec != NULL ? avcodec_alloc_context3(codec) : NULL;
    if (ctx == NULL)
        return;
    ctx->thread_count = 1;
    ctx->sample_fmt = AV_SAMPLE_FMT_FLTP;
    ctx->sample_rate = 16000;
    ctx->time_base = (AVRational){1, 16000};
    ctx->bit_rate = 32000;
    av_channel_layout_default(&ctx->ch_layout, 1);
    (void)avcodec_open2(ctx, codec, NULL);
    avcodec_free_context(&ctx);
}

static void warm_up(void)
{
    static const enum AVCodecID decoders[] = {
        AV_CODEC_ID_H264,       AV_CODEC_ID_HEVC,       AV_CODEC_ID_AAC,
        AV_CODEC_ID_AAC_LATM,   AV_CODEC_ID_PCM_ALAW,   AV_CODEC_ID_PCM_MULAW,
        AV_CODEC_ID_ADPCM_G722, AV_CODEC_ID_ADPCM_G726, AV_CODEC_ID_ADPCM_G726LE,
        AV_CODEC_ID_OPUS,       AV_CODEC_ID_MP2,        AV_CODEC_ID_MP3,
    };
    (void)avformat_network_init();
    for (size_t i = 0; i < sizeof(decoders) / sizeof(decoders[0]); i++)
        warm_decoder(decoders[i]);
    warm_aac_encoder();
    struct rtsp_tls *tls = rtsp_tls_new("localhost", false); /* OpenSSL reads its configuration */
    rtsp_tls_free(&tls);
}

/* --- children ------------------------------------------------------------- */

/* The master's queue of our messages never fills: it is asked for one worker at a time. */
static void report(struct nursery *n, enum ipc_type type, const void *payload)
{
    int rc = ipc_send(n->channel, type, payload, NULL);
    if (rc != 0 && rc != -EPIPE)
        log_warnx(NULL, "cannot send %s: %s", ipc_desc[type].name, strerrordesc_np(-rc));
}

static void remember(struct nursery *n, uint32_t worker_id, pid_t pid)
{
    if (n->count == n->capacity) {
        n->capacity = n->capacity == 0 ? 64 : n->capacity * 2;
        n->children = realloc(n->children, n->capacity * sizeof(*n->children));
        if (n->children == NULL)
            abort();
    }
    n->children[n->count++] = (struct child){worker_id, pid};
}

static void become_worker(struct nursery *n, uint32_t worker_id, int channel)
{
    fd_close(&n->channel);
    fd_close(&n->sigchld);
    free(n->children);
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    log_set_process("worker");
    if (sandbox_enter(n->sandbox) != 0)
        exit(EXIT_FAILURE);
    exit(worker_run(worker_id, channel));
}

static void on_spawn(struct nursery *n, const struct ipc_spawn *m, int *fd)
{
    int channel = fd_take(fd);
    pid_t pid = fork();
    if (pid == 0)
        become_worker(n, m->worker_id, channel);
    if (pid == -1)
        log_error(NULL, "cannot fork a worker");
    else
        remember(n, m->worker_id, pid);
    fd_close(&channel);
    const struct ipc_spawned answer = {.worker_id = m->worker_id,
                                       .pid = pid > 0 ? (uint32_t)pid : 0};
    report(n, IPC_SPAWNED, &answer);
}

static void on_kill(struct nursery *n, const struct ipc_kill *m, int *fd)
{
    (void)fd;
    for (size_t i = 0; i < n->count; i++) {
        if (n->children[i].worker_id == m->worker_id)
            (void)kill(n->children[i].pid, SIGKILL); /* not reaped yet: the pid is still its own */
    }
}

static void reap(struct nursery *n)
{
    struct signalfd_siginfo info;
    while (read(n->sigchld, &info, sizeof(info)) > 0) {
    }
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < n->count; i++) {
            if (n->children[i].pid != pid)
                continue;
            const struct ipc_exited gone = {
                .worker_id = n->children[i].worker_id, .pid = (uint32_t)pid, .wait_status = status};
            n->children[i] = n->children[--n->count];
            report(n, IPC_EXITED, &gone);
            break;
        }
    }
}

/* --- the loop ------------------------------------------------------------- */

static int dispatch(struct nursery *n, struct ipc_msg *msg)
{
    switch ((enum ipc_type)msg->hdr.type) {
#define X(U, l, type, fds, ph)                                         \
    case IPC_##U:                                                      \
        on_##l(n, (const type *)(const void *)msg->payload, &msg->fd); \
        return 0;
        IPC_TO_NURSERY(X)
#undef X
    default:
        return -EPROTO; /* a message of another direction */
    }
}

/* @return 1 go on, 0 the master is gone, negative errno. */
static int receive(struct nursery *n)
{
    struct ipc_msg msg;
    int rc;
    while ((rc = ipc_recv(n->channel, IPC_PH_RUN, &msg)) == 1) {
        rc = dispatch(n, &msg);
        ipc_msg_free(&msg);
        if (rc != 0)
            return rc;
    }
    if (rc == -EMFILE) {
        log_errorx(NULL, "no descriptor left to take a worker's channel");
        rc = -EAGAIN;
    }
    if (rc == -ECONNRESET)
        return 0; /* the master ended with messages unread */
    return rc == -EAGAIN ? 1 : rc;
}

static int open_sigchld(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL) == -1)
        return -1;
    return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

/* The master is gone: so will be the workers, whose channels closed with it.  Reap them, so that
 * nothing is left of the server when this process has ended. */
static void wait_for_children(void)
{
    for (int i = 0; i < LAST_WAIT_MS / LAST_POLL_MS; i++) {
        pid_t pid;
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0) {
        }
        if (pid == -1)
            return; /* ECHILD: none is left */
        (void)poll(NULL, 0, LAST_POLL_MS);
    }
}

int nursery_run(int channel, enum sandbox_mode sandbox)
{
    struct nursery n = {.channel = channel, .sigchld = open_sigchld(), .sandbox = sandbox};
    if (n.sigchld == -1) {
        log_error(NULL, "cannot watch for ended workers");
        return EXIT_FAILURE;
    }
    av_util_log_open();
    warm_up();
    if (sandbox_prepare(sandbox) != 0)
        return EXIT_FAILURE;
    const struct ipc_ready hello = {.version = IPC_VERSION, .pid = (uint32_t)getpid()};
    report(&n, IPC_NURSERY, &hello);

    int rc = 1;
    while (rc == 1) {
        struct pollfd fds[] = {{.fd = n.channel, .events = POLLIN},
                               {.fd = n.sigchld, .events = POLLIN}};
        if (poll(fds, 2, -1) == -1 && errno != EINTR)
            break;
        reap(&n);
        rc = receive(&n);
    }
    if (rc < 0)
        log_errorx(NULL, "channel to the master: %s", strerrordesc_np(-rc));
    free(n.children);
    fd_close(&n.sigchld);
    fd_close(&n.channel);
    wait_for_children();
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
