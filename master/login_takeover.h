/*
 * Hands over what cameras have answered to passwords (login_memory.h) to the program that takes
 * this one's place.  Master, loop thread.
 */
#ifndef MASTER_LOGIN_TAKEOVER_H
#define MASTER_LOGIN_TAKEOVER_H

#include "master/login_memory.h"
#include "master/takeover.h"

/** Write all but which passwords are being tried. */
void login_takeover_save(const struct login_memory *memory, struct takeover_writer *w);

/** Take in a record of login_takeover_save(), in its order.  Others are ignored. */
void login_takeover_restore(struct login_memory *memory, const struct takeover_record *record);

#endif /* MASTER_LOGIN_TAKEOVER_H */
