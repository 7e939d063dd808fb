#include "master/camera_clients.h"

#include "common/fd.h"
#include "common/handover.h"
#include "common/log.h"
#include "master/visit.h"
#include "master/worker_link.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

/* Places in a camera's list at which camera_clients_obey() looks at least: a system call each. */
#define LOOKS_MIN 64

void camera_clients_init(struct camera_clients *all, struct client_share *viewers,
                         camera_return_fn returned, void *ctx)
{
    struct rlimit limit = {.rlim_cur = 0};
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    *all = (struct camera_clients){.viewers = viewers, .returned = returned, .ctx = ctx};
    /* Half is for connections (server.c), a quarter for channels, logs and spare ones. */
    all->sockets_max = (size_t)limit.rlim_cur / 4;
}

/* --- coming and going ----------------------------------------------------- */

static void note_change(struct camera_clients *all, enum ipc_client_kind kind)
{
    all->changes += guest_is_viewer(kind);
}

static void forget_visit(struct camera_clients *all, struct guest *guest)
{
    if (guest->visit != NULL)
        all->sockets--;
    visit_free(&guest->visit);
}

bool camera_clients_left(struct camera_clients *all, struct camera *cam, uint32_t ticket)
{
    struct guest guest;
    if (!guest_list_remove(&cam->guests, ticket, &guest))
        return false;
    forget_visit(all, &guest);
    note_change(all, guest.kind);
    if (guest_is_viewer(guest.kind))
        client_share_give(all->viewers, &guest.client);
    return true;
}

bool camera_clients_return(struct camera_clients *all, struct camera *cam,
                           const struct ipc_return *connection, int *fd)
{
    const struct guest *guest = guest_list_find(&cam->guests, connection->ticket);
    if (guest == NULL)
        return false;
    bool known = guest->visit != NULL;
    if (known && !visit_has_socket(guest->visit, *fd))
        return false;
    const union address from = guest->from;
    (void)camera_clients_left(all, cam, connection->ticket);
    if (known)
        all->returned(all->ctx, connection, &from, fd); /* may end the camera */
    return true;
}

/* Snapshots and MJPEG clients do not count: their workers notice at the next picture. */
static bool is_kept_after_its_end(const struct camera *cam, struct guest *guest)
{
    if (guest->kind != IPC_CLIENT_STREAM || guest->visit == NULL ||
        visit_is_connected(guest->visit))
        guest->gone_since = 0;
    else if (guest->gone_since == 0)
        guest->gone_since = cam->reports + 1;
    return guest->gone_since != 0 && cam->reports >= guest->gone_since + CLIENT_GONE_REPORTS;
}

/* At each place twice in the time after which a worker is killed. */
static uint32_t looks_at(const struct guest_list *list)
{
    uint32_t looks = list->room / (CLIENT_GONE_REPORTS / 2);
    if (looks < LOOKS_MIN)
        looks = LOOKS_MIN;
    return looks < list->room ? looks : list->room;
}

bool camera_clients_obey(struct camera *cam)
{
    struct guest_list *list = &cam->guests;
    bool obeys = true;
    for (uint32_t n = 0; cam->worker != NULL && n < looks_at(list); n++) {
        if (list->looked_at >= list->room)
            list->looked_at = 0;
        struct guest *guest = guest_list_find(list, list->looked_at++);
        obeys = obeys && (guest == NULL || !is_kept_after_its_end(cam, guest));
    }
    return obeys;
}

void camera_clients_drop_gone(struct camera_clients *all, struct camera *cam)
{
    for (uint32_t ticket = 0; ticket < cam->guests.room; ticket++) {
        const struct guest *guest = guest_list_find(&cam->guests, ticket);
        if (guest != NULL && guest->visit != NULL && !visit_is_connected(guest->visit))
            (void)camera_clients_left(all, cam, ticket);
    }
}

void camera_clients_drop(struct camera_clients *all, struct camera *cam)
{
    for (uint32_t ticket = 0; ticket < cam->guests.room; ticket++)
        (void)camera_clients_left(all, cam, ticket);
    guest_list_clear(&cam->guests);
}

void camera_clients_remember(struct camera_clients *all, struct guest *guest, struct visit *visit)
{
    guest->visit = visit;
    all->sockets += visit != NULL;
    note_change(all, guest->kind);
    if (guest_is_viewer(guest->kind))
        client_share_take(all->viewers, &guest->client);
}

void camera_clients_refuse(struct camera_clients *all, struct camera *cam, enum http_error error,
                           const char *message)
{
    for (uint32_t ticket = 0; ticket < cam->guests.room; ticket++) {
        const struct guest *guest = guest_list_find(&cam->guests, ticket);
        if (guest != NULL && guest->visit != NULL)
            visit_refuse(guest->visit, error, cam->shown, message);
    }
    camera_clients_drop(all, cam);
}

static void remember(struct camera_clients *all, struct guest *guest, const struct ipc_client *m,
                     int fd)
{
    static struct log_limit limit;
    unsigned suppressed;
    if (all->sockets < all->sockets_max)
        guest->visit = visit_new(m, fd);
    if (guest->visit != NULL)
        all->sockets++;
    else if (log_limit_pass(&limit, 1, 60000, &suppressed))
        log_warnx(NULL, "no descriptor to spare for a client: it ends with its worker (%u more)",
                  suppressed);
}

/* Linux lets nobody send a descriptor while more are under way, for all processes of the user, than
 * the sender may have; a parcel (fd_parcel.h) is under way.  So everybody's clients count. */
static void expect_client(const struct camera_clients *all, const struct camera *cam)
{
    worker_expect_clients(cam->worker, all->sockets + cam->guests.count);
}

/* Without a descriptor of its own, the master could not tell whose connection comes back. */
static void keep_if_known(const struct guest *guest, struct ipc_client *m)
{
    if (guest->visit != NULL)
        return;
    m->keep = 0;
    m->head_bytes = m->rest_bytes = 0;
}

int camera_clients_send(struct camera_clients *all, struct camera *cam,
                        const struct camera_request *request, int *fd)
{
    struct ipc_client *m = request->message;
    enum ipc_client_kind kind = (enum ipc_client_kind)m->kind;
    (void)snprintf(m->camera, sizeof(m->camera), "%s", request->name);
    m->ticket = guest_list_add(&cam->guests, request->client, request->from, kind);
    if (guest_is_viewer(kind))
        client_share_take(all->viewers, request->client);
    struct handover_slot *slot = worker_slot(cam->worker, m->ticket);
    expect_client(all, cam);
    if (slot != NULL) {
        handover_reset(slot, m->conn_id);
        remember(all, guest_list_find(&cam->guests, m->ticket), m, *fd);
    }
    keep_if_known(guest_list_find(&cam->guests, m->ticket), m);
    int rc = worker_send(cam->worker, IPC_CLIENT, m, fd);
    note_change(all, kind);
    if (rc == 0)
        cam->clients_sent++;
    else
        (void)camera_clients_left(all, cam, m->ticket);
    return rc;
}

/* --- from one worker to the next ------------------------------------------ */

static void give_back(const struct camera_clients *all, const struct guest *guest)
{
    struct ipc_client m;
    visit_request(guest->visit, &m);
    const struct ipc_return back = {.conn_id = m.conn_id, .requests = m.requests};
    int fd = visit_socket(guest->visit);
    if (fd != -1)
        all->returned(all->ctx, &back, &guest->from, &fd);
    fd_close(&fd);
}

static enum visit_fate judge(struct camera *cam, const struct guest *guest, uint32_t ticket)
{
    struct handover_slot *slot = worker_slot(cam->worker, ticket);
    if (guest->visit == NULL)
        return VISIT_ENDS;
    enum visit_fate fate = visit_judge(guest->visit, slot);
    if (fate == VISIT_ENDS)
        visit_disconnect(guest->visit);
    if (slot != NULL)
        handover_begin(slot); /* from now on another one tells how far the client got */
    return fate;
}

void camera_clients_judge(struct camera_clients *all, struct camera *cam)
{
    struct log_context ctx = {.camera = cam->id};
    uint32_t before = cam->guests.count, returned = 0;
    for (uint32_t ticket = 0; ticket < cam->guests.room; ticket++) {
        struct guest *guest = guest_list_find(&cam->guests, ticket);
        enum visit_fate fate = guest != NULL ? judge(cam, guest, ticket) : VISIT_GOES_ON;
        if (fate == VISIT_RETURNS) {
            give_back(all, guest);
            returned++;
        }
        if (fate != VISIT_GOES_ON)
            (void)camera_clients_left(all, cam, ticket);
    }
    uint32_t kept = cam->guests.count + returned;
    all->kept += kept;
    all->cut += before - kept;
    if (before > 0)
        log_info(&ctx, "%u of its clients go on with the next one, %u are disconnected", kept,
                 before - kept);
}

static int give(struct camera *cam, const struct guest *guest, uint32_t ticket)
{
    const struct visit *visit = guest->visit;
    struct ipc_client m;
    struct handover_slot *slot = worker_slot(cam->worker, ticket);
    int fd = slot != NULL ? visit_socket(visit) : -1;
    if (fd == -1)
        return -EMFILE;
    visit_request(visit, &m);
    m.ticket = ticket;
    m.client = client_key_hash(&guest->client, 0); /* an older program did not say */
    visit_fill_slot(visit, slot);
    int rc = worker_send(cam->worker, IPC_CLIENT, &m, &fd);
    fd_close(&fd);
    return rc;
}

static void give_or_end(struct camera_clients *all, struct camera *cam, uint32_t ticket)
{
    const struct guest *guest = guest_list_find(&cam->guests, ticket);
    if (guest == NULL)
        return;
    expect_client(all, cam);
    int rc = guest->visit != NULL ? give(cam, guest, ticket) : -EMFILE;
    all->moves += guest_is_viewer(guest->kind);
    if (rc == 0)
        cam->clients_sent++;
    if (rc == 0 || rc == -EPIPE) /* if it is dead already, we shall hear about that */
        return;
    if (guest->visit != NULL)
        visit_refuse(guest->visit, HTTP_ERROR_OVERLOADED, cam->shown,
                     "the client cannot be given to another worker process");
    (void)camera_clients_left(all, cam, ticket);
}

void camera_clients_give(struct camera_clients *all, struct camera *cam)
{
    for (uint32_t ticket = 0; ticket < cam->guests.room; ticket++)
        give_or_end(all, cam, ticket);
}

void camera_clients_move(struct camera_clients *all, struct camera *cam, uint32_t ticket,
                         struct camera *target)
{
    struct guest guest;
    if (!guest_list_remove(&cam->guests, ticket, &guest))
        return;
    uint32_t there = guest_list_add(&target->guests, &guest.client, &guest.from, guest.kind);
    guest_list_find(&target->guests, there)->visit = guest.visit;
    target->stats.viewers += guest_is_viewer(guest.kind); /* until its worker reports again */
    if (target->worker != NULL)
        give_or_end(all, target, there);
}
