/*
 * Single options of the configuration: finds them by name, reads and writes their values as text.
 * Master, before the loop and on SIGHUP; pure.
 */
#ifndef MASTER_CONF_OPTION_H
#define MASTER_CONF_OPTION_H

#include "master/conf.h"
#include "master/conf_text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum conf_option_type {
    CONF_UINT32,
    CONF_UINT64,
    CONF_YES_NO,
    CONF_ADDRESS,
    CONF_NAME,
    CONF_PATH,
    CONF_PROXIES,
    CONF_SECRET,
    CONF_LOG_LEVEL,
    CONF_LOG_FORMAT,
    CONF_SANDBOX,
    CONF_TRANSCODE,
    CONF_CAMERAS,
    CONF_OPTION_TYPE_COUNT
};

/* When a new value takes effect. */
enum conf_change { CONF_RELOAD, CONF_START };

struct conf_option {
    const char *section;
    const char *key;
    enum conf_option_type type;
    enum conf_change change;
    size_t offset; /* in struct conf */
    size_t size;
    const char *initial;
    uint64_t min;
    uint64_t max;
    const char *help;
};

/* CONF_OPTIONS, in its order. */
extern const struct conf_option conf_options[];
extern const size_t conf_option_count;

/** Give every option its default; conf gets no cameras. */
void conf_option_set_defaults(struct conf *conf);

/** @return the option, or NULL. */
const struct conf_option *conf_option_find(const char *section, const char *key);

/** Does any option belong to the section? */
bool conf_section_known(const char *section);

/** Append the sections that have options: "[server], [camera]". */
void conf_section_put_all(struct conf_text *text);

/** Append the keys of a section. */
void conf_section_put_keys(const char *section, struct conf_text *text);

/**
 * Set an option from text.
 *
 * @param accepted on error: the accepted values are appended, in words.
 * @return 0, or -EINVAL and conf is unchanged.
 */
int conf_option_set(struct conf *conf, const struct conf_option *option, const char *value,
                    struct conf_text *accepted);

/** Append the values that conf_option_set() accepts, in words. */
void conf_option_put_accepted(const struct conf_option *option, struct conf_text *text);

/** Append the value as conf_option_set() takes it; a secret is `***`. */
void conf_option_write(const struct conf *conf, const struct conf_option *option,
                       struct conf_text *text);

/**
 * Restore the old values of options that only a restart may change.
 *
 * @param changed  the names of those that differed are appended: "[server] bind, [server] user".
 */
void conf_option_keep(const struct conf *old, struct conf *fresh, struct conf_text *changed);

#endif /* MASTER_CONF_OPTION_H */
