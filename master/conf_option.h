/*
 * The options of the configuration as a table: names, values from and to text.  Master, before
 * the loop and on SIGHUP; pure.
 */
#ifndef MASTER_CONF_OPTION_H
#define MASTER_CONF_OPTION_H

#include "master/conf.h"

#include <stddef.h>
#include <stdint.h>

enum conf_option_type {
    CONF_UINT32,
    CONF_UINT64,
    CONF_ADDRESS,
    CONF_LOG_LEVEL,
    CONF_LOG_FORMAT,
    CONF_NAME,
    CONF_SANDBOX,
    CONF_CAMERAS,
    CONF_SECRET,
    CONF_YES_NO
};

struct conf_option {
    const char *section;
    const char *key;
    enum conf_option_type type;
    size_t offset; /* in struct conf */
    const char *initial;
    uint64_t min;
    uint64_t max;
    const char *help;
};

/* CONF_OPTIONS, in its order. */
extern const struct conf_option conf_options[];
extern const size_t conf_option_count;

/* Text under construction; what does not fit is cut. */
struct conf_text {
    char *buf; /* size bytes, "" at first.  Borrowed. */
    size_t size;
    size_t len;
};

/** Append, like printf(). */
void conf_text_put(struct conf_text *text, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** @return the option, or NULL. */
const struct conf_option *conf_option_find(const char *section, const char *key);

/** Does any option belong to the section? */
bool conf_section_known(const char *section);

/**
 * Set an option from text.
 *
 * @param accepted on error: what is accepted is appended.
 * @return 0, or -EINVAL and conf is unchanged.
 */
int conf_option_set(struct conf *conf, const struct conf_option *option, const char *value,
                    struct conf_text *accepted);

/** Append the value as conf_option_set() takes it; of a secret only that there is one. */
void conf_option_write(const struct conf *conf, const struct conf_option *option,
                       struct conf_text *text);

#endif /* MASTER_CONF_OPTION_H */
