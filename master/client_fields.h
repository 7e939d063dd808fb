/*
 * A client's request (struct ipc_client) in a form that programs of other versions read: each
 * member with a number that it keeps for ever.  Master; pure.
 */
#ifndef MASTER_CLIENT_FIELDS_H
#define MASTER_CLIENT_FIELDS_H

#include "common/ipc.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLIENT_FIELDS_MAX (sizeof(struct ipc_client) + 256)

/** @param out  CLIENT_FIELDS_MAX bytes, some 150 of which are needed for most streams. @return how
 * many were written. */
size_t client_fields_write(const struct ipc_client *client, uint8_t *out);

/**
 * Members that bytes do not name are zero; numbers that are not known are left out.
 * @return false: the bytes end within a member, or hold one that does not fit.
 */
bool client_fields_read(const uint8_t *bytes, size_t len, struct ipc_client *client);

#endif /* MASTER_CLIENT_FIELDS_H */
