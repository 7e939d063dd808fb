/*
 * What a program hands to the one that takes its place, as records in a sealed memory file: first a
 * head, whose layout never changes, then records: a type, a fixed part and a tail.  Master, loop
 * thread.
 *
 * By execve() in the same process, descriptors keep their numbers.  Those that takeover_pass()
 * names stay open; the new program closes what no record of its own claims, so nothing leaks
 * whatever it does not know.  Through systemd to another process (fd_parcel.h), they get other
 * numbers; records name them by those that the old program had.
 *
 * The records hold cameras' passwords, as the process itself does; the memory has no name and
 * belongs to this process alone, and to systemd while that keeps it.
 */
#ifndef MASTER_TAKEOVER_H
#define MASTER_TAKEOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bump when a record changes in a way that older readers do not survive.  The fixed part of a
 * record may grow: what is missing reads as zero, what is too much is ignored. */
#define TAKEOVER_VERSION 1u
/* Its value is the number of the memory's descriptor. */
#define TAKEOVER_VARIABLE "CAM_HTTPFLV_TAKEOVER"
#define TAKEOVER_BYTES_MAX (512u << 20)
#define TAKEOVER_LISTENERS 2

enum takeover_type {
    TAKEOVER_SERVER,     /* struct takeover_server */
    TAKEOVER_RATES,      /* struct rate_limit */
    TAKEOVER_LOGIN_SEED, /* login_takeover.c */
    TAKEOVER_LOGIN,
    TAKEOVER_CAMERA, /* camera_takeover.c; the guests that follow are its */
    TAKEOVER_WORKER, /* worker_link.c: the last camera has it still; guests that follow are its */
    TAKEOVER_GUEST,  /* camera_takeover.c, visit.c */
    TAKEOVER_CONNECTION, /* conn_takeover.c */
    TAKEOVER_PROCESS,    /* struct takeover_process: a child to be ended */
    TAKEOVER_REMAINS, /* workers_takeover.c: the last camera's worker ends with this program; guests
                         that follow are its */
    TAKEOVER_LOGIN_PATHS /* login_takeover.c */
};

/* When the next program reads the records. */
enum takeover_way {
    TAKEOVER_BY_EXECVE, /* at once; the children stay */
    TAKEOVER_IF_KILLED, /* after this one was killed, perhaps much later; its children end with it
                         */
    TAKEOVER_AT_END     /* after this one's end, which is now */
};

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
/* Frozen: programs of all versions agree on it. */
struct takeover_head {
    char magic[8];                         /* TAKEOVER_MAGIC */
    uint32_t version;                      /* TAKEOVER_VERSION of the writer */
    int32_t highest;                       /* no descriptor of the writer is above */
    int32_t listeners[TAKEOVER_LISTENERS]; /* streams, snapshots */
    uint32_t reserved[10];
};

struct takeover_server {
    uint64_t next_conn_id;
    uint64_t parcel;     /* the last one that systemd was given (fd_store.h); 0: none */
    int64_t began_us;    /* clock_us(), if the writer is killed; 0: it makes way */
    uint32_t short_runs; /* as in struct fd_store */
    uint32_t reserved;
};

struct takeover_process {
    int32_t pid;
    uint32_t reserved;
};
#pragma GCC diagnostic pop
#define TAKEOVER_MAGIC "CAMTAKE\n"

/* --- writing ---------------------------------------------------------------- */

struct takeover_writer { /* zeroed at first, but for the way; the rest is private */
    enum takeover_way way;
    size_t viewers; /* written */
    bool postponed; /* some are not yet, but soon can be */
    uint8_t *bytes;
    size_t len;
    size_t capacity;
    int *passed;
    size_t passed_count;
    size_t early_count; /* of them, by takeover_pass() */
    size_t passed_capacity;
};

/** Add a record: a fixed part, and a tail that may be empty.  Both are copied. */
void takeover_put(struct takeover_writer *w, enum takeover_type type, const void *payload,
                  size_t len, const void *tail, size_t tail_len);

/** This descriptor stays open in the new program. @return fd. */
int32_t takeover_pass(struct takeover_writer *w, int fd);

/** The same for one that others are worth nothing without: it comes after all of takeover_pass().
 */
int32_t takeover_pass_last(struct takeover_writer *w, int fd);

/**
 * Make the memory.  It is the last of the passed descriptors, after the listeners.
 *
 * @param listeners  passed as well; -1: none.
 * @return the memory's descriptor, which the caller owns; or negative errno.
 */
int takeover_seal(struct takeover_writer *w, const int listeners[TAKEOVER_LISTENERS]);

/** The same, and let all of them survive execve(). */
int takeover_finish(struct takeover_writer *w, const int listeners[TAKEOVER_LISTENERS]);

/** Wipe and free.  @param survive  false: execve() has failed, close at execve() again. */
void takeover_writer_free(struct takeover_writer *w, bool survive);

/* --- reading ---------------------------------------------------------------- */

struct takeover; /* all that was handed over */

enum takeover_news {
    TAKEOVER_NONE,    /* an ordinary start */
    TAKEOVER_THERE,   /* records can be read */
    TAKEOVER_UNKNOWN, /* of a version that we do not know: only the listeners are there */
    TAKEOVER_BROKEN   /* not what takeover_finish() makes: nothing is believed */
};

/**
 * Take what TAKEOVER_VARIABLE names, and remove it from the environment.  Call it before any
 * descriptor is opened.  No descriptor survives the next execve().
 *
 * @param out  set for THERE and UNKNOWN.  Caller owns; takeover_close().
 */
enum takeover_news takeover_open(struct takeover **out);

/** The same for a memory's descriptor.  Moved. */
enum takeover_news takeover_read(int fd, struct takeover **out);

/**
 * The same for descriptors that came from another process.
 *
 * @param fd       the memory's.  Moved.
 * @param numbers  which the descriptors had there.
 * @param fds      Moved.
 */
enum takeover_news takeover_assemble(int fd, const int32_t *numbers, const int *fds, size_t count,
                                     struct takeover **out);

/** @return a listener, which the caller owns; -1: none. */
int takeover_listener(struct takeover *t, size_t i);

/* One record.  Borrowed from the takeover. */
struct takeover_record {
    enum takeover_type type;
    const uint8_t *fixed;
    size_t fixed_len;
    const uint8_t *tail;
    size_t tail_len;
};

/** @return false: there is no other record. */
bool takeover_next(struct takeover *t, struct takeover_record *record);

/** Copy the fixed part; what is missing reads as zero. */
void takeover_get(const struct takeover_record *record, void *out, size_t size);

/**
 * @param number  of a descriptor, as takeover_pass() returned it to the writer.
 * @return the descriptor, which the caller owns now; -1: it was not handed over, or is taken
 *         already.
 */
int takeover_claim(struct takeover *t, int32_t number);

/** Close the descriptors that nobody claimed, wipe and free.  NULL is fine. */
void takeover_close(struct takeover **t);

#endif /* MASTER_TAKEOVER_H */
