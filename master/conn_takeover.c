/*
 * Connections while another program takes this one's place: they are parked between two requests,
 * written down, and taken in by the next program.  Master, loop thread.
 */
#include "common/fd.h"
#include "master/conn_private.h"

#include <string.h>
#include <uv.h>

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
/* The tail is what has arrived of the next request. */
struct connection_record {
    uint64_t id;
    int32_t fd;
    uint32_t port;     /* enum route_port */
    uint32_t requests; /* so far */
    uint32_t awaits_proxy;
    uint8_t from[32]; /* union address */
};
#pragma GCC diagnostic pop
_Static_assert(sizeof(union address) <= sizeof(((struct connection_record *)NULL)->from), "fits");

static bool may_park(const struct conn *c)
{
    return !c->parked && !c->answered && c->head.head_bytes == 0 &&
           (c->proxy == NULL || c->proxy->len == 0);
}

void conn_pause_all(struct server *server)
{
    struct conn *c;
    server->paused = true;
    TAILQ_FOREACH (c, &server->open_conns, link) {
        if (may_park(c))
            conn_park(c, NULL, 0);
    }
}

size_t conn_count_unparked(const struct server *server)
{
    const struct conn *c;
    size_t n = 0;
    TAILQ_FOREACH (c, &server->open_conns, link)
        n += !c->parked;
    return n;
}

void conn_close_arriving(struct server *server)
{
    struct conn *next;
    for (struct conn *c = TAILQ_FIRST(&server->open_conns); c != NULL; c = next) {
        next = TAILQ_NEXT(c, link);
        if (!c->parked && !c->answered && !c->waiting)
            conn_close(c);
    }
}

void conn_answer_waiting(struct server *server)
{
    struct conn *next;
    for (struct conn *c = TAILQ_FIRST(&server->open_conns); c != NULL; c = next) {
        next = TAILQ_NEXT(c, link);
        if (c->waiting)
            conn_refuse(c, c->late, c->late_message);
    }
}

/* A connection between two requests is read again. */
static void resume(struct conn *c)
{
    bool fresh = c->requests == 0 && c->rest_len == 0;
    c->parked = false;
    if (c->proxy == NULL)
        conn_begin(c);
    else
        conn_read_on(c);
    if (fresh && !uv_is_closing((uv_handle_t *)&c->tcp))
        conn_start_head_deadline(c);
}

void conn_resume_all(struct server *server)
{
    struct conn *next;
    server->paused = false;
    for (struct conn *c = TAILQ_FIRST(&server->open_conns); c != NULL; c = next) {
        next = TAILQ_NEXT(c, link);
        if (c->parked)
            resume(c);
    }
}

void conn_save_all(const struct server *server, struct takeover_writer *w)
{
    struct conn *c;
    uv_os_fd_t fd;
    TAILQ_FOREACH (c, &server->open_conns, link) {
        if (!c->parked || uv_fileno((uv_handle_t *)&c->tcp, &fd) != 0)
            continue;
        struct connection_record r = {.id = c->id,
                                      .fd = takeover_pass(w, fd),
                                      .port = (uint32_t)c->port,
                                      .requests = c->requests,
                                      .awaits_proxy = c->proxy != NULL};
        memcpy(r.from, &c->from, sizeof(c->from));
        takeover_put(w, TAKEOVER_CONNECTION, &r, sizeof(r), c->rest, c->rest_len);
    }
}

bool conn_restore(struct server *server, const struct takeover_record *record,
                  struct takeover *takeover, void (*on_request)(struct conn *conn))
{
    struct connection_record r;
    union address from;
    takeover_get(record, &r, sizeof(r));
    int fd = takeover_claim(takeover, r.fd);
    if (fd == -1 || r.port > ROUTE_PORT_SNAPSHOT) {
        fd_close(&fd);
        return false;
    }
    struct conn *c = conn_new(server, (enum route_port)r.port, r.id, on_request);
    int rc = uv_tcp_open(&c->tcp, fd);
    if (rc != 0)
        fd_close(&fd);
    memcpy(&from, r.from, sizeof(from));
    conn_set_from(c, &from);
    c->requests = r.requests;
    if (r.awaits_proxy != 0)
        conn_await_proxy_header(c);
    if (!conn_join(c, rc))
        return false;
    conn_park(c, (const char *)record->tail, record->tail_len);
    resume(c);
    return true;
}
