/*
 * What a configuration leaves open that its owner may not know of.  Master, at the start, on SIGHUP
 * and for --check-config; pure.
 */
#ifndef MASTER_CONF_ADVICE_H
#define MASTER_CONF_ADVICE_H

#include "master/conf.h"
#include "master/conf_text.h"

#define CONF_ADVICE_MAX 1024 /* bytes of a text, NUL included */

/** Can every user of the machine read the secrets of the file, or change it? @return text's len > 0
 */
bool conf_advise_file(const struct conf *conf, struct conf_text *text);

/**
 * Can everybody who reaches the server watch every camera that the server reaches?
 *
 * @param bind  where it listens: an address, or NULL for a Unix socket.
 * @return text's len > 0
 */
bool conf_advise_access(const struct conf *conf, const char *bind, struct conf_text *text);

#endif /* MASTER_CONF_ADVICE_H */
