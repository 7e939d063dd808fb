#include "master/fd_store.h"

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "master/fd_parcel.h"
#include "master/listener.h"
#include "master/server_shared.h"

#include <errno.h>
#include <string.h>

static int64_t later(int64_t one_ms, int64_t other_ms)
{
    return one_ms > other_ms ? one_ms : other_ms;
}

void fd_store_init(struct fd_store *s, struct server *server, struct service *service,
                   fd_store_save_fn save)
{
    *s = (struct fd_store){
        .server = server, .service = service, .save = save, .left = -1, .began_us = clock_us()};
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
enum takeover_news fd_store_read(struct fd_store *s, struct takeover **out)
{
    enum takeover_news newest = TAKEOVER_NONE;
    uint64_t number, best = 0;
    int fd;
    *out = NULL;
    for (size_t i = 0; (fd = service_kept(s->service, i, &number)) != -1; i++) {
        struct takeover *t;
        enum takeover_news news = fd_parcel_read(fd, &t);
        tell_news(news, number);
        if (number > s->number)
            s->number = number;
        if (t != NULL && (*out == NULL || number > best)) {
            takeover_close(out);
            *out = t;
            newest = news;
            s->left_number = best = number;
        } else {
            takeover_close(&t);
        }
    }
    return newest;
}

/* Emptied, too: systemd may hear of it too late for the next start. */
static void drop(struct fd_store *s, int *fd, uint64_t number)
{
    fd_parcel_empty(*fd);
    fd_close(fd);
    service_drop(s->service, number);
}

void fd_store_keep_newest(struct fd_store *s)
{
    uint64_t number;
    int fd;
    while ((fd = service_take_kept(s->service, &number)) != -1) {
        if (s->left == -1 && number == s->left_number)
            s->left = fd;
        else
            drop(s, &fd, number);
    }
}

void fd_store_drop_left(struct fd_store *s)
{
    if (s->left != -1)
        drop(s, &s->left, s->left_number);
}

bool fd_store_trusts(struct fd_store *s, const struct takeover_server *left)
{
    int64_t lived_ms = (clock_us() - left->began_us) / 1000; /* and how long this start took */
    int64_t short_ms = FD_STORE_SHORT_MS + s->service->watchdog_ms; /* it may have hung at once */
    s->short_runs = lived_ms < short_ms ? left->short_runs + 1 : 0;
    if (s->left != -1) /* others may have died of it, which made no parcel of their own */
        s->short_runs += fd_parcel_count_attempt(s->left) - 1;
    if (s->short_runs < FD_STORE_SHORT_RUNS)
        return true;
    log_errorx(
        NULL,
        "restart: the last %u programs were killed within %lld s: the clients that they left "
        "are disconnected, as they may be the reason",
        s->short_runs, (long long)short_ms / 1000);
    return false;
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
    int parcel = fd_parcel_pack(&w, listeners, &left_out);
    size_t viewers = w.viewers;
    s->postponed = w.postponed;
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

static void make(struct fd_store *s)
{
    const int listeners[TAKEOVER_LISTENERS] = {
        listener_descriptor(s->server->listeners[ROUTE_PORT_STREAM]),
        listener_descriptor(s->server->listeners[ROUTE_PORT_SNAPSHOT])};
    int64_t began_ms = clock_ms();
    s->changes = camera_table_changes(s->server->cameras);
    s->moves = camera_table_moves(s->server->cameras);
    int rc = store(s, TAKEOVER_IF_KILLED, listeners);
    s->failed = rc != 0;
    s->made_ms = clock_ms();
    s->took_ms = s->made_ms - began_ms;
    if (rc != 0 && rc != -EAGAIN)
        complain(rc);
}

static void on_due(uv_timer_t *timer)
{
    make(timer->data);
}

/* @return when the next parcel is due, clock_ms(); INT64_MAX: nothing has changed. */
static int64_t next_due(const struct fd_store *s)
{
    int64_t now_ms = clock_ms(), due_ms = INT64_MAX;
    if (s->failed || s->changes != camera_table_changes(s->server->cameras))
        due_ms = later(now_ms + FD_STORE_DELAY_MS, s->made_ms + FD_STORE_INTERVAL_MS);
    if (s->postponed)
        due_ms = s->made_ms + FD_STORE_DELAY_MS;
    if (!s->failed && s->moves != camera_table_moves(s->server->cameras))
        due_ms = now_ms;
    return later(due_ms, s->made_ms + FD_STORE_COST * s->took_ms);
}

static void on_turn(uv_prepare_t *turn)
{
    struct fd_store *s = turn->data;
    int64_t due_ms = next_due(s), wait_ms = due_ms - clock_ms();
    bool waits = uv_is_active((uv_handle_t *)&s->timer);
    if (due_ms == INT64_MAX || (waits && s->due_ms <= due_ms))
        return;
    s->due_ms = due_ms;
    (void)uv_timer_start(&s->timer, on_due, wait_ms > 0 ? (uint64_t)wait_ms : 0, 0);
}

void fd_store_open(struct fd_store *s)
{
    if (!service_has_store(s->service) || s->open)
        return;
    s->open = true;
    make(s);
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
    fd_close(&s->left);
    uv_close((uv_handle_t *)&s->turn, NULL);
    uv_close((uv_handle_t *)&s->timer, NULL);
}
