/*
 * Camera URLs for eyes that must not see passwords.  Every process, any thread; pure.
 * Masks rather too much than too little.
 */
#ifndef COMMON_URL_REDACT_H
#define COMMON_URL_REDACT_H

#include "common/ipc.h"
#include "common/url.h"

#include <stddef.h>

#define URL_STREAM_ID_MAX 32 /* of url_stream_id(), NUL included */

/**
 * Write the URL for logs, error bodies and the API.  Three asterisks stand for user name and
 * password, for the values of secret looking parameters, and for what comes before an `@` in the
 * path.
 *
 * @param out IPC_URL_MAX bytes.  Caller owns.
 * @return length without the NUL.
 */
size_t url_redact(const struct camera_url *u, char *out);

/**
 * A short name for logs, metrics and the API: 16 hexadecimal digits, the same after a restart and
 * on every machine.  Made from the redacted URL, so that it cannot be used to guess a password
 * off line.  Two cameras may share it: compare url_format() and the transport, and ask again with
 * the next n until the name is free (n > 0 appends `-n`).
 *
 * @param out URL_STREAM_ID_MAX bytes.  Caller owns.
 */
void url_stream_id(const struct camera_url *u, enum ipc_transport transport, unsigned n, char *out);

#endif /* COMMON_URL_REDACT_H */
