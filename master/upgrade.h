/*
 * Another program takes this one's place in the same process, and its viewers notice a reconnect of
 * their camera at most.  Master, loop thread.
 *
 *   1. The new program is tried: it runs with --check-upgrade, reads the configuration and starts
 *      its worker's program.  If it does not exit with 0 within UPGRADE_TRIAL_MS, nothing happens.
 *   2. New connections wait in the kernel; requests that have begun are answered, within
 *      UPGRADE_PARK_MS; then no connection is within a request.
 *   3. Workers that are just beginning or ending do so, within UPGRADE_SETTLE_MS.  If the new
 *      program speaks another version of the messages, or one does not settle, all make way: each
 *      viewer's answer ends with a whole tag.
 *   4. All is written down (takeover.h), and execve() replaces the program.  If that fails, this
 *      one goes on; cameras whose workers have made way get others, as after a death.
 *   5. The new program takes everything in (upgrade_restore()).  Its own workers take the place of
 *      the old ones, which stream until then (camera_predecessor.c).
 *
 * When the service stops and systemd keeps descriptors (fd_store.h), steps 2 to 4 leave the same to
 * the program that systemd starts next; all workers make way.
 */
#ifndef MASTER_UPGRADE_H
#define MASTER_UPGRADE_H

#include "master/server_shared.h"
#include "master/service.h"
#include "master/takeover.h"

#include <limits.h>
#include <stdbool.h>
#include <uv.h>

#define UPGRADE_TRIAL_MS 60000
#define UPGRADE_PARK_MS 1000
#define UPGRADE_SETTLE_MS 6000
#define UPGRADE_LEAVE_MS 2000 /* how long systemd may leave its messages unread */
/* Exit status of --check-upgrade: the new program cannot speak to this one's workers. */
#define UPGRADE_WITHOUT_WORKERS 43

enum upgrade_phase {
    UPGRADE_NONE,
    UPGRADE_TRIAL,
    UPGRADE_PARKING,
    UPGRADE_SETTLING,
    UPGRADE_LEAVING /* the service stops, and systemd is given everything */
};

/* @param stored  systemd has all that the next program needs; else the clients have to be ended. */
typedef void (*upgrade_left_fn)(void *ctx, bool stored);

struct upgrade { /* private, but for upgrade.c */
    struct server *server;
    struct service *service;
    upgrade_left_fn left; /* the service stops; NULL: an upgrade */
    void *ctx;            /* passed to left() */
    char *const *argv;
    char program[PATH_MAX]; /* by which this one was started; "": not known */
    enum upgrade_phase phase;
    uv_process_t trial;
    bool trial_runs;
    struct log_source *log; /* what the trial says */
    uv_timer_t timer;
    bool live;                         /* the workers go on */
    int64_t by_ms;                     /* the end of the phase */
    int listeners[TAKEOVER_LISTENERS]; /* while they are paused */
};

/** @param argv  as main() received it.  Borrowed, like the others. */
void upgrade_open(struct upgrade *u, struct server *server, struct service *service,
                  char *const *argv);

/** Begin.  Ignored while an upgrade is under way. */
void upgrade_start(struct upgrade *u);

/** Go on with this program if an upgrade is under way: the server is about to stop. */
void upgrade_cancel(struct upgrade *u);

/**
 * Leave everything to the program that systemd starts next, then call left().  Nothing may be under
 * way.  If systemd is given nothing, no connection is served any more nevertheless.
 */
void upgrade_leave(struct upgrade *u, upgrade_left_fn left, void *ctx);

/** Write down all that the way allows. */
void upgrade_save(const struct server *server, struct takeover_writer *w);

/** The loop is about to end.  Nothing may be under way. */
void upgrade_close(struct upgrade *u);

/* --- in the new program -------------------------------------------------------- */

/**
 * --check-upgrade: could this program take over?  Says on stderr why not.
 *
 * @param version  of the running program: upgrade_version().
 * @return exit status of the process.
 */
int upgrade_check(const struct conf *conf, const char *version);

/** @param out  "1.15.1": the versions of takeover.h, ipc.h and handover.h. */
void upgrade_version(char *out, size_t size);

/**
 * Take in what the last program had.  The cameras are open; their workers start now.
 * @param what  for the log: how the last program ended.
 */
void upgrade_restore(struct server *server, struct takeover *takeover, const char *what);

/** Signals that would end the process meanwhile wait from before execve() until this is called. */
void upgrade_unblock_signals(void);

#endif /* MASTER_UPGRADE_H */
