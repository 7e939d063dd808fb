/*
 * Makes camera URLs safe to show: masks passwords, and if in doubt masks too much.  Every process,
 * any thread; pure.
 */
#ifndef COMMON_URL_REDACT_H
#define COMMON_URL_REDACT_H

#include "common/ipc.h"
#include "common/url.h"

#include <stddef.h>

#define URL_STREAM_ID_MAX 32 /* result of url_stream_id(), NUL included */

/**
 * Write the URL for logs, error bodies and the API.  Three asterisks replace
 * - user name and password; and the host, if that may be the beginning of a password that holds a
 *   `/` or `?` (the path holds an `@`, and the host is not an address);
 * - the values of parameters whose names suggest a secret, also within a URL that is a value,
 * however often that is percent-encoded;
 * - the text before an `@` in the path or query;
 * - a segment `user:password` of the path;
 * - in RTMP URLs a stream's name that looks like a key: not like `cam1` or `front-door`.
 *
 * @param out IPC_URL_MAX bytes.  Caller owns.
 * @return length without the NUL.
 */
size_t url_redact(const struct camera_url *u, char *out);

/**
 * Make a short name for logs, metrics and the API: 16 hexadecimal digits, the same after a restart
 * and on every machine.  It is a hash of the redacted URL, so nobody can use it to guess a password
 * offline; only an RTMP stream's name is hashed even if it looks like a key.  Two cameras may share
 * it: compare url_format() and the transport, and call again with the next n until the name is free
 * (n > 0 appends `-n`).
 *
 * @param out URL_STREAM_ID_MAX bytes.  Caller owns.
 */
void url_stream_id(const struct camera_url *u, enum ipc_transport transport, unsigned n, char *out);

#endif /* COMMON_URL_REDACT_H */
