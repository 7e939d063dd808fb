/*
 * The configuration file -> struct conf.  Master, before the loop and on SIGHUP; pure: it reads
 * memory; conf_load() reads the file.
 */
#ifndef MASTER_CONF_FILE_H
#define MASTER_CONF_FILE_H

#include "master/conf.h"

#include <stddef.h>

/**
 * Read the text of a configuration file.  conf must hold the defaults
 * (conf_option_set_defaults()).
 *
 * @param name in error texts.
 * @return 0 or negative errno with text filled.
 */
int conf_read(struct conf *conf, const char *name, const char *bytes, size_t len, char *text,
              size_t textlen);

/** The same for a file that may only have [camera "name"] sections.  conf may be zeroed. */
int conf_read_cameras(struct conf *conf, const char *name, const char *bytes, size_t len,
                      char *text, size_t textlen);

#endif /* MASTER_CONF_FILE_H */
