/*
 * Configuration: defaults < file < environment < flags; then the saved cameras, if [access] manage
 * lets requests save some.  Master, before the loop and on SIGHUP.  Reads these files and the
 * environment; changes nothing outside struct conf.
 */
#ifndef MASTER_CONF_LOAD_H
#define MASTER_CONF_LOAD_H

#include "master/conf.h"

#include <stddef.h>

#define CONF_TEXT_MAX 16384 /* error, help or version text of conf_load() */

/* Positive: print the text on stdout and exit 0.  If several were requested, the greatest wins. */
enum conf_result {
    CONF_RUN = 0,
    CONF_CHECKED = 1,
    CONF_UPGRADE = 2, /* call upgrade_check() with the text instead of printing it */
    CONF_VERSION = 3,
    CONF_HELP = 4
};

/**
 * Fill conf from everything that configures the program.
 *
 * @param conf  overwritten; call conf_free() unless the result is negative.
 * @param argv  as main() received it.  Borrowed.
 * @param text  textlen bytes (CONF_TEXT_MAX): what to print when the result is not CONF_RUN,
 *              without a final newline.
 * @return enum conf_result; negative errno: the text names the file and line, variable or flag,
 *         and what is accepted there.
 */
int conf_load(struct conf *conf, int argc, char *const *argv, char *text, size_t textlen);

/** The same while running: a pipe in the file's place, which might never end, is an error.
 * @param path  of the file that was read at the start; NULL: there was none. */
int conf_load_again(struct conf *conf, const char *path, int argc, char *const *argv, char *text,
                    size_t textlen);

#endif /* MASTER_CONF_LOAD_H */
