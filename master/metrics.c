#include "master/metrics.h"

#include "common/clock.h"
#include "common/histogram.h"
#include "common/log.h"
#include "common/version.h"
#include "common/xalloc.h"
#include "master/camera_store.h"
#include "master/process_info.h"
#include "master/server_shared.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PREFIX "cam_httpflv_"
#define PATH_BYTES 64

/* clang-format off */
/* What workers count.  X(name, type, member of struct ipc_stats, units in one base unit, help).
 * Each is shown as camera_NAME for every camera; counters and viewers also as NAME, summed over all
 * cameras. */
#define WORKER_METRICS(X)                                                                         \
    X(received_bytes_total,        counter, bytes_in,              1,    "Media received from cameras.") \
    X(sent_bytes_total,            counter, bytes_out,             1,    "Sent to viewers.")      \
    X(received_frames_total,       counter, frames_in,             1,    "Frames received from cameras, video and audio.") \
    X(skipped_frames_total,        counter, frames_dropped,        1,    "Frames that viewers missed because they were too slow.") \
    X(gop_overflows_total,         counter, gop_overflows,         1,    "Groups of pictures bigger than gop_max_bytes.") \
    X(lost_packets_total,          counter, packets_lost,          1,    "RTP packets that never came.") \
    X(overrun_packets_total,       counter, packets_overrun,       1,    "RTP packets that came, and were dropped here because a socket's buffer was full.") \
    X(damaged_frames_total,        counter, frames_damaged,        1,    "Video frames with lost packets, or after such a frame up to the next key frame or recovery point.") \
    X(torn_frames_total,           counter, frames_left_out,       1,    "Video frames that nobody gets, because packets within them were lost.") \
    X(refused_frames_total,        counter, frames_refused,        1,    "Frames of RTMP and HTTP cameras that came faster than they could be taken.") \
    X(transcoder_dropped_frames_total, counter, transcoder_dropped, 1,   "Frames that the transcoder to H.264 left out undecoded: too many waited, or they were damaged.") \
    X(transcoder_late_frames_total, counter, transcoder_late,      1,    "Frames that the transcoder to H.264 decoded but left out: too late, or before the moment at which it joined.") \
    X(refused_clients_total,       counter, clients_refused,       1,    "Requests that the camera's worker answered with an error.") \
    X(viewers,                     gauge,   viewers,               1,    "Viewers, of streams and MJPEG.") \
    X(frames_per_second,           gauge,   frame_rate_mhz,        1000, "Frame rate that the camera states.") \
    X(key_frame_interval_seconds,  gauge,   key_frame_interval_ms, 1000, "Between the last two key frames.")

/* X(name, member of struct ipc_stats, help): likewise, for each camera and for all. */
#define WORKER_HISTOGRAMS(X)                                                             \
    X(join_seconds,     join,     "From accepting a viewer to its first picture.")       \
    X(snapshot_seconds, snapshot, "From taking over a snapshot request to its picture.")
/* clang-format on */

struct worker_metric {
    const char *name;
    const char *type;
    size_t offset;
    size_t size;
    unsigned scale;
    const char *help;
};

static const struct worker_metric worker_metrics[] = {
#define X(id, kind, member, units, about)                       \
    {.name = #id,                                               \
     .type = #kind,                                             \
     .offset = offsetof(struct ipc_stats, member), /* NOLINT */ \
     .size = sizeof(((const struct ipc_stats *)NULL)->member),  \
     .scale = (units),                                          \
     .help = (about)},
    WORKER_METRICS(X)
#undef X
};

static const struct {
    const char *name;
    size_t offset;
    const char *help;
} worker_histograms[] = {
#define X(id, member, about) {#id, offsetof(struct ipc_stats, member), (about)}, /* NOLINT */
    WORKER_HISTOGRAMS(X)
#undef X
};

#define STATES IPC_CAMERA_SHOWN_COUNT

static void head(FILE *out, const char *name, const char *type, const char *help)
{
    (void)fprintf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help, name, type);
}

static void single(FILE *out, const char *name, const char *type, const char *help, uint64_t value)
{
    head(out, name, type, help);
    (void)fprintf(out, PREFIX "%s %" PRIu64 "\n", name, value);
}

static double value_of(const struct ipc_stats *stats, const struct worker_metric *m)
{
    const char *at = (const char *)stats + m->offset;
    uint64_t big = 0;
    uint32_t small = 0;
    if (m->size == sizeof(big))
        memcpy(&big, at, sizeof(big));
    else
        memcpy(&small, at, sizeof(small));
    return (double)(big + small) / m->scale;
}

static const struct ipc_histogram *histogram_of(const struct ipc_stats *stats, size_t m)
{
    return (const struct ipc_histogram *)(const void *)((const char *)stats +
                                                        worker_histograms[m].offset);
}

static void put_histogram(FILE *out, const char *name, const char *camera,
                          const struct ipc_histogram *h)
{
    const char *before = camera != NULL ? "camera=\"" : "";
    const char *after = camera != NULL ? "\"" : "";
    const char *id = camera != NULL ? camera : "";
    uint64_t count = 0;
    for (int i = 0; i < IPC_HISTOGRAM_BUCKETS; i++) {
        char bound[32] = "+Inf";
        if (i < IPC_HISTOGRAM_BUCKETS - 1)
            (void)snprintf(bound, sizeof(bound), "%g", histogram_bounds_us[i] / 1e6);
        count += h->counts[i];
        (void)fprintf(out, PREFIX "%s_bucket{%s%s%s%sle=\"%s\"} %" PRIu64 "\n", name, before, id,
                      after, camera != NULL ? "," : "", bound, count);
    }
    const char *open = camera != NULL ? "{" : "", *close = camera != NULL ? "}" : "";
    (void)fprintf(out, PREFIX "%s_sum%s%s%s%s%s %.6f\n", name, open, before, id, after, close,
                  (double)h->sum_us / 1e6);
    (void)fprintf(out, PREFIX "%s_count%s%s%s%s%s %" PRIu64 "\n", name, open, before, id, after,
                  close, count);
}

/* --- for each camera ------------------------------------------------------ */

/* Does it have series of its own?  Cameras that are only remembered have nothing to show, and
 * anyone can make the server remember a thousand. */
static bool is_shown(const struct camera *cam)
{
    enum ipc_camera_state state = camera_state(cam);
    return camera_is_served(cam) || state == IPC_CAMERA_QUARANTINED ||
           (cam->named && state != IPC_CAMERA_UNWATCHED);
}

static void put_camera_states(FILE *out, const struct camera_list *cameras)
{
    head(out, "camera_state", "gauge", "1 for the state that the camera is in.");
    for (size_t i = 0; i < cameras->count; i++) {
        for (int s = 0; s < STATES; s++)
            (void)fprintf(out, PREFIX "camera_state{camera=\"%s\",state=\"%s\"} %d\n",
                          cameras->items[i]->id, ipc_camera_state_name((enum ipc_camera_state)s),
                          (int)camera_state(camera_serving(cameras->items[i])) == s);
    }
}

static void put_camera_quarantines(FILE *out, const struct camera_list *cameras)
{
    head(out, "camera_next_try_seconds", "gauge",
         "Until a quarantined camera, whose workers died, gets another one.");
    for (size_t i = 0; i < cameras->count; i++) {
        if (camera_state(cameras->items[i]) == IPC_CAMERA_QUARANTINED)
            (void)fprintf(out, PREFIX "camera_next_try_seconds{camera=\"%s\"} %.3f\n",
                          cameras->items[i]->id,
                          (double)camera_quarantine_ms(cameras->items[i]) / 1000);
    }
}

/* Named cameras keep theirs while nobody watches them. */
static void put_last_frames(FILE *out, const struct camera_list *cameras)
{
    head(out, "camera_last_frame_timestamp_seconds", "gauge",
         "When the newest picture came from the camera, UNIX time.");
    for (size_t i = 0; i < cameras->count; i++) {
        const struct camera *cam = cameras->items[i];
        if (cam->health.last_frame_us != 0 && (cam->named || is_shown(cam)))
            (void)fprintf(out, PREFIX "camera_last_frame_timestamp_seconds{camera=\"%s\"} %.3f\n",
                          cam->id, (double)clock_unix_of_us(cam->health.last_frame_us) / 1e6);
    }
}

/* Also between two attempts. */
static void put_camera_downs(FILE *out, const struct camera_list *cameras)
{
    head(out, "camera_down_since_timestamp_seconds", "gauge",
         "Since when the camera is down, UNIX time; absent while it streams, and when nobody has "
         "wanted it for a minute.");
    for (size_t i = 0; i < cameras->count; i++) {
        const struct camera *cam = cameras->items[i];
        if (cam->health.down_since_us != 0 &&
            (is_shown(cam) || (cam->named && camera_is_wanted(cam))))
            (void)fprintf(out,
                          PREFIX "camera_down_since_timestamp_seconds{camera=\"%s\",reason=\"%s\"}"
                                 " %.3f\n",
                          cam->id, http_error_code(cam->health.reason),
                          (double)clock_unix_of_us(cam->health.down_since_us) / 1e6);
    }
}

static void put_camera_reconnects(FILE *out, const struct camera_list *cameras)
{
    head(out, "camera_reconnects_total", "counter",
         "Connections to the camera that failed or were lost.");
    for (size_t i = 0; i < cameras->count; i++) {
        for (int e = HTTP_ERROR_NONE + 1; e < HTTP_ERROR_COUNT; e++) {
            if (cameras->items[i]->reconnects[e] > 0)
                (void)fprintf(out,
                              PREFIX "camera_reconnects_total{camera=\"%s\",reason=\"%s\"} %u\n",
                              cameras->items[i]->id, http_error_code((enum http_error)e),
                              cameras->items[i]->reconnects[e]);
        }
    }
}

static void put_camera_processes(FILE *out, const struct camera_list *cameras)
{
    head(out, "camera_worker_restarts_total", "counter",
         "Workers of the camera that died and were replaced.");
    for (size_t i = 0; i < cameras->count; i++)
        (void)fprintf(out, PREFIX "camera_worker_restarts_total{camera=\"%s\"} %u\n",
                      cameras->items[i]->id, cameras->items[i]->worker_deaths);
    head(out, "camera_resident_memory_bytes", "gauge",
         "Resident memory of the camera's worker, shared pages included.");
    for (size_t i = 0; i < cameras->count; i++) {
        const struct camera *cam = camera_serving(cameras->items[i]);
        pid_t pid = cam->worker != NULL ? worker_pid(cam->worker) : 0;
        if (pid > 0)
            (void)fprintf(out, PREFIX "camera_resident_memory_bytes{camera=\"%s\"} %" PRIu64 "\n",
                          cam->id, process_resident_bytes(pid));
    }
}

static double camera_value(const struct camera *cam, const struct worker_metric *m)
{
    const struct ipc_stats stats = camera_stats(cam);
    return value_of(&stats, m);
}

static void put_cameras(FILE *out, const struct camera_list *cameras)
{
    char name[PATH_BYTES];
    put_camera_states(out, cameras);
    for (size_t m = 0; m < sizeof(worker_metrics) / sizeof(worker_metrics[0]); m++) {
        (void)snprintf(name, sizeof(name), "camera_%s", worker_metrics[m].name);
        head(out, name, worker_metrics[m].type, worker_metrics[m].help);
        for (size_t i = 0; i < cameras->count; i++)
            (void)fprintf(out, PREFIX "%s{camera=\"%s\"} %.15g\n", name, cameras->items[i]->id,
                          camera_value(cameras->items[i], &worker_metrics[m]));
    }
    for (size_t m = 0; m < sizeof(worker_histograms) / sizeof(worker_histograms[0]); m++) {
        (void)snprintf(name, sizeof(name), "camera_%s", worker_histograms[m].name);
        head(out, name, "histogram", worker_histograms[m].help);
        for (size_t i = 0; i < cameras->count; i++)
            put_histogram(out, name, cameras->items[i]->id,
                          histogram_of(&camera_serving(cameras->items[i])->stats, m));
    }
    put_camera_reconnects(out, cameras);
    put_camera_quarantines(out, cameras);
    put_camera_processes(out, cameras);
}

/* --- for all -------------------------------------------------------------- */

static void put_by_error(FILE *out, const char *name, const char *label, const char *help,
                         const uint64_t counts[HTTP_ERROR_COUNT])
{
    head(out, name, "counter", help);
    for (int e = HTTP_ERROR_NONE + 1; e < HTTP_ERROR_COUNT; e++)
        (void)fprintf(out, PREFIX "%s{%s=\"%s\"} %" PRIu64 "\n", name, label,
                      http_error_code((enum http_error)e), counts[e]);
}

/* @param unwatched  how many configured cameras are not in the list. */
static void put_camera_counts(FILE *out, const struct camera_list *cameras, size_t unwatched)
{
    uint64_t counts[STATES] = {[IPC_CAMERA_UNWATCHED] = unwatched};
    for (size_t i = 0; i < cameras->count; i++)
        counts[camera_state(camera_serving(cameras->items[i]))]++;
    head(out, "cameras", "gauge", "Cameras by state.");
    for (int s = 0; s < STATES; s++)
        (void)fprintf(out, PREFIX "cameras{state=\"%s\"} %" PRIu64 "\n",
                      ipc_camera_state_name((enum ipc_camera_state)s), counts[s]);
}

static size_t count_unwatched(const struct server *server)
{
    const struct camera_set *set = camera_table_set(server->cameras);
    size_t count = 0;
    for (size_t i = 0; i < server->conf->camera_count; i++)
        count += camera_set_lacks(set, &server->conf->cameras[i]);
    return count;
}

static void put_worker_failures(FILE *out, const uint64_t counts[WORKER_FAILURE_COUNT])
{
    head(out, "worker_failures_total", "counter", "Workers that ended without being asked to.");
    for (size_t i = 0; i < WORKER_FAILURE_COUNT; i++)
        (void)fprintf(out, PREFIX "worker_failures_total{reason=\"%s\"} %" PRIu64 "\n",
                      worker_failure_name((enum worker_failure)i), counts[i]);
}

static void put_handovers(FILE *out, const struct camera_totals *totals)
{
    head(out, "handovers_total", "counter",
         "Clients of workers that died: kept for the next worker, or cut.");
    (void)fprintf(out, PREFIX "handovers_total{result=\"kept\"} %" PRIu64 "\n",
                  totals->clients_kept);
    (void)fprintf(out, PREFIX "handovers_total{result=\"cut\"} %" PRIu64 "\n", totals->clients_cut);
}

static void put_totals(FILE *out, const struct camera_totals *totals)
{
    for (size_t m = 0; m < sizeof(worker_metrics) / sizeof(worker_metrics[0]); m++) {
        const struct worker_metric *w = &worker_metrics[m];
        if (strcmp(w->type, "counter") != 0 && strcmp(w->name, "viewers") != 0)
            continue;
        head(out, w->name, w->type, w->help);
        (void)fprintf(out, PREFIX "%s %.15g\n", w->name, value_of(&totals->stats, w));
    }
    for (size_t m = 0; m < sizeof(worker_histograms) / sizeof(worker_histograms[0]); m++) {
        head(out, worker_histograms[m].name, "histogram", worker_histograms[m].help);
        put_histogram(out, worker_histograms[m].name, NULL, histogram_of(&totals->stats, m));
    }
    put_by_error(out, "reconnects_total", "reason",
                 "Connections to cameras that failed or were lost.", totals->reconnects);
    single(out, "worker_restarts_total", "counter", "Workers that died and were replaced.",
           totals->worker_deaths);
    single(out, "nursery_restarts_total", "counter",
           "Nurseries that ended, by themselves or by others, and were replaced.",
           totals->nursery_deaths);
    put_worker_failures(out, totals->worker_failures);
    put_handovers(out, totals);
}

static void put_changes(FILE *out, const struct camera_store *store)
{
    head(out, "changed_cameras_total", "counter", "Cameras that requests saved or removed.");
    (void)fprintf(out,
                  PREFIX "changed_cameras_total{result=\"saved\"} %" PRIu64 "\n" PREFIX
                         "changed_cameras_total{result=\"removed\"} %" PRIu64 "\n" PREFIX
                         "changed_cameras_total{result=\"failed\"} %" PRIu64 "\n",
                  store->saved, store->removed, store->failed);
}

static void put_server(FILE *out, const struct server *server)
{
    head(out, "build_info", "gauge", "The version that runs.");
    (void)fprintf(out, PREFIX "build_info{version=\"%s\"} 1\n", CAM_HTTPFLV_VERSION);
    single(out, "start_time_seconds", "gauge", "When the server started, UNIX time.",
           (uint64_t)server->started_s);
    single(out, "draining", "gauge", "1 while the server is stopping.", server->draining);
    single(out, "connections", "gauge", "Requests that the master is reading or answering.",
           server->conns);
    single(out, "accepted_connections_total", "counter", "Connections accepted on both ports.",
           server->next_conn_id);
    single(out, "evicted_connections_total", "counter",
           "Connections closed because their client had its share of them, or all were taken.",
           server->evicted_conns);
    single(out, "healthy", "gauge", "1 while /healthz answers 200.",
           !server->draining && camera_table_health(server->cameras) == NULL);
    single(out, "config_last_reload_successful", "gauge",
           "0 if the last reload failed: the configuration is older than the file.",
           !server->reload_failed);
    single(out, "seconds_without_descriptors_total", "counter",
           "Seconds in which no descriptor was left, and connections were closed unanswered.",
           server->seconds_without_descriptors);
    single(out, "nursery_up", "gauge", "1 while workers can be forked.",
           camera_table_has_nursery(server->cameras));
    single(out, "dropped_log_lines_total", "counter",
           "Log lines that stderr did not take, or that were beyond their worker's share.",
           log_dropped());
    single(out, "resident_memory_bytes", "gauge", "Resident memory of the master.",
           process_resident_bytes(getpid()));
    single(out, "stored_viewers", "gauge",
           "Viewers that systemd keeps the sockets of, so that they outlive the server.",
           server->stored_viewers);
    single(out, "unstored_viewers", "gauge", "Viewers for whose sockets systemd has no room.",
           server->unstored_viewers);
    put_changes(out, server->store);
    put_by_error(out, "refused_requests_total", "code",
                 "Requests that the master answered with an error.", server->refused);
}

/* The cameras with series of their own. */
static struct camera_list list_shown(const struct camera_list *cameras, const struct camera **room)
{
    struct camera_list shown = {.items = room};
    for (size_t i = 0; i < cameras->count; i++) {
        const struct camera *cam = cameras->items[i];
        if (is_shown(cam))
            room[shown.count++] = cam;
    }
    return shown;
}

char *metrics_text(const struct server *server)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (out == NULL)
        return NULL;
    const struct camera_list cameras = camera_table_list(server->cameras);
    const struct camera_totals totals = camera_table_totals(server->cameras);
    put_server(out, server);
    put_camera_counts(out, &cameras, count_unwatched(server));
    put_totals(out, &totals);
    const struct camera **room = xcalloc(cameras.count + 1, sizeof(const struct camera *));
    const struct camera_list shown = list_shown(&cameras, room);
    put_cameras(out, &shown);
    put_camera_downs(out, &cameras);
    put_last_frames(out, &cameras);
    free(room);
    bool failed = ferror(out) != 0;
    if (fclose(out) != 0 || failed) {
        free(text);
        return NULL;
    }
    return text;
}
