/*
 * Decides whether a request may be answered, and answers it.  Master, loop thread.  A request that
 * needs a camera is handed over to the camera's worker.
 */
#ifndef MASTER_REQUEST_H
#define MASTER_REQUEST_H

#include "master/conn.h"

/** Answer the request in conn->head, or hand the connection over. */
void request_answer(struct conn *conn);

#endif /* MASTER_REQUEST_H */
