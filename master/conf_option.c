#include "master/conf_option.h"

#include "common/camera_access.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct conf_option conf_options[] = {
#define X(sec, name, kind, text, low, high, about)                                       \
    {.section = #sec,                                                                    \
     .key = #name,                                                                       \
     .type = CONF_##kind,                                                                \
     .offset = offsetof(struct conf, sec.name), /* NOLINT(bugprone-macro-parentheses) */ \
     .initial = (text),                                                                  \
     .min = (low),                                                                       \
     .max = (high),                                                                      \
     .help = (about)},
    CONF_OPTIONS(X)
#undef X
};

const size_t conf_option_count = sizeof(conf_options) / sizeof(conf_options[0]);

void conf_text_put(struct conf_text *text, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(text->buf + text->len, text->size - text->len, fmt, args);
    va_end(args);
    if (n > 0)
        text->len += (size_t)n < text->size - text->len ? (size_t)n : text->size - text->len - 1;
}

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

/* Decimal digits only: no sign, no space, no 0x. */
static bool parse_number(const char *value, uint64_t min, uint64_t max, uint64_t *number)
{
    size_t len = strlen(value);
    if (len == 0 || len > 18 || strspn(value, "0123456789") != len)
        return false;
    *number = strtoull(value, NULL, 10);
    return *number >= min && *number <= max;
}

static bool parse_address(const char *value, char *out)
{
    struct in6_addr addr;
    size_t len = strlen(value);
    if (len >= CONF_BIND_MAX ||
        (inet_pton(AF_INET, value, &addr) != 1 && inet_pton(AF_INET6, value, &addr) != 1))
        return false;
    memcpy(out, value, len + 1);
    return true;
}

static bool parse_cameras(const char *value, char *out)
{
    const char *reason;
    if (strcmp(value, "any") != 0 && strcmp(value, "named") != 0 &&
        camera_access_check_list(value, &reason) != 0)
        return false;
    (void)snprintf(out, IPC_ACCESS_LIST_MAX, "%s", value);
    return true;
}

/* Of a user or group, or nothing. */
static bool parse_name(const char *value, char *out)
{
    size_t len = strlen(value);
    if (len >= CONF_NAME_MAX || value[0] == '-')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)value[i]) && strchr("._-", value[i]) == NULL)
            return false;
    }
    memcpy(out, value, len + 1);
    return true;
}

/* Printable ASCII, or nothing. */
static bool parse_secret(const char *value, size_t max, char *out)
{
    size_t len = strlen(value);
    for (size_t i = 0; i < len; i++) {
        if (value[i] <= ' ' || value[i] > '~')
            return false;
    }
    if (len > max)
        return false;
    explicit_bzero(out, CONF_SECRET_MAX);
    (void)snprintf(out, CONF_SECRET_MAX, "%s", value);
    return true;
}

static void put_accepted(struct conf_text *text, const struct conf_option *option)
{
    if (option->type == CONF_ADDRESS)
        conf_text_put(text, "an IPv4 or IPv6 address is accepted");
    else if (option->type == CONF_SECRET)
        conf_text_put(text, "up to %u printable ASCII characters, no spaces, are accepted",
                      (unsigned)option->max);
    else if (option->type == CONF_CAMERAS)
        conf_text_put(text, "%s are accepted", option->help);
    else if (option->type == CONF_NAME)
        conf_text_put(text, "a name of up to %d letters, digits, '.', '_' and '-' is accepted",
                      CONF_NAME_MAX - 1);
    else if (option->type == CONF_YES_NO)
        conf_text_put(text, "yes or no is accepted");
    else if (option->type == CONF_SANDBOX)
        conf_text_put(text, "on, off or require is accepted");
    else if (option->type == CONF_LOG_LEVEL || option->type == CONF_LOG_FORMAT)
        conf_text_put(text, "%s is accepted", option->help);
    else
        conf_text_put(text, "a number from %llu to %llu is accepted",
                      (unsigned long long)option->min, (unsigned long long)option->max);
}

int conf_option_set(struct conf *conf, const struct conf_option *option, const char *value,
                    struct conf_text *accepted)
{
    void *member = (char *)conf + option->offset;
    uint64_t number = 0;
    bool ok = false;

    switch (option->type) {
    case CONF_UINT32:
        ok = parse_number(value, option->min, option->max, &number);
        if (ok)
            *(uint32_t *)member = (uint32_t)number;
        break;
    case CONF_UINT64:
        ok = parse_number(value, option->min, option->max, &number);
        if (ok)
            *(uint64_t *)member = number;
        break;
    case CONF_ADDRESS:
        ok = parse_address(value, member);
        break;
    case CONF_LOG_LEVEL:
        ok = log_level_parse(value, member) == 0;
        break;
    case CONF_NAME:
        ok = parse_name(value, member);
        break;
    case CONF_SANDBOX:
        ok = sandbox_mode_parse(value, member) == 0;
        break;
    case CONF_CAMERAS:
        ok = parse_cameras(value, member);
        break;
    case CONF_SECRET:
        ok = parse_secret(value, option->max, member);
        break;
    case CONF_YES_NO:
        ok = strcmp(value, "yes") == 0 || strcmp(value, "no") == 0;
        if (ok)
            *(bool *)member = value[0] == 'y';
        break;
    case CONF_LOG_FORMAT:
        ok = log_format_parse(value, member) == 0;
        break;
    }
    if (!ok)
        put_accepted(accepted, option);
    return ok ? 0 : -EINVAL;
}

void conf_option_write(const struct conf *conf, const struct conf_option *option,
                       struct conf_text *text)
{
    const void *member = (const char *)conf + option->offset;
    switch (option->type) {
    case CONF_UINT32:
        conf_text_put(text, "%u", *(const uint32_t *)member);
        break;
    case CONF_UINT64:
        conf_text_put(text, "%llu", (unsigned long long)*(const uint64_t *)member);
        break;
    case CONF_ADDRESS:
    case CONF_CAMERAS:
    case CONF_NAME:
        conf_text_put(text, "%s", (const char *)member);
        break;
    case CONF_SECRET:
        conf_text_put(text, "%s", *(const char *)member != '\0' ? "***" : "");
        break;
    case CONF_LOG_LEVEL:
        conf_text_put(text, "%s", log_level_name(*(const enum log_level *)member));
        break;
    case CONF_SANDBOX:
        conf_text_put(text, "%s", sandbox_mode_name(*(const enum sandbox_mode *)member));
        break;
    case CONF_YES_NO:
        conf_text_put(text, "%s", *(const bool *)member ? "yes" : "no");
        break;
    case CONF_LOG_FORMAT:
        conf_text_put(text, "%s", log_format_name(*(const enum log_format *)member));
        break;
    }
}
