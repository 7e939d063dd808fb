/* The new program's side of an upgrade: whether it could take over, and how it does.  Master. */
#include "common/clock.h"
#include "common/handover.h"
#include "common/ipc.h"
#include "common/log.h"
#include "master/conn.h"
#include "master/fd_store.h"
#include "master/identity.h"
#include "master/nursery_link.h"
#include "master/process_path.h"
#include "master/request.h"
#include "master/sandbox_check.h"
#include "master/upgrade.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define REMAINS_MS 2000 /* for workers to end that were killed with the last master */

/* --- could it? ------------------------------------------------------------------- */

static bool worker_runs(void)
{
    char program[PATH_MAX];
    char check[] = "--check";
    char *argv[] = {program, check, NULL};
    pid_t pid;
    int status = -1;
    int rc = nursery_link_find_program(program, sizeof(program));
    char **environment = nursery_link_environment();
    if (rc == 0)
        rc = -posix_spawn(&pid, program, NULL, NULL, argv, environment);
    free(environment);
    if (rc == 0 && waitpid(pid, &status, 0) == -1)
        rc = -errno;
    if (rc != 0)
        log_errorx(NULL, "cannot start cam-httpflv-worker: %s", strerrordesc_np(-rc));
    else if (status != 0)
        log_errorx(NULL, "cam-httpflv-worker --check failed: status %d, signal %d",
                   WEXITSTATUS(status), WTERMSIG(status));
    return rc == 0 && status == 0;
}

/* This process ends anyway: it may try. */
static bool may_be_user(const struct conf *conf)
{
    return conf->server.user[0] == '\0' ||
           identity_change(conf->server.user, conf->server.group) >= 0;
}

void upgrade_version(char *out, size_t size)
{
    (void)snprintf(out, size, "%u.%u.%u", TAKEOVER_VERSION, IPC_VERSION, HANDOVER_VERSION);
}

int upgrade_check(const struct conf *conf, const char *version)
{
    char ours[32];
    upgrade_version(ours, sizeof(ours));
    size_t len = strcspn(ours, ".");
    if (strncmp(version, ours, len) != 0 || (version[len] != '.' && version[len] != '\0')) {
        log_errorx(NULL,
                   "the running program hands over in version %.*s, this one takes version %.*s: "
                   "restart instead",
                   (int)strcspn(version, "."), version, (int)len, ours);
        return EXIT_FAILURE;
    }
    bool can = sandbox_check(conf) == 0 && may_be_user(conf) && worker_runs();
    if (!can)
        return EXIT_FAILURE;
    return strcmp(version, ours) == 0 ? EXIT_SUCCESS : UPGRADE_WITHOUT_WORKERS;
}

/* --- it does ----------------------------------------------------------------------- */

struct restoring {
    struct server *server;
    struct takeover *takeover;
    struct camera *camera; /* the one whose clients follow */
    struct worker_remains remains;
    int64_t by_ms; /* the last master's workers have ended */
    bool trusted;  /* false: no client is taken in, but what is remembered against cameras */
    unsigned clients;
    unsigned lost;
};

static void restore_server(struct restoring *r, const struct takeover_record *record)
{
    struct server *server = r->server;
    struct takeover_server s;
    takeover_get(record, &s, sizeof(s));
    server->next_conn_id = s.next_conn_id;
    if (server->fd_store->number == 0)
        fd_store_go_on(server->fd_store, s.parcel);
    r->trusted = fd_store_trusts(server->fd_store, &s);
}

/* A version with another layout begins to count anew. */
static void restore_rates(struct server *server, const struct takeover_record *record)
{
    if (record->fixed_len == sizeof(server->rate_limit))
        takeover_get(record, &server->rate_limit, sizeof(server->rate_limit));
}

/* Spare workers and the nursery of the last program: nobody needs them. */
static void end_process(const struct takeover_record *record)
{
    struct takeover_process p;
    takeover_get(record, &p, sizeof(p));
    if (p.pid > 1)
        (void)kill(p.pid, SIGKILL); /* our child, not reaped yet */
}

static void count(struct restoring *r, bool kept)
{
    r->clients += kept;
    r->lost += !kept;
}

static void restore_record(struct restoring *r, const struct takeover_record *record)
{
    struct server *server = r->server;
    switch (record->type) {
    case TAKEOVER_SERVER:
        restore_server(r, record);
        break;
    case TAKEOVER_RATES:
        restore_rates(server, record);
        break;
    case TAKEOVER_LOGIN_SEED:
    case TAKEOVER_LOGIN:
    case TAKEOVER_LOGIN_PATHS:
        camera_table_restore_login(server->cameras, record);
        break;
    case TAKEOVER_CAMERA:
        worker_remains_clear(&r->remains);
        r->camera = camera_table_restore(server->cameras, record);
        break;
    case TAKEOVER_WORKER:
        r->camera = camera_table_restore_worker(r->camera, record, r->takeover);
        break;
    case TAKEOVER_GUEST:
        count(r, r->trusted && camera_table_restore_guest(server->cameras, r->camera, record,
                                                          r->takeover, &r->remains));
        break;
    case TAKEOVER_REMAINS:
        if (r->trusted)
            worker_restore_remains(record, r->takeover, r->by_ms, &r->remains);
        break;
    case TAKEOVER_CONNECTION:
        count(r, r->trusted && conn_restore(server, record, r->takeover, request_answer));
        break;
    case TAKEOVER_PROCESS:
        end_process(record);
        break;
    default: /* of a later version, which says that we can do without it */
        break;
    }
}

void upgrade_restore(struct server *server, struct takeover *takeover, const char *what)
{
    struct restoring r = {
        .server = server, .takeover = takeover, .by_ms = clock_ms() + REMAINS_MS, .trusted = true};
    struct takeover_record record;
    while (takeover_next(takeover, &record))
        restore_record(&r, &record);
    worker_remains_clear(&r.remains);
    camera_table_resume(server->cameras);
    log_info(NULL, "%s: done, %u connections go on, %u are closed", what, r.clients, r.lost);
}
