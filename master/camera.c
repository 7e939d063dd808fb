#include "master/camera.h"

#include "common/clock.h"
#include "common/histogram.h"
#include "common/url_redact.h"
#include "common/xalloc.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int64_t camera_quarantine_ms(const struct camera *cam)
{
    if (cam->crashes < 3)
        return 0;
    unsigned doublings = cam->crashes - 3 < 5 ? cam->crashes - 3 : 5;
    int64_t wait_ms = (int64_t)CAMERA_CRASH_BACKOFF_MS << doublings;
    if (wait_ms > CAMERA_CRASH_BACKOFF_MAX_MS)
        wait_ms = CAMERA_CRASH_BACKOFF_MAX_MS;
    int64_t left_ms = cam->crashed_ms + wait_ms - clock_ms();
    return left_ms > 0 ? left_ms : 0;
}

static enum ipc_camera_state state_without_worker(const struct camera *cam)
{
    if (camera_quarantine_ms(cam) > 0)
        return IPC_CAMERA_QUARANTINED;
    if (cam->always_on && !cam->stopped && cam->health.reason == HTTP_ERROR_CAMERA_UNAUTHORIZED)
        return IPC_CAMERA_IDLE; /* as the one that was asked for both (camera_login.c) */
    return cam->named && !cam->always_on ? IPC_CAMERA_UNWATCHED : IPC_CAMERA_STATE_COUNT;
}

enum ipc_camera_state camera_state(const struct camera *cam)
{
    if (cam->worker == NULL)
        return state_without_worker(cam);
    bool known = cam->state.state < IPC_CAMERA_STATE_COUNT;
    return known ? (enum ipc_camera_state)cam->state.state : IPC_CAMERA_STATE_COUNT;
}

/* --- while workers of the last program are left ---------------------------- */

const struct camera *camera_serving(const struct camera *cam)
{
    const struct camera *past;
    if (camera_state(cam) == IPC_CAMERA_STREAMING)
        return cam;
    LIST_FOREACH(past, &cam->predecessors, link)
    {
        if (camera_state(past) == IPC_CAMERA_STREAMING)
            return past;
    }
    return cam;
}

/* Until a worker has reported, it has those that it was given. */
static uint32_t reported_viewers(const struct camera *cam)
{
    return cam->stats_ms != 0 ? cam->stats.viewers : (uint32_t)cam->guests.viewers.total;
}

struct ipc_stats camera_stats(const struct camera *cam)
{
    struct ipc_stats stats = camera_serving(cam)->stats;
    const struct camera *past;
    stats.viewers = reported_viewers(cam);
    LIST_FOREACH(past, &cam->predecessors, link)
    {
        stats.viewers += reported_viewers(past);
    }
    return stats;
}

size_t camera_viewers(const struct camera *cam)
{
    size_t viewers = cam->guests.viewers.total;
    const struct camera *past;
    LIST_FOREACH(past, &cam->predecessors, link)
    {
        viewers += past->guests.viewers.total;
    }
    return viewers;
}

bool camera_is_served(const struct camera *cam)
{
    return cam->worker != NULL || !LIST_EMPTY(&cam->predecessors);
}

/* --- who wants it ----------------------------------------------------------- */

static bool is_recent(int64_t at_ms)
{
    return at_ms != 0 && clock_ms() - at_ms < CAMERA_WANTED_MS;
}

bool camera_is_wanted(const struct camera *cam)
{
    return cam->worker != NULL || is_recent(cam->asked_ms) || is_recent(cam->state_since_ms);
}

bool camera_was_asked_for(const struct camera *cam)
{
    return is_recent(cam->asked_ms);
}

/* Nobody is asked while the password is refused. */
void camera_begin_attempt(struct camera *cam)
{
    if (!cam->always_on && !camera_is_wanted(cam) && !is_recent(cam->refused_until_ms))
        camera_health_expire(&cam->health);
}

void camera_stats_add(struct ipc_stats *sum, const struct ipc_stats *s)
{
    sum->bytes_in += s->bytes_in;
    sum->bytes_out += s->bytes_out;
    sum->frames_in += s->frames_in;
    sum->frames_dropped += s->frames_dropped;
    sum->gop_overflows += s->gop_overflows;
    sum->packets_lost += s->packets_lost;
    sum->packets_overrun += s->packets_overrun;
    sum->frames_damaged += s->frames_damaged;
    sum->frames_left_out += s->frames_left_out;
    sum->frames_refused += s->frames_refused;
    sum->transcoder_dropped += s->transcoder_dropped;
    sum->transcoder_late += s->transcoder_late;
    sum->clients_refused += s->clients_refused;
    histogram_merge(&sum->join, &s->join);
    histogram_merge(&sum->snapshot, &s->snapshot);
}

/* --- names ---------------------------------------------------------------- */

static void set_id(struct camera_set *set, struct camera *cam, const char *id, bool named)
{
    cam->named = named;
    (void)snprintf(cam->id, sizeof(cam->id), "%s", id);
    text_index_put(&set->ids, cam->id, cam);
}

/* The ID tells nothing about the password, so cameras that differ only in that would share one.
 * Then the ID gets a suffix, counted up over all cameras: a search for the lowest free one would
 * take longer with every password that somebody tries. */
static void give_stream_id(struct camera_set *set, struct camera *cam)
{
    char id[URL_STREAM_ID_MAX];
    url_stream_id(&cam->url, cam->transport, 0, id);
    while (text_index_find(&set->ids, id) != NULL)
        url_stream_id(&cam->url, cam->transport, ++set->last_suffix, id);
    set_id(set, cam, id, false);
}

static void give_id(struct camera_set *set, struct camera *cam)
{
    const struct conf_camera *c = camera_set_configured(set, cam->key, cam->transport);
    if (c != NULL)
        set_id(set, cam, c->name, true);
    else
        give_stream_id(set, cam);
}

/* A camera that the file lists under two names keeps its present one. */
static bool has_right_id(const struct camera_set *set, const struct conf *conf,
                         const struct camera *cam)
{
    if (!cam->named)
        return camera_set_configured(set, cam->key, cam->transport) == NULL;
    const struct conf_camera *c = conf_find_camera(conf, cam->id);
    return c != NULL && c->transport == cam->transport && strcmp(c->key, cam->key) == 0;
}

/* The first with a URL counts. */
static void index_configured(struct camera_set *set, const struct conf_camera *cameras,
                             size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct conf_camera *c = &cameras[i];
        if (camera_set_configured(set, c->key, c->transport) == NULL)
            text_index_put(&set->configured[c->transport], c->key, c);
    }
}

void camera_set_configure(struct camera_set *set, const struct conf *conf)
{
    for (size_t i = 0; i < IPC_TRANSPORT_COUNT; i++)
        text_index_clear(&set->configured[i]);
    index_configured(set, conf->cameras, conf->camera_count);
    index_configured(set, conf->subs, conf->sub_count);
    /* Remove all wrong names first: two cameras may have swapped theirs. */
    for (size_t i = 0; i < set->count; i++) {
        struct camera *cam = set->list[i];
        if (!has_right_id(set, conf, cam)) {
            text_index_remove(&set->ids, cam->id, cam);
            cam->id[0] = '\0';
        }
    }
    for (size_t i = 0; i < set->count; i++) {
        if (set->list[i]->id[0] == '\0')
            give_id(set, set->list[i]);
    }
}

const struct conf_camera *camera_set_configured(const struct camera_set *set, const char *key,
                                                enum ipc_transport transport)
{
    return text_index_find(&set->configured[transport], key);
}

/* --- cameras -------------------------------------------------------------- */

struct camera *camera_set_find(const struct camera_set *set, const char *key,
                               enum ipc_transport transport)
{
    return (struct camera *)(uintptr_t)text_index_find(&set->keys[transport], key);
}

bool camera_set_lacks(const struct camera_set *set, const struct conf_camera *c)
{
    return camera_set_find(set, c->key, c->transport) == NULL &&
           camera_set_configured(set, c->key, c->transport) == c;
}

struct camera *camera_set_find_id(const struct camera_set *set, const char *id)
{
    return (struct camera *)(uintptr_t)text_index_find(&set->ids, id);
}

static void append(struct camera_set *set, struct camera *cam)
{
    if (set->count == set->capacity) {
        set->capacity = set->capacity == 0 ? 64 : 2 * set->capacity;
        set->list = realloc(set->list, set->capacity * sizeof(struct camera *));
        if (set->list == NULL)
            abort();
    }
    set->list[set->count++] = cam;
}

struct camera *camera_set_add(struct camera_set *set, const struct camera_url *url, const char *key,
                              enum ipc_transport transport)
{
    struct camera *cam = xcalloc(1, sizeof(*cam));
    assert(camera_set_find(set, key, transport) == NULL);
    cam->transport = transport;
    cam->url = *url;
    (void)snprintf(cam->key, sizeof(cam->key), "%s", key);
    (void)url_redact(url, cam->shown);
    text_index_put(&set->keys[transport], cam->key, cam);
    give_id(set, cam);
    cam->state_since_ms = clock_ms();
    cam->state_since_us = clock_us();
    append(set, cam);
    return cam;
}

void camera_set_keep_id(struct camera_set *set, struct camera *cam, const char *id)
{
    if (cam->named || id[0] == '\0' || text_index_find(&set->ids, id) != NULL)
        return;
    text_index_remove(&set->ids, cam->id, cam);
    set_id(set, cam, id, false);
}

void camera_set_remove(struct camera_set *set, struct camera *cam)
{
    size_t i = 0;
    while (set->list[i] != cam)
        i++;
    memmove(set->list + i, set->list + i + 1, (--set->count - i) * sizeof(struct camera *));
    text_index_remove(&set->keys[cam->transport], cam->key, cam);
    text_index_remove(&set->ids, cam->id, cam);
    guest_list_clear(&cam->guests);
    explicit_bzero(cam, sizeof(*cam)); /* a password */
    free(cam);
}

void camera_set_clear(struct camera_set *set)
{
    while (set->count > 0)
        camera_set_remove(set, set->list[set->count - 1]);
    free(set->list);
    text_index_clear(&set->ids);
    for (size_t i = 0; i < IPC_TRANSPORT_COUNT; i++) {
        text_index_clear(&set->keys[i]);
        text_index_clear(&set->configured[i]);
    }
    *set = (struct camera_set){0};
}
