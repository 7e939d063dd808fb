/*
 * Warnings about what a configuration leaves open to others.  Master, at start, on SIGHUP and for
 * --check-config; pure.
 */
#ifndef MASTER_CONF_ADVICE_H
#define MASTER_CONF_ADVICE_H

#include "master/conf.h"
#include "master/conf_text.h"

#define CONF_ADVICE_MAX 1024 /* bytes of a warning, NUL included */

/**
 * Can every user of this machine read the file's secrets, or change it?
 *
 * @return true: text holds a warning.
 */
bool conf_advise_file(const struct conf *conf, struct conf_text *text);

/**
 * Are there saved cameras that are hidden, because the configuration file has their names?
 *
 * @return true: text holds a warning.
 */
bool conf_advise_saved(const struct conf *conf, struct conf_text *text);

/**
 * Can anyone who reaches the server watch any camera that the server reaches?
 *
 * @param bind  where it listens: an address, or NULL for a Unix socket.
 * @return true: text holds a warning.
 */
bool conf_advise_access(const struct conf *conf, const char *bind, struct conf_text *text);

#endif /* MASTER_CONF_ADVICE_H */
