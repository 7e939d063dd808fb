/*
 * Runs the RTSP source without the gateway: connects and prints each event on a line, for
 * test/e2e/lib/scripted_rtsp.py and for measurements.
 *
 *   rtsp-probe [--udp|--http|--multicast] [--insecure] [--connect-ms N] [--stall-ms N]
 *              [--seconds N] [--video N] [--quiet] URL
 *
 * It ends after N seconds (5 by default) or after N video packets.  Its output:
 *
 *   tracks VIDEO_CODEC EXTRADATA_BYTES AUDIO_CODEC|none SAMPLE_RATE
 *   video|audio PTS_US BYTES CRC32 last|- lost|-
 *   end ERROR_CODE DETAIL
 *   closed CPU_US (processor time spent on closing)
 */
#include "common/clock.h"
#include "worker/media/video_codec.h"
#include "worker/rtsp/source_rtsp.h"

#include <libavcodec/avcodec.h>
#include <libavutil/crc.h>
#include <libavutil/mathematics.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

struct probe {
    uv_loop_t loop;
    uv_timer_t timer;
    uv_timer_t tick; /* reads clock_awake_us() at least once a second, as the worker does */
    uv_signal_t signal;
    struct source_rtsp *source;
    AVRational time_base[TRACK_COUNT];
    bool quiet;
    bool closing;
    int64_t closing_cpu_us; /* the loop's processor time when closing began */
    uint64_t packets;
    uint64_t video_left; /* 0: no limit */
    uint64_t bytes;
    int64_t opened_us;
    int64_t first_us; /* time of the first video packet; 0: none yet */
    uint64_t frames;  /* frames, counted by their last packets */
    int64_t delay_us; /* sum of the delays from a frame's last packet's arrival to on_packet() */
    int64_t delay_max_us;
};

static int64_t cpu_us(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static void on_closed(void *ctx)
{
    struct probe *p = ctx;
    p->source = NULL;
    uv_close((uv_handle_t *)&p->timer, NULL);
    uv_close((uv_handle_t *)&p->tick, NULL);
    uv_close((uv_handle_t *)&p->signal, NULL);
    printf("closed %lld\n", (long long)(cpu_us() - p->closing_cpu_us));
}

static void close_source(struct probe *p)
{
    if (p->closing)
        return;
    p->closing = true;
    p->closing_cpu_us = cpu_us();
    source_rtsp_close(p->source, on_closed, p);
}

static void on_tick(uv_timer_t *timer)
{
    (void)timer;
    (void)clock_awake_us();
}

static void on_timer(uv_timer_t *timer)
{
    close_source(timer->data);
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    close_source(handle->data);
}

static int on_tracks(void *ctx, const struct media_track *video, const struct media_track *audio)
{
    struct probe *p = ctx;
    p->time_base[TRACK_VIDEO] = video->time_base;
    if (audio != NULL)
        p->time_base[TRACK_AUDIO] = audio->time_base;
    printf("tracks %s %d %s %d\n", avcodec_get_name(video->par->codec_id),
           video->par->extradata_size,
           audio != NULL ? avcodec_get_name(audio->par->codec_id) : "none",
           audio != NULL ? audio->par->sample_rate : 0);
    return video_codec_fourcc(video->par->codec_id) != 0 ? 0 : -ENOTSUP;
}

static void on_no_audio(void *ctx, enum ipc_no_audio why)
{
    (void)ctx;
    printf("no audio: reason %d\n", (int)why);
}

static bool on_packet(void *ctx, const struct media_packet *packet)
{
    struct probe *p = ctx;
    p->packets++;
    p->bytes += packet->len;
    if (packet->track == TRACK_VIDEO && p->first_us == 0)
        p->first_us = clock_us();
    if (packet->last) {
        int64_t delay_us = clock_us() - packet->received_us;
        p->frames++;
        p->delay_us += delay_us;
        p->delay_max_us = delay_us > p->delay_max_us ? delay_us : p->delay_max_us;
    }
    if (!p->quiet) {
        uint32_t crc =
            av_crc(av_crc_get_table(AV_CRC_32_IEEE_LE), 0xFFFFFFFF, packet->data, packet->len);
        printf("%s %lld %zu %08x %s %s\n", packet->track == TRACK_VIDEO ? "video" : "audio",
               (long long)av_rescale_q(packet->pts, p->time_base[packet->track], AV_TIME_BASE_Q),
               packet->len, ~crc, packet->last ? "last" : "-",
               packet->lost_before || packet->cut ? "lost" : "-");
    }
    if (packet->track == TRACK_VIDEO && p->video_left > 0 && --p->video_left == 0)
        (void)uv_timer_start(&p->timer, on_timer, 0, 0); /* a sink must not call its source */
    return true;
}

static void on_end(void *ctx, enum http_error error, const char *detail)
{
    printf("end %s %s\n", http_error_code(error), detail);
    close_source(ctx);
}

static int usage(void)
{
    fprintf(
        stderr,
        "usage: rtsp-probe [--udp|--http|--multicast] [--insecure] [--connect-ms N] [--stall-ms N] "
        "[--seconds N] [--video N] [--quiet] URL\n");
    return 2;
}

static bool read_options(int argc, char **argv, struct probe *p, struct source_params *params,
                         struct ipc_limits *limits, const char **text, uint64_t *seconds)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--udp") == 0)
            params->transport = IPC_TRANSPORT_RTSP_UDP;
        else if (strcmp(argv[i], "--http") == 0)
            params->transport = IPC_TRANSPORT_RTSP_HTTP;
        else if (strcmp(argv[i], "--multicast") == 0)
            params->transport = IPC_TRANSPORT_RTSP_MULTICAST;
        else if (strcmp(argv[i], "--insecure") == 0)
            params->tls_insecure = true;
        else if (strcmp(argv[i], "--quiet") == 0)
            p->quiet = true;
        else if (strcmp(argv[i], "--connect-ms") == 0 && ++i < argc)
            limits->connect_timeout_ms = (uint32_t)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--stall-ms") == 0 && ++i < argc)
            limits->stall_timeout_ms = (uint32_t)strtoul(value, NULL, 10);
        else if (strcmp(argv[i], "--seconds") == 0 && ++i < argc)
            *seconds = strtoull(value, NULL, 10);
        else if (strcmp(argv[i], "--video") == 0 && ++i < argc)
            p->video_left = strtoull(value, NULL, 10);
        else if (argv[i][0] != '-')
            *text = argv[i];
        else
            return false;
    }
    return *text != NULL;
}

int main(int argc, char **argv)
{
    struct probe p = {.quiet = false};
    struct ipc_limits limits = {.connect_timeout_ms = 10000, .stall_timeout_ms = 5000};
    struct source_params params = {.transport = IPC_TRANSPORT_RTSP_TCP, .limits = &limits};
    uint64_t seconds = 5;
    struct camera_url url;
    const char *text = NULL;
    const char *reason = "";
    if (!read_options(argc, argv, &p, &params, &limits, &text, &seconds))
        return usage();
    if (url_parse(&url, text, strlen(text), &reason) != 0) {
        fprintf(stderr, "rtsp-probe: %s\n", reason);
        return 2;
    }
    params.url = &url;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)uv_loop_init(&p.loop);
    (void)uv_timer_init(&p.loop, &p.timer);
    (void)uv_signal_init(&p.loop, &p.signal);
    p.timer.data = p.signal.data = &p;
    (void)uv_timer_start(&p.timer, on_timer, seconds * 1000, 0);
    (void)uv_timer_init(&p.loop, &p.tick);
    (void)uv_timer_start(&p.tick, on_tick, 1000, 1000);
    (void)uv_signal_start(&p.signal, on_signal, SIGTERM);

    p.opened_us = clock_us();
    p.source = source_rtsp_open(
        &p.loop, &params,
        &(struct media_sink){
            .on_tracks = on_tracks, .on_no_audio = on_no_audio, .on_packet = on_packet, .ctx = &p},
        &(struct source_rtsp_events){on_end, &p});
    (void)uv_run(&p.loop, UV_RUN_DEFAULT);
    int rc = uv_loop_close(&p.loop);

    struct rusage usage_self;
    (void)getrusage(RUSAGE_SELF, &usage_self);
    fprintf(stderr,
            "first video after %lld us; %llu frames, delay mean %lld us, max %lld us; "
            "packets %llu bytes %llu; cpu %.3f s, max rss %ld kB, loop %s\n",
            (long long)(p.first_us != 0 ? p.first_us - p.opened_us : -1),
            (unsigned long long)p.frames,
            (long long)(p.frames > 0 ? p.delay_us / (int64_t)p.frames : -1),
            (long long)p.delay_max_us, (unsigned long long)p.packets, (unsigned long long)p.bytes,
            (double)(usage_self.ru_utime.tv_sec + usage_self.ru_stime.tv_sec) +
                (double)(usage_self.ru_utime.tv_usec + usage_self.ru_stime.tv_usec) / 1e6,
            usage_self.ru_maxrss, rc == 0 ? "closed" : "leaks");
    return rc == 0 ? 0 : 1;
}
