#include "master/conf_option.h"

#include "common/camera_access.h"
#include "common/escape.h"
#include "master/forwarded.h"

#include <arpa/inet.h>
#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct conf_option conf_options[] = {
#define X(sec, name, kind, text, low, high, when, about)                                 \
    {.section = #sec,                                                                    \
     .key = #name,                                                                       \
     .type = CONF_##kind,                                                                \
     .offset = offsetof(struct conf, sec.name), /* NOLINT(bugprone-macro-parentheses) */ \
     .size = sizeof(((const struct conf *)NULL)->sec.name), /* NOLINT */                 \
     .initial = (text),                                                                  \
     .min = (low),                                                                       \
     .max = (high),                                                                      \
     .change = CONF_##when,                                                              \
     .help = (about)},
    CONF_OPTIONS(X)
#undef X
};

const size_t conf_option_count = sizeof(conf_options) / sizeof(conf_options[0]);

const struct conf_option *conf_option_find(const char *section, const char *key)
{
    for (size_t i = 0; i < conf_option_count; i++) {
        if (strcmp(conf_options[i].section, section) == 0 && strcmp(conf_options[i].key, key) == 0)
            return &conf_options[i];
    }
    return NULL;
}

bool conf_section_known(const char *section)
{
    for (size_t i = 0; i < conf_option_count; i++) {
        if (strcmp(conf_options[i].section, section) == 0)
            return true;
    }
    return false;
}

void conf_section_put_all(struct conf_text *text)
{
    const char *last = "";
    for (size_t i = 0; i < conf_option_count; i++) {
        char name[32];
        if (strcmp(conf_options[i].section, last) == 0)
            continue;
        last = conf_options[i].section;
        (void)snprintf(name, sizeof(name), "[%s]", last);
        conf_text_put_item(text, name);
    }
}

void conf_section_put_keys(const char *section, struct conf_text *text)
{
    for (size_t i = 0; i < conf_option_count; i++) {
        if (strcmp(conf_options[i].section, section) == 0)
            conf_text_put_item(text, conf_options[i].key);
    }
}

/* --- the types ------------------------------------------------------------ */

/*
 * Each type has three functions.  parse_TYPE() sets the member; when the value is not accepted, it
 * returns false and leaves the member unchanged.  write_TYPE() writes the value as parse_TYPE()
 * takes it.  accept_TYPE() writes, in words, the values that parse_TYPE() takes.
 */

/* Decimal digits only: no sign, no space, no 0x. */
static bool parse_number(const struct conf_option *option, const char *value, uint64_t *number)
{
    size_t len = strlen(value);
    if (len == 0 || len > 18 || strspn(value, "0123456789") != len)
        return false;
    *number = strtoull(value, NULL, 10);
    return *number >= option->min && *number <= option->max;
}

static bool parse_uint32(const struct conf_option *option, const char *value, void *member)
{
    uint64_t number = 0;
    if (!parse_number(option, value, &number))
        return false;
    *(uint32_t *)member = (uint32_t)number;
    return true;
}

static void write_uint32(const void *member, struct conf_text *text)
{
    conf_text_put(text, "%u", *(const uint32_t *)member);
}

static bool parse_uint64(const struct conf_option *option, const char *value, void *member)
{
    uint64_t number = 0;
    if (!parse_number(option, value, &number))
        return false;
    *(uint64_t *)member = number;
    return true;
}

static void write_uint64(const void *member, struct conf_text *text)
{
    conf_text_put(text, "%llu", (unsigned long long)*(const uint64_t *)member);
}

static void accept_number(const struct conf_option *option, struct conf_text *text)
{
    conf_text_put(text, "a number from %llu to %llu is accepted", (unsigned long long)option->min,
                  (unsigned long long)option->max);
}

static bool parse_yes_no(const struct conf_option *option, const char *value, void *member)
{
    (void)option;
    bool yes = strcmp(value, "yes") == 0;
    if (!yes && strcmp(value, "no") != 0)
        return false;
    *(bool *)member = yes;
    return true;
}

static void write_yes_no(const void *member, struct conf_text *text)
{
    conf_text_put(text, "%s", *(const bool *)member ? "yes" : "no");
}

static void accept_yes_no(const struct conf_option *option, struct conf_text *text)
{
    (void)option;
    conf_text_put(text, "yes or no is accepted");
}

/* Wipes the member first, so that nothing of a longer old value stays behind. */
static bool set_text(const struct conf_option *option, const char *value, void *member)
{
    size_t len = strlen(value);
    assert(len < option->size);
    explicit_bzero(member, option->size);
    memcpy(member, value, len);
    return true;
}

static void write_text(const void *member, struct conf_text *text)
{
    conf_text_put(text, "%s", (const char *)member);
}

static bool parse_address(const struct conf_option *option, const char *value, void *member)
{
    struct in6_addr addr;
    if (strlen(value) >= option->size ||
        (inet_pton(AF_INET, value, &addr) != 1 && inet_pton(AF_INET6, value, &addr) != 1))
        return false;
    return set_text(option, value, member);
}

static void accept_address(const struct conf_option *option, struct conf_text *text)
{
    (void)option;
    conf_text_put(text, "an IPv4 or IPv6 address is accepted");
}

/* A user or group name; may be empty. */
static bool parse_name(const struct conf_option *option, const char *value, void *member)
{
    if (strlen(value) >= option->size || value[0] == '-')
        return false;
    for (const char *c = value; *c != '\0'; c++) {
        if (!isalnum((unsigned char)*c) && strchr("._-", *c) == NULL)
            return false;
    }
    return set_text(option, value, member);
}

static void accept_name(const struct conf_option *option, struct conf_text *text)
{
    conf_text_put(text, "a name of up to %zu letters, digits, '.', '_' and '-' is accepted",
                  option->size - 1);
}

/* Printable ASCII; may be empty. */
static bool parse_secret(const struct conf_option *option, const char *value, void *member)
{
    if (strlen(value) > option->max)
        return false;
    for (const char *c = value; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~')
            return false;
    }
    return set_text(option, value, member);
}

static void write_secret(const void *member, struct conf_text *text)
{
    conf_text_put(text, "%s", *(const char *)member != '\0' ? "***" : "");
}

static void accept_secret(const struct conf_option *option, struct conf_text *text)
{
    conf_text_put(text, "up to %u printable ASCII characters, no spaces, are accepted",
                  (unsigned)option->max);
}

/* The three functions for an enum that has NAME_parse() and NAME_name().
 * NOLINTBEGIN(bugprone-macro-parentheses): `enum name` takes no parentheses. */
#define ENUM_FUNCTIONS(name, count)                                                             \
    static bool parse_##name(const struct conf_option *option, const char *value, void *member) \
    {                                                                                           \
        (void)option;                                                                           \
        return name##_parse(value, member) == 0;                                                \
    }                                                                                           \
    static void write_##name(const void *member, struct conf_text *text)                        \
    {                                                                                           \
        conf_text_put(text, "%s", name##_name(*(const enum name *)member));                     \
    }                                                                                           \
    static void accept_##name(const struct conf_option *option, struct conf_text *text)         \
    {                                                                                           \
        (void)option;                                                                           \
        for (int i = 0; i < (count); i++)                                                       \
            conf_text_put_choice(text, i, (count), name##_name((enum name)i));                  \
        conf_text_put(text, " is accepted");                                                    \
    }
ENUM_FUNCTIONS(log_level, LOG_LEVEL_COUNT)
ENUM_FUNCTIONS(log_format, LOG_FORMAT_COUNT)
ENUM_FUNCTIONS(sandbox_mode, SANDBOX_MODE_COUNT)
ENUM_FUNCTIONS(transcode_mode, TRANSCODE_MODE_COUNT)
#undef ENUM_FUNCTIONS
/* NOLINTEND(bugprone-macro-parentheses) */

static bool parse_cameras(const struct conf_option *option, const char *value, void *member)
{
    (void)option;
    return camera_access_parse(value, member) == 0;
}

static void write_cameras(const void *member, struct conf_text *text)
{
    conf_text_put(text, "%s", camera_access_text(member));
}

static void accept_cameras(const struct conf_option *option, struct conf_text *text)
{
    (void)option;
    conf_text_put(text, "%s are accepted", CAMERA_ACCESS_ACCEPTED);
}

static bool parse_path(const struct conf_option *option, const char *value, void *member)
{
    char escaped[6 * CONF_PATH_MAX];
    size_t len = strlen(value);
    /* escape_text() changes what is neither printable nor UTF-8 */
    if (value[0] != '/' || value[len - 1] == '/' || len >= option->size ||
        escape_text(escaped, sizeof(escaped), value, false) != len)
        return false;
    return set_text(option, value, member);
}

static void accept_path(const struct conf_option *option, struct conf_text *text)
{
    conf_text_put(text, "the absolute path of a file, up to %zu bytes, is accepted",
                  option->size - 1);
}

static bool parse_proxies(const struct conf_option *option, const char *value, void *member)
{
    (void)option;
    if (strlen(value) >= CONF_PROXIES_MAX || !forwarded_list_ok(value))
        return false;
    (void)snprintf(member, CONF_PROXIES_MAX, "%s", value);
    return true;
}

static void accept_proxies(const struct conf_option *option, struct conf_text *text)
{
    (void)option;
    conf_text_put(text, "addresses, networks (10.0.0.0/8) and unix are accepted");
}

static const struct {
    bool (*parse)(const struct conf_option *option, const char *value, void *member);
    void (*write)(const void *member, struct conf_text *text);
    void (*accept)(const struct conf_option *option, struct conf_text *text);
} types[CONF_OPTION_TYPE_COUNT] = {
    [CONF_UINT32] = {parse_uint32, write_uint32, accept_number},
    [CONF_UINT64] = {parse_uint64, write_uint64, accept_number},
    [CONF_YES_NO] = {parse_yes_no, write_yes_no, accept_yes_no},
    [CONF_ADDRESS] = {parse_address, write_text, accept_address},
    [CONF_NAME] = {parse_name, write_text, accept_name},
    [CONF_PATH] = {parse_path, write_text, accept_path},
    [CONF_PROXIES] = {parse_proxies, write_text, accept_proxies},
    [CONF_SECRET] = {parse_secret, write_secret, accept_secret},
    [CONF_LOG_LEVEL] = {parse_log_level, write_log_level, accept_log_level},
    [CONF_LOG_FORMAT] = {parse_log_format, write_log_format, accept_log_format},
    [CONF_SANDBOX] = {parse_sandbox_mode, write_sandbox_mode, accept_sandbox_mode},
    [CONF_TRANSCODE] = {parse_transcode_mode, write_transcode_mode, accept_transcode_mode},
    [CONF_CAMERAS] = {parse_cameras, write_cameras, accept_cameras},
};

/* --- values --------------------------------------------------------------- */

static void *member_of(struct conf *conf, const struct conf_option *option)
{
    return (char *)conf + option->offset;
}

static const void *const_member_of(const struct conf *conf, const struct conf_option *option)
{
    return (const char *)conf + option->offset;
}

void conf_option_set_defaults(struct conf *conf)
{
    memset(conf, 0, sizeof(*conf));
    for (size_t i = 0; i < conf_option_count; i++) {
        const struct conf_option *option = &conf_options[i];
        bool ok = types[option->type].parse(option, option->initial, member_of(conf, option));
        assert(ok);
    }
}

int conf_option_set(struct conf *conf, const struct conf_option *option, const char *value,
                    struct conf_text *accepted)
{
    if (types[option->type].parse(option, value, member_of(conf, option)))
        return 0;
    conf_option_put_accepted(option, accepted);
    return -EINVAL;
}

void conf_option_put_accepted(const struct conf_option *option, struct conf_text *text)
{
    types[option->type].accept(option, text);
}

void conf_option_write(const struct conf *conf, const struct conf_option *option,
                       struct conf_text *text)
{
    types[option->type].write(const_member_of(conf, option), text);
}

void conf_option_keep(const struct conf *old, struct conf *fresh, struct conf_text *changed)
{
    for (size_t i = 0; i < conf_option_count; i++) {
        const struct conf_option *option = &conf_options[i];
        const void *before = const_member_of(old, option);
        void *now = member_of(fresh, option);
        if (option->change != CONF_START || memcmp(before, now, option->size) == 0)
            continue;
        char name[64];
        (void)snprintf(name, sizeof(name), "[%s] %s", option->section, option->key);
        conf_text_put_item(changed, name);
        memcpy(now, before, option->size);
    }
}
