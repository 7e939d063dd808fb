/*
 * Workers that the last program started, and that still serve their cameras: each belongs to a
 * camera of its own, the predecessor of the one in the set, its heir.  Master, loop thread.
 *
 * The heir's worker connects first, where the camera allows two sessions, and the predecessor's
 * makes way when it streams.  If the camera refuses, the predecessor's leaves first: the gap is a
 * reconnect.  Its clients move to the heir when its process has ended (camera_succession.c).
 */
#include "common/clock.h"
#include "common/log.h"
#include "common/xalloc.h"
#include "master/camera_table_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Heirs that connect at the same time: each needs a worker beside the old one. */
#define HEIRS_AT_ONCE 8

struct camera *camera_predecessor_new(struct camera *heir, const struct takeover_record *record,
                                      struct takeover *takeover)
{
    struct camera *past = xcalloc(1, sizeof(*past));
    past->table = heir->table;
    past->heir = heir;
    past->url = heir->url;
    past->transport = heir->transport;
    past->named = heir->named;
    memcpy(past->key, heir->key, sizeof(past->key));
    memcpy(past->id, heir->id, sizeof(past->id));
    memcpy(past->shown, heir->shown, sizeof(past->shown));
    past->state_since_ms = clock_ms();
    past->state_since_us = clock_us();
    past->state = heir->state; /* it reports changes alone */
    memset(&heir->state, 0, sizeof(heir->state));
    LIST_INSERT_HEAD(&heir->predecessors, past, link);
    past->worker = workers_restore(heir->table->workers, record, takeover, past, past->id);
    if (past->worker == NULL) {
        camera_predecessor_free(past);
        return NULL;
    }
    return past;
}

void camera_predecessor_free(struct camera *past)
{
    camera_clients_drop(&past->table->clients, past);
    LIST_REMOVE(past, link);
    explicit_bzero(past, sizeof(*past)); /* a password */
    free(past);
}

static bool streams(const struct camera *cam)
{
    return camera_state(cam) == IPC_CAMERA_STREAMING;
}

static unsigned connecting_heirs(const struct camera_table *t)
{
    unsigned n = 0;
    for (size_t i = 0; i < t->admission.cameras.count; i++) {
        const struct camera *cam = t->admission.cameras.list[i];
        n += !LIST_EMPTY(&cam->predecessors) && cam->worker != NULL && cam->login_waits_ms == 0 &&
             !streams(cam);
    }
    return n;
}

/* If the heir cannot be connected now, the next tick tries again. */
static void connect_heir(struct camera *heir)
{
    if (heir->worker == NULL && camera_quarantine_ms(heir) == 0 && !camera_login_is_refused(heir) &&
        connecting_heirs(heir->table) < HEIRS_AT_ONCE)
        (void)camera_table_start(heir, true);
}

/* Its worker may wait seconds for its next attempt: another one begins at once. */
static void note_failure(struct camera *past)
{
    const struct log_context ctx = camera_log(past);
    if (!past->heir_failed)
        log_info(&ctx, "upgrade: no second session with the camera (%s): the old one ends first",
                 http_error_code((enum http_error)past->heir->state.error));
    past->heir_failed = true;
    (void)camera_succession_yield(past->heir);
}

/* Whoever polls has no connection to the worker between two pictures. */
static bool is_needed(const struct camera *past)
{
    return past->guests.count > 0 || (streams(past) && camera_was_asked_for(past->heir));
}

void camera_predecessor_step(struct camera *past)
{
    struct camera *heir = past->heir;
    bool failed = heir->worker != NULL && heir->state.state == IPC_CAMERA_BACKOFF &&
                  heir->state.error != HTTP_ERROR_NONE;
    if (past->worker == NULL)
        return;
    if (!is_needed(past))
        (void)camera_table_leave(past); /* the caller frees it */
    else if (past->moves)
        return; /* its clients wait for another camera than its heir */
    else if (streams(heir) || (past->heir_failed && !heir->yielding))
        (void)camera_succession_yield(past);
    else if (failed && heir->state.error != HTTP_ERROR_CAMERA_UNAUTHORIZED)
        note_failure(past); /* a refused password would cost all clients: they stay */
    else if (!past->heir_failed)
        connect_heir(heir);
}

void camera_predecessor_heir_state(const struct camera *heir)
{
    struct camera *past;
    LIST_FOREACH(past, &heir->predecessors, link)
    {
        if (is_needed(past))
            camera_predecessor_step(past);
    }
}

void camera_predecessor_tick(struct camera *heir)
{
    struct camera *next;
    for (struct camera *past = LIST_FIRST(&heir->predecessors); past != NULL; past = next) {
        next = LIST_NEXT(past, link);
        camera_predecessor_step(past);
        camera_table_release(past);
    }
}

int camera_predecessor_end(struct camera *heir, uint32_t grace_ms)
{
    struct camera *next;
    int rc = 0;
    for (struct camera *past = LIST_FIRST(&heir->predecessors); past != NULL; past = next) {
        next = LIST_NEXT(past, link);
        if (past->worker != NULL && camera_table_end(past, grace_ms) == -EAGAIN)
            rc = -EAGAIN;
        camera_table_release(past);
    }
    return rc;
}
