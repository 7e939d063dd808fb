/*
 * The first lines of the log: what runs, with which configuration, where to look, and what is left
 * open.  Master, at start.
 */
#ifndef MASTER_GREETING_H
#define MASTER_GREETING_H

#include "common/ipc.h"
#include "master/conf.h"

#include <sys/socket.h>

/** Version, configuration file, number of cameras.  Call it before anything else. */
void greeting_log_program(const struct conf *conf);

/** Warnings about the configuration file. */
void greeting_log_advice(const struct conf *conf);

/**
 * Log where to open the page, and warn if anyone may.  Call it when the ports are open.
 *
 * @param streams, snapshots  where the two ports listen.  Borrowed.
 */
void greeting_log_address(const struct conf *conf, const struct sockaddr *streams,
                          const struct sockaddr *snapshots);

/**
 * The URL to open in a browser.  Pure.
 *
 * @param listening  IPv4 or IPv6.  Borrowed.
 * @param outside    an address of this machine, for a socket that listens on all of them.
 *                   Borrowed.
 * @param out        IPC_PEER_MAX bytes.  Caller owns.
 */
void greeting_format_url(const struct sockaddr *listening, const struct sockaddr *outside,
                         char *out);

/** Warn if requests may save cameras, but the server cannot write their file. */
void greeting_log_folder(const struct conf *conf);

#endif /* MASTER_GREETING_H */
