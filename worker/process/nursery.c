#include "worker/process/nursery.h"

#include "common/fd.h"
#include "common/ipc.h"
#include "common/log.h"
#include "worker/media/av_util.h"
#include "worker/process/crash.h"
#include "worker/process/sandbox.h"
#include "worker/process/worker.h"
#include "worker/rtsp/rtsp_tls.h"

#include <errno.h>
#include <fcntl.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#define ADOPTION_MS 2000
#define CHECK_S 60
#define ADOPTION_POLL_US 100
#define OOM_ADJUST 300 /* of 1000: as if it had so much more of the memory */
#define OOM_ADJUST_MAX 1000

struct nursery {
    int channel;
    pid_t master;
    enum sandbox_mode sandbox;
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
        AV_CODEC_ID_H264,       AV_CODEC_ID_HEVC,         AV_CODEC_ID_MJPEG,
        AV_CODEC_ID_MPEG4,      AV_CODEC_ID_H263,         AV_CODEC_ID_FLV1,
        AV_CODEC_ID_FLASHSV,    AV_CODEC_ID_FLASHSV2,     AV_CODEC_ID_VP6F,
        AV_CODEC_ID_VP6A,       AV_CODEC_ID_VP8,          AV_CODEC_ID_VP9,
        AV_CODEC_ID_AV1,        AV_CODEC_ID_AAC,          AV_CODEC_ID_AAC_LATM,
        AV_CODEC_ID_PCM_ALAW,   AV_CODEC_ID_PCM_MULAW,    AV_CODEC_ID_ADPCM_G722,
        AV_CODEC_ID_ADPCM_G726, AV_CODEC_ID_ADPCM_G726LE, AV_CODEC_ID_OPUS,
        AV_CODEC_ID_MP2,        AV_CODEC_ID_MP3,          AV_CODEC_ID_AC3,
        AV_CODEC_ID_EAC3,       AV_CODEC_ID_FLAC,         AV_CODEC_ID_PCM_S16BE,
        AV_CODEC_ID_PCM_S16LE,  AV_CODEC_ID_PCM_U8,       AV_CODEC_ID_ADPCM_SWF,
        AV_CODEC_ID_NELLYMOSER,
    };
    (void)avformat_network_init();
    for (size_t i = 0; i < sizeof(decoders) / sizeof(decoders[0]); i++)
        warm_decoder(decoders[i]);
    warm_aac_encoder();
    struct rtsp_tls *tls = rtsp_tls_new("localhost", false); /* OpenSSL reads its configuration */
    rtsp_tls_free(&tls);
}

/* --- forking -------------------------------------------------------------- */

/* The channel never fills: each of our messages answers one of the master's. */
static int report(const struct nursery *n, enum ipc_type type, const void *payload, int *fd)
{
    int rc = ipc_send(n->channel, type, payload, fd);
    if (rc != 0 && rc != -EPIPE)
        log_warnx(NULL, "cannot send %s: %s", ipc_desc[type].name, strerrordesc_np(-rc));
    return rc;
}

/* Wait until the parent has ended and the master has adopted this process.  Then arrange to be
 * killed when the master ends.  @return false if the master is gone. */
static bool wait_for_adoption(const struct nursery *n, pid_t parent)
{
    for (int us = 0; getppid() == parent && us < ADOPTION_MS * 1000; us += ADOPTION_POLL_US)
        (void)usleep(ADOPTION_POLL_US);
    return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && getppid() == n->master;
}

/* Before the sandbox is entered, where no other epoll can be made: the kernel bounds what all
 * epolls of a user watch, and a thousand epolls that watch a thousand descriptors each would leave
 * none to the master, which could not go on (epoll(7), max_user_watches). */
static int make_loop(uv_loop_t *loop)
{
    int rc = uv_loop_init(loop);
    if (rc != 0)
        log_errorx(NULL, "cannot make an event loop: %s", uv_strerror(rc));
    return rc;
}

static _Noreturn void become_worker(struct nursery *n, uint32_t worker_id, int channel, int log,
                                    pid_t parent)
{
    static uv_loop_t loop;
    char title[64];
    (void)snprintf(title, sizeof(title), "cam-httpflv: spare worker %u", worker_id);
    fd_close(&n->channel);
    (void)dup2(log, STDOUT_FILENO);
    (void)dup2(log, STDERR_FILENO);
    fd_close(&log);
    (void)uv_set_process_title(title);
    if (!wait_for_adoption(n, parent))
        exit(EXIT_SUCCESS); /* the master is gone */
    struct handover *handover = NULL;
    int rc = worker_take_memory(channel, &handover);
    if (rc != 0) {
        log_errorx(NULL, "no memory to share with the master: %s", strerrordesc_np(-rc));
        exit(EXIT_FAILURE);
    }
    crash_install();
    if (sandbox_refuse_rings(n->sandbox) != 0 || make_loop(&loop) != 0 ||
        sandbox_enter(n->sandbox) != 0)
        exit(EXIT_FAILURE);
    exit(worker_run(&loop, channel, handover));
}

/* Fork the worker and exit, so that the worker becomes the master's child (the master is a
 * subreaper).  The master can then kill and reap it even if the nursery ends.  This process shares
 * the nursery's memory, and may change nothing there that the nursery goes on to use. */
static _Noreturn void go_between(struct nursery *n, uint32_t worker_id, int channel)
{
    int log[2] = {-1, -1};
    if (pipe2(log, O_CLOEXEC | O_NONBLOCK) == -1)
        _exit(errno);
    pid_t self = getpid();
    pid_t pid = fork();
    if (pid == -1)
        _exit(errno);
    if (pid == 0) {
        fd_close(&log[0]);
        become_worker(n, worker_id, channel, log[1], self);
    }
    const struct ipc_spawned spawned = {.worker_id = worker_id, .pid = (uint32_t)pid};
    _exit(-report(n, IPC_SPAWNED, &spawned, &log[0]));
}

static void on_spawn(struct nursery *n, const struct ipc_spawn *m, int *fd)
{
    int channel = fd_take(fd);
    int status = 0;
    int error = 0;
    /* Copying the page tables of 130 libraries is most of a worker's start, so it is done once: the
     * go-between has none of its own.  Linux lets such a child call what it likes. */
    pid_t pid = vfork(); /* NOLINT(clang-analyzer-security.insecureAPI.vfork) */
    if (pid == 0)
        go_between(n, m->worker_id, channel); /* NOLINT(clang-analyzer-unix.Vfork) */
    if (pid == -1)
        error = errno;
    else if (waitpid(pid, &status, 0) == pid)
        error = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
    fd_close(&channel);
    const struct ipc_failed failed = {.worker_id = m->worker_id, .error = (uint32_t)error};
    if (error != 0)
        (void)report(n, IPC_FAILED, &failed, NULL);
}

/* --- its master ------------------------------------------------------------ */

/* Who made our channel: our parent, unless that has ended already.  A kernel that does not know
 * leaves only the parent. */
static pid_t maker_of(int channel)
{
    struct ucred maker = {.pid = 0};
    socklen_t size = sizeof(maker);
    bool known = getsockopt(channel, SOL_SOCKET, SO_PEERCRED, &maker, &size) == 0 && maker.pid > 0;
    return known ? maker.pid : getppid();
}

/* A master that has ended wants no worker, although its requests for some may wait: the next master
 * may have their cameras and clients. @return false: it has ended. */
static bool end_with_master(const struct nursery *n)
{
    return prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && getppid() == n->master;
}

/* --- out of memory ---------------------------------------------------------- */

/* The kernel, or a container's, kills a worker before the master, which is everybody's.  Workers
 * inherit it. */
static void be_killed_first(void)
{
    char text[16] = "";
    FILE *file = fopen("/proc/self/oom_score_adj", "r+e");
    if (file == NULL)
        return;
    if (fgets(text, sizeof(text), file) != NULL) {
        long adjust = strtol(text, NULL, 10) + OOM_ADJUST;
        rewind(file);
        (void)fprintf(file, "%ld", adjust < OOM_ADJUST_MAX ? adjust : OOM_ADJUST_MAX);
    }
    (void)fclose(file);
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
        return -EPROTO; /* a message for another receiver */
    }
}

/* @return 1: go on; 0: the master is gone; negative errno. */
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
        return 0; /* the master ended and left messages unread */
    return rc == -EAGAIN ? 1 : rc;
}

int nursery_check(void)
{
    (void)alarm(CHECK_S); /* whoever asked may have been killed */
    av_util_log_open();
    warm_up();
    return EXIT_SUCCESS;
}

int nursery_run(int channel, enum sandbox_mode sandbox)
{
    struct nursery n = {.channel = channel, .master = maker_of(channel), .sandbox = sandbox};
    if (!end_with_master(&n))
        return EXIT_SUCCESS;
    if (getpriority(PRIO_PROCESS, 0) < 0) /* that is the master's alone */
        (void)setpriority(PRIO_PROCESS, 0, 0);
    be_killed_first();
    av_util_log_open();
    warm_up();
    if (sandbox_prepare(sandbox) != 0)
        return EXIT_FAILURE;
    crash_prepare();
    const struct ipc_ready hello = {.version = IPC_VERSION, .pid = (uint32_t)getpid()};
    (void)report(&n, IPC_NURSERY, &hello, NULL);

    int rc = 1;
    while (rc == 1) {
        struct pollfd polled = {.fd = n.channel, .events = POLLIN};
        if (poll(&polled, 1, -1) == -1 && errno != EINTR)
            break;
        rc = receive(&n);
    }
    if (rc < 0)
        log_errorx(NULL, "channel to the master: %s", strerrordesc_np(-rc));
    fd_close(&n.channel);
    return rc == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
