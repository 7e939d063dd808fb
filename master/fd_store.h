/*
 * What the next start of this service gets of us through systemd, which keeps descriptors for it
 * (FileDescriptorStoreMax=): ports, viewers' sockets, and the records to go on with them, as a
 * parcel (fd_parcel.h).  Master, loop thread.
 *
 *   while we run   systemd always has a parcel that was made when a viewer last came, left or got
 *                  another worker, or when what we remember against a camera changed.  It is right
 *                  at any later time: how far a viewer got is in the memory that master and worker
 *                  share (handover.h), which is in the parcel.  So we may be killed.
 *   SIGTERM        upgrade_leave() makes workers and connections ready; the last parcel needs no
 *                  worker's memory.
 *   systemctl stop systemd closes what it keeps, which ends the connections: we cannot tell a stop
 *                  from a restart.
 *
 * A viewer that is not in the parcel ends with us.
 *
 * What is in the parcel may be what kills us.  So the clients are not taken in again when
 * FD_STORE_SHORT_RUNS programs in a row have been killed within FD_STORE_SHORT_MS, or later by as
 * much as systemd's watchdog waits for a program that hangs.
 */
#ifndef MASTER_FD_STORE_H
#define MASTER_FD_STORE_H

#include "master/service.h"
#include "master/takeover.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

/* Viewers come and leave in groups: one parcel for them. */
#define FD_STORE_DELAY_MS 100
/* From one parcel to the next.  When a camera has got another worker, the parcel has none of its
 * viewers, so the next one is made at once.  But the pause is at least FD_STORE_COST times as long
 * as the last parcel took. */
#define FD_STORE_INTERVAL_MS 1000
#define FD_STORE_COST 50

#define FD_STORE_SHORT_RUNS 6
#define FD_STORE_SHORT_MS 10000

struct server;

/* Writes down all that the writer's way allows. */
typedef void (*fd_store_save_fn)(const struct server *server, struct takeover_writer *w);

struct fd_store {
    struct server *server;
    struct service *service;
    fd_store_save_fn save;
    uv_prepare_t turn;
    uv_timer_t timer;
    int left; /* what the last start left, until systemd has ours; -1: nothing */
    uint64_t left_number;
    bool open;           /* between fd_store_open() and fd_store_pause() */
    int64_t began_us;    /* clock_us() */
    unsigned short_runs; /* how many programs before this one were killed soon, in a row */
    uint64_t number;     /* of systemd's newest parcel, or of the last program's */
    bool stored;         /* systemd has that one */
    bool failed;         /* the last one could not be made, or systemd did not take it */
    bool postponed;      /* it lacks viewers of workers that are about to end */
    uint64_t changes;    /* camera_table_changes() when it was made */
    uint64_t moves;      /* likewise */
    int64_t made_ms;     /* clock_ms() */
    int64_t took_ms;
    int64_t due_ms; /* of the timer */
};

/** @param server, service  Borrowed. */
void fd_store_init(struct fd_store *s, struct server *server, struct service *service,
                   fd_store_save_fn save);

/** Read what the last start of this service left; systemd keeps it. @param out  as for
 * takeover_read(). */
enum takeover_news fd_store_read(struct fd_store *s, struct takeover **out);

/** This start succeeds: of all that is kept, only what fd_store_read() has read is left. */
void fd_store_keep_newest(struct fd_store *s);

/** It is taken in, and systemd has a new parcel: nobody gets that one any more. */
void fd_store_drop_left(struct fd_store *s);

/**
 * What the last start left is about to be taken in.
 * @return false: too many programs in a row have ended soon: its clients are not to be taken in.
 */
bool fd_store_trusts(struct fd_store *s, const struct takeover_server *left);

/** The last program in this process has given systemd so many parcels. */
void fd_store_go_on(struct fd_store *s, uint64_t number);

/** Requests are served from now on: systemd gets a parcel, now and when things change, if it keeps
 * one. */
void fd_store_open(struct fd_store *s);

/** No parcel is made any more, until fd_store_open(). */
void fd_store_pause(struct fd_store *s);

/** systemd drops the parcel. */
void fd_store_withdraw(struct fd_store *s);

/**
 * Give systemd the last parcel, at the end of this program.
 *
 * @return 0 or negative errno; -EAGAIN: systemd does not read its messages at the moment.
 */
int fd_store_leave(struct fd_store *s, const int listeners[TAKEOVER_LISTENERS]);

/** Close the handles. */
void fd_store_close(struct fd_store *s);

#endif /* MASTER_FD_STORE_H */
