/*
 * What the master keeps of a client whose request it handed to a worker, so that another worker can
 * go on with it: a second descriptor of its socket, and the request.  Master, loop thread.
 *
 * A visit costs some 250 bytes and a descriptor.  A client without one ends with its worker.
 */
#ifndef MASTER_VISIT_H
#define MASTER_VISIT_H

#include "common/handover.h"
#include "common/http_reply.h"
#include "common/ipc.h"
#include "master/takeover.h"

#include <stdbool.h>
#include <stddef.h>

struct visit;

/* What a worker left of a visit. */
enum visit_fate {
    VISIT_GOES_ON, /* another worker can take it */
    VISIT_RETURNS, /* a kept connection, between two requests */
    VISIT_ENDS
};

/**
 * @param request  copied.
 * @param fd       the client's socket.  Borrowed: the visit has a duplicate.
 * @return NULL: no descriptor is left.  Caller owns; visit_free().
 */
struct visit *visit_new(const struct ipc_client *request, int fd);

/** Close the descriptor, which ends the connection if no worker has it, and clear *visit. */
void visit_free(struct visit **visit);

/**
 * The worker's process has ended: decide what becomes of the client, and remember its slot.
 *
 * @param slot  NULL: the worker is not believed, or the client had none.  Borrowed.
 */
enum visit_fate visit_judge(struct visit *visit, const struct handover_slot *slot);

/**
 * The worker ended with the last master: does the client go on with another one?
 *
 * @param slot  as for visit_judge(); it may be another client's by now.
 */
bool visit_outlived_master(struct visit *visit, const struct handover_slot *slot);

/** End the connection, whoever else has a descriptor of it: systemd may (fd_store.h). */
void visit_disconnect(const struct visit *visit);

/** Has the client neither closed nor gone?  While it has no worker, nobody else looks. */
bool visit_is_connected(const struct visit *visit);

/** Is this descriptor one of the client's socket?  A worker says so. @param fd  Borrowed. */
bool visit_has_socket(const struct visit *visit, int fd);

/**
 * No worker has the client, and none will: answer it with an error, or disconnect it if its answer
 * has begun.
 *
 * @param camera, message  as for http_reply_error().
 */
void visit_refuse(const struct visit *visit, enum http_error error, const char *camera,
                  const char *message);

/** @return the name by which the client asked for the camera, or "".  Borrowed. */
const char *visit_name(const struct visit *visit);

/** Write the message for the next worker, but for its ticket. */
void visit_request(const struct visit *visit, struct ipc_client *message);

/** Prepare the slot for the next worker. */
void visit_fill_slot(const struct visit *visit, struct handover_slot *slot);

/** @return a duplicate of the client's socket, or -1.  Caller owns. */
int visit_socket(const struct visit *visit);

/* --- for the program that takes this one's place ----------------------------- */

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
/* A visit without its request, which is the record's tail (client_fields.h). */
struct visit_record {
    int32_t fd;
    uint32_t resumed;
    int64_t last_ms[HANDOVER_TRACKS]; /* these four as in struct handover_slot */
    uint64_t told[HANDOVER_TRACKS];
    uint64_t bytes;
    uint32_t codec;
    uint32_t reserved;
};
#pragma GCC diagnostic pop

/**
 * @param w       the visit's descriptor survives.
 * @param fields  CLIENT_FIELDS_MAX bytes: the request. @return how many were written.
 */
size_t visit_save(const struct visit *visit, struct takeover_writer *w, struct visit_record *record,
                  uint8_t *fields);

/** @param fd  Moved on success. @return NULL: the record is not one.  Caller owns; visit_free(). */
struct visit *visit_restore(const struct visit_record *record, const uint8_t *fields, size_t len,
                            int *fd);

#endif /* MASTER_VISIT_H */
