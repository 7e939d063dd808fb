/*
 * What the program that takes this one's place is told about cameras and their clients, and how it
 * takes them in: master/takeover.h.  Master, loop thread.
 */
#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "common/url.h"
#include "common/xalloc.h"
#include "master/camera_table_private.h"
#include "master/client_fields.h"
#include "master/login_takeover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CAMERA_NAMED 1u
#define CAMERA_STOPPED 2u

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
/* The tail is the camera's key. */
struct camera_record {
    uint32_t transport; /* enum ipc_transport */
    uint32_t flags;
    int64_t refused_until_ms; /* these four as in struct camera */
    int64_t crashed_ms;
    uint32_t crashes;
    uint32_t forgiven;
    int64_t last_frame_us; /* these three as in struct camera_health */
    int64_t down_since_us;
    uint32_t reason;
    uint32_t reserved;
    char id[IPC_CAMERA_ID_MAX];
    int64_t asked_ms;      /* as in struct camera */
    uint32_t worker_state; /* 1 + what its worker reported last; 0: no worker, or not known */
    uint32_t worker_error;
};

/* A client of the last camera.  The tail is its request. */
struct guest_record {
    uint64_t client[2]; /* struct client_key */
    uint8_t from[32];   /* union address */
    uint32_t kind;      /* enum ipc_client_kind */
    uint32_t ticket;
    struct visit_record visit;
};
#pragma GCC diagnostic pop
_Static_assert(sizeof(union address) <= sizeof(((struct guest_record *)NULL)->from), "it fits");

/* --- waiting for the workers -------------------------------------------------- */

static void make_way(struct camera *cam, void *nothing)
{
    (void)nothing;
    (void)camera_succession_yield(cam); /* a full outbox: the next call */
}

bool camera_table_settle(struct camera_table *table, bool live)
{
    table->paused = true;
    camera_login_postpone(table);
    if (live)
        return workers_are_settled(table->workers);
    camera_table_each(table, make_way, NULL);
    return workers_busy(table->workers) == 0;
}

/* What was restored was of a worker that did not follow. */
static void forget_states(struct camera_table *table)
{
    for (size_t i = 0; i < table->admission.cameras.count; i++) {
        struct camera *cam = table->admission.cameras.list[i];
        if (cam->worker == NULL)
            memset(&cam->state, 0, sizeof(cam->state));
    }
}

void camera_table_resume(struct camera_table *table)
{
    table->paused = false;
    forget_states(table);
    camera_succession_renamed(table);
    for (size_t i = 0; i < table->admission.cameras.count; i++)
        camera_succession_tick(table->admission.cameras.list[i]);
}

void camera_table_expect_child(struct camera_table *table, pid_t pid)
{
    workers_expect_child(table->workers, pid);
}

/* --- saving -------------------------------------------------------------------- */

static void save_guest(const struct guest *guest, uint32_t ticket, struct takeover_writer *w,
                       uint8_t *fields)
{
    struct guest_record r = {.client = {guest->client.bits[0], guest->client.bits[1]},
                             .kind = (uint32_t)guest->kind,
                             .ticket = ticket,
                             .visit = {.fd = -1}};
    memcpy(r.from, &guest->from, sizeof(guest->from));
    size_t len = guest->visit != NULL ? visit_save(guest->visit, w, &r.visit, fields) : 0;
    w->viewers += guest_is_viewer(guest->kind);
    takeover_put(w, TAKEOVER_GUEST, &r, sizeof(r), fields, len);
}

/* @return false: not now; then its clients are not saved. */
static bool save_worker(const struct worker *worker, struct takeover_writer *w)
{
    if (w->way != TAKEOVER_BY_EXECVE)
        return worker_save_remains(worker, w);
    worker_save(worker, w);
    return true;
}

/* What is written now about a client without a worker may be wrong by the time this program is
 * killed; and one that waits for a snapshot may have its answer by then. */
static bool may_save(const struct takeover_writer *w, const struct camera *cam,
                     const struct guest *guest)
{
    switch (w->way) {
    case TAKEOVER_BY_EXECVE:
        return guest->visit != NULL || cam->worker != NULL;
    case TAKEOVER_IF_KILLED:
        return guest->visit != NULL && cam->worker != NULL && guest_is_viewer(guest->kind);
    case TAKEOVER_AT_END:
        break;
    }
    return guest->visit != NULL;
}

/* All but its worker and clients. @param served  the same, or the predecessor whose worker follows.
 */
static void save_camera(const struct camera *cam, const struct camera *served,
                        struct takeover_writer *w)
{
    struct camera_record r = {.transport = (uint32_t)cam->transport,
                              .flags = (cam->named ? CAMERA_NAMED : 0) |
                                       (cam->stopped ? CAMERA_STOPPED : 0),
                              .refused_until_ms = cam->refused_until_ms,
                              .crashed_ms = cam->crashed_ms,
                              .crashes = cam->crashes,
                              .forgiven = cam->forgiven,
                              .last_frame_us = cam->health.last_frame_us,
                              .down_since_us = cam->health.down_since_us,
                              .reason = (uint32_t)cam->health.reason,
                              .asked_ms = cam->asked_ms};
    if (served->worker != NULL) {
        r.worker_state = served->state.state + 1;
        r.worker_error = served->state.error;
    }
    (void)snprintf(r.id, sizeof(r.id), "%s", cam->id);
    takeover_put(w, TAKEOVER_CAMERA, &r, sizeof(r), cam->key, strlen(cam->key));
}

static void save_clients(const struct camera *cam, struct takeover_writer *w, uint8_t *fields)
{
    if (cam->worker != NULL && !save_worker(cam->worker, w)) {
        w->postponed = w->postponed || cam->guests.count > 0;
        return;
    }
    for (uint32_t ticket = 0; ticket < cam->guests.room; ticket++) {
        const struct guest *guest = guest_list_find(&cam->guests, ticket);
        if (guest != NULL && may_save(w, cam, guest))
            save_guest(guest, ticket, w, fields);
    }
}

void camera_table_save(struct camera_table *table, struct takeover_writer *w)
{
    uint8_t *fields = xcalloc(1, CLIENT_FIELDS_MAX);
    login_takeover_save(&table->admission.logins, w);
    for (size_t i = 0; i < table->admission.cameras.count; i++) {
        const struct camera *cam = table->admission.cameras.list[i], *past;
        save_camera(cam, cam, w);
        save_clients(cam, w, fields);
        LIST_FOREACH(past, &cam->predecessors, link)
        { /* the camera again, now with this worker: it gets another predecessor */
            save_camera(cam, past, w);
            save_clients(past, w, fields);
        }
    }
    if (w->way == TAKEOVER_BY_EXECVE)
        workers_save(table->workers, w);
    explicit_bzero(fields, CLIENT_FIELDS_MAX);
    free(fields);
}

uint64_t camera_table_changes(const struct camera_table *table)
{
    return table->clients.changes;
}

uint64_t camera_table_moves(const struct camera_table *table)
{
    return table->clients.moves;
}

/* --- taking in ----------------------------------------------------------------- */

static struct camera *find_or_add(struct camera_table *t, const char *key, uint32_t transport)
{
    struct camera_url url;
    const char *reason;
    if (transport >= IPC_TRANSPORT_COUNT)
        return NULL;
    struct camera *cam = camera_set_find(&t->admission.cameras, key, (enum ipc_transport)transport);
    if (cam == NULL && url_parse(&url, key, strlen(key), &reason) == 0)
        cam = camera_table_add(t, &url, key, (enum ipc_transport)transport);
    explicit_bzero(&url, sizeof(url));
    return cam;
}

/* A version that did not say took it for streaming. */
static struct ipc_state worker_state(const struct camera_record *r)
{
    struct ipc_state state = {.state = IPC_CAMERA_STREAMING};
    if (r->worker_state > 0 && r->worker_state <= IPC_CAMERA_STATE_COUNT)
        state.state = r->worker_state - 1;
    if (r->worker_error < HTTP_ERROR_COUNT)
        state.error = r->worker_error;
    return state;
}

struct camera *camera_table_restore(struct camera_table *table,
                                    const struct takeover_record *record)
{
    struct camera_record r;
    char key[IPC_URL_MAX] = "";
    takeover_get(record, &r, sizeof(r));
    if (record->tail_len >= sizeof(key))
        return NULL;
    memcpy(key, record->tail, record->tail_len);
    struct camera *cam = find_or_add(table, key, r.transport);
    explicit_bzero(key, sizeof(key));
    if (cam == NULL)
        return NULL;
    cam->refused_until_ms = r.refused_until_ms;
    cam->crashed_ms = r.crashed_ms;
    cam->crashes = r.crashes;
    cam->forgiven = r.forgiven;
    cam->asked_ms = r.asked_ms;
    cam->state = worker_state(&r);
    cam->health.last_frame_us = r.last_frame_us;
    if (r.reason < HTTP_ERROR_COUNT && r.reason != HTTP_ERROR_NONE) {
        cam->health.down_since_us = r.down_since_us;
        cam->health.reason = (enum http_error)r.reason;
    }
    cam->stopped = (r.flags & CAMERA_STOPPED) != 0;
    cam->gone_ms = clock_ms();
    if ((r.flags & CAMERA_NAMED) == 0 && ipc_string_ok(r.id, sizeof(r.id)))
        camera_set_keep_id(&table->admission.cameras, cam, r.id);
    return cam;
}

struct camera *camera_table_restore_worker(struct camera *cam, const struct takeover_record *record,
                                           struct takeover *takeover)
{
    return cam != NULL ? camera_predecessor_new(cam, record, takeover) : NULL;
}

/* @return NULL: it has none; another program's worker may serve it nevertheless. */
static struct visit *restore_visit(const struct guest_record *r,
                                   const struct takeover_record *record, struct takeover *takeover,
                                   const struct worker_remains *remains)
{
    int fd = takeover_claim(takeover, r->visit.fd);
    struct visit *visit =
        fd != -1 ? visit_restore(&r->visit, record->tail, record->tail_len, &fd) : NULL;
    fd_close(&fd);
    if (visit != NULL && remains->there &&
        !visit_outlived_master(visit, handover_slot(remains->slots, r->ticket)))
        visit_free(&visit);
    return visit;
}

/* A ticket is the worker's: without one, any will do. */
static struct guest *seat(struct camera *cam, const struct guest_record *r,
                          const struct client_key *client, const union address *from)
{
    enum ipc_client_kind kind = (enum ipc_client_kind)r->kind;
    if (cam->worker != NULL)
        return guest_list_put(&cam->guests, r->ticket, client, from, kind);
    return guest_list_find(&cam->guests, guest_list_add(&cam->guests, client, from, kind));
}

bool camera_table_restore_guest(struct camera_table *table, struct camera *cam,
                                const struct takeover_record *record, struct takeover *takeover,
                                const struct worker_remains *remains)
{
    struct guest_record r;
    union address from;
    takeover_get(record, &r, sizeof(r));
    struct visit *visit = restore_visit(&r, record, takeover, remains);
    const struct client_key client = {{r.client[0], r.client[1]}};
    memcpy(&from, r.from, sizeof(from));
    struct guest *guest = NULL;
    if (cam != NULL && r.kind <= IPC_CLIENT_MJPEG && (visit != NULL || cam->worker != NULL))
        guest = seat(cam, &r, &client, &from);
    if (guest == NULL)
        visit_free(&visit);
    else
        camera_clients_remember(&table->clients, guest, visit);
    return guest != NULL;
}

void camera_table_restore_login(struct camera_table *table, const struct takeover_record *record)
{
    login_takeover_restore(&table->admission.logins, record);
}
