/*
 * A request that has arrived: may it be answered, and how.  Master, loop thread.  What needs a
 * camera is handed over to its worker.
 */
#ifndef MASTER_REQUEST_H
#define MASTER_REQUEST_H

#include "master/conn.h"

/** Answer the request in conn->head, or hand the connection over. */
void request_answer(struct conn *conn);

#endif /* MASTER_REQUEST_H */
