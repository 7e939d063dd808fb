/*
 * PUT and DELETE /api/cameras/NAME ([access] manage).  Master, loop thread.  The requests have been
 * admitted: they carry the token.
 */
#ifndef MASTER_MANAGE_H
#define MASTER_MANAGE_H

#include "master/conn.h"

/** Save the camera that the path and the body name: 201, or 200 if it was there; and the camera. */
void manage_save(struct conn *conn);

/** Remove the camera that the path names: 204. */
void manage_remove(struct conn *conn);

#endif /* MASTER_MANAGE_H */
