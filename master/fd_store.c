#include "master/fd_store.h"

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "master/listener.h"
#include "master/parcel.h"
#include "master/server_shared.h"

#include <errno.h>
#include <string.h>

static void on_turn(uv_prepare_t *turn);
static void on_due(uv_timer_t *timer);

void fd_store_init(struct fd_store *s, struct server *server, struct service *service,
                   fd_store_save_fn save)
{
    *s = (struct fd_store){.server = server, .service = service, .save = save};
    (void)uv_prepare_init(server->loop, &s->turn);
    (void)uv_timer_init(server->loop, &s->timer);
    s->turn.data = s->timer.data = s;
}

/* --- what the last start left ----------------------------------------------- */

static void tell_news(enum takeover_news news, uint64_t number)
{
    if (news == TAKEOVER_UNKNOWN)
        log_errorx(NULL, "restart: the last program left its clients in a version that this one "
                         "does not know: they are disconnected");
    else if (news == TAKEOVER_BROKEN)
        log_errorx(NULL,
                   "restart: what systemd keeps as takeover-%llu is not what a program of ours "
                   "leaves: it is closed",
                   (unsigned long long)number);
}

/* There are two if we were killed between storing one and dropping the one before. */
enum takeover_news fd_store_take(struct fd_store *s, struct takeover **out)
{
    enum takeover_news newest = TAKEOVER_NONE;
    uint64_t number, best = 0;
    int fd;
    *out = NULL;
    while ((fd = service_take_kept(s->service, &number)) != -1) {
        struct takeover *t;
        enum takeover_news news = parcel_unpack(fd, &t);
        tell_news(news, number);
        service_drop(s->service, number);
        if (number > s->number)
            s->number = number;
        if (t != NULL && (*out == NULL || number > best)) {
            takeover_close(out);
            *out = t;
            newest = news;
            best = number;
        } else {
            takeover_close(&t);
        }
    }
    return newest;
}

void fd_store_go_on(struct fd_store *s, uint64_t number)
{
    s->number = number;
    if (number > 0)
        service_drop(s->service, number); /* systemd may not have read that it is withdrawn */
}

/* --- storing ------------------------------------------------------------------ */

static void note(size_t viewers, size_t left_out, int64_t took_us)
{
    static struct log_limit limit;
    unsigned suppressed;
    log_debug(NULL, "systemd keeps %zu viewers for a restart; to tell it took %lld us", viewers,
              (long long)took_us);
    if (left_out > 0 && log_limit_pass(&limit, 1, 60000, &suppressed))
        log_warnx(NULL,
                  "%zu descriptors find no room in what systemd keeps for a restart, which costs "
                  "their viewers (%u more)",
                  left_out, suppressed);
}

static void set_counts(struct server *server, size_t viewers, size_t unstored)
{
    server->stored_viewers = viewers - unstored;
    server->unstored_viewers = unstored;
}

/* @return 0 or negative errno. */
static int store(struct fd_store *s, enum takeover_way way, const int *listeners)
{
    struct takeover_writer w = {.way = way};
    size_t left_out = 0;
    int64_t began_us = clock_us();
    s->save(s->server, &w);
    int parcel = parcel_pack(&w, listeners, &left_out);
    size_t viewers = w.viewers;
    s->outdated = w.postponed;
    takeover_writer_free(&w, false);
    int rc = parcel < 0 ? parcel : service_keep(s->service, s->number + 1, parcel);
    if (parcel >= 0)
        fd_close(&parcel);
    if (rc != 0)
        return rc;
    if (s->stored)
        service_drop(s->service, s->number);
    s->stored = true;
    s->number++;
    set_counts(s->server, viewers, left_out < viewers ? left_out : viewers);
    note(viewers, left_out, clock_us() - began_us);
    return 0;
}

static void schedule(struct fd_store *s)
{
    int64_t wait_ms = s->next_ms - clock_ms();
    if (wait_ms < FD_STORE_DELAY_MS)
        wait_ms = FD_STORE_DELAY_MS;
    (void)uv_timer_start(&s->timer, on_due, (uint64_t)wait_ms, 0);
}

static void complain(int error)
{
    static struct log_limit limit;
    unsigned suppressed;
    if (log_limit_pass(&limit, 1, 60000, &suppressed))
        log_errorx(NULL,
                   "cannot give systemd what a restart needs to go on with the viewers: %s (%u "
                   "more)",
                   strerrordesc_np(-error), suppressed);
}

static void on_due(uv_timer_t *timer)
{
    struct fd_store *s = timer->data;
    const int listeners[TAKEOVER_LISTENERS] = {
        listener_descriptor(s->server->listeners[ROUTE_PORT_STREAM]),
        listener_descriptor(s->server->listeners[ROUTE_PORT_SNAPSHOT])};
    int64_t began_ms = clock_ms();
    uint64_t changes = camera_table_changes(s->server->cameras);
    int rc = store(s, TAKEOVER_IF_KILLED, listeners);
    int64_t took_ms = clock_ms() - began_ms;
    s->next_ms = clock_ms() + FD_STORE_INTERVAL_MS + FD_STORE_COST * took_ms;
    if (rc == 0)
        s->changes = changes;
    else
        s->outdated = true;
    if (rc != 0 && rc != -EAGAIN)
        complain(rc);
}

static void on_turn(uv_prepare_t *turn)
{
    struct fd_store *s = turn->data;
    bool changed = s->outdated || s->changes != camera_table_changes(s->server->cameras);
    if (changed && !uv_is_active((uv_handle_t *)&s->timer))
        schedule(s);
}

void fd_store_open(struct fd_store *s)
{
    if (!service_has_store(s->service) || s->open)
        return;
    s->open = s->outdated = true;
    (void)uv_prepare_start(&s->turn, on_turn);
}

void fd_store_pause(struct fd_store *s)
{
    s->open = false;
    (void)uv_prepare_stop(&s->turn);
    (void)uv_timer_stop(&s->timer);
}

void fd_store_withdraw(struct fd_store *s)
{
    if (s->stored)
        service_drop(s->service, s->number);
    s->stored = false;
    set_counts(s->server, 0, 0);
}

int fd_store_leave(struct fd_store *s, const int listeners[TAKEOVER_LISTENERS])
{
    return store(s, TAKEOVER_AT_END, listeners);
}

void fd_store_close(struct fd_store *s)
{
    fd_store_pause(s);
    uv_close((uv_handle_t *)&s->turn, NULL);
    uv_close((uv_handle_t *)&s->timer, NULL);
}
