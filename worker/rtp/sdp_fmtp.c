#include "worker/rtp/sdp_fmtp.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define SETS "sprop-" /* parameter sets in base64, separated by commas: RFC 6184, 7798 */

/* What has been written so far; always terminated. */
struct text {
    char *out;
    size_t size;
    size_t len;
};

static void put(struct text *t, char c)
{
    if (t->len + 1 < t->size)
        t->out[t->len++] = c;
    t->out[t->len] = '\0';
}

/* Leave out what one of these characters is, at both ends. */
static void trim(const char **p, const char **end, const char *what)
{
    while (*p < *end && strchr(what, **p) != NULL)
        ++*p;
    while (*end > *p && strchr(what, (*end)[-1]) != NULL)
        --*end;
}

/* A list of parameter sets: no character of another kind, no empty set. */
static void put_sets(struct text *t, const char *p, const char *end)
{
    trim(&p, &end, " \t\",");
    for (char last = '\0'; p < end; p++) {
        if (strchr(" \t\"", *p) != NULL || (*p == ',' && last == ','))
            continue;
        last = *p;
        put(t, last);
    }
}

static void put_parameter(struct text *t, const char *p, const char *end)
{
    trim(&p, &end, " \t");
    const char *equals = memchr(p, '=', (size_t)(end - p));
    const char *name_end = equals != NULL ? equals : end;
    const char *name = p;
    trim(&name, &name_end, " \t");
    if (name == name_end)
        return;
    if (t->len > 0)
        put(t, ';');
    for (const char *c = name; c < name_end; c++)
        put(t, (char)tolower((unsigned char)*c));
    if (equals == NULL)
        return;
    const char *value = equals + 1;
    put(t, '=');
    if (strncasecmp(name, SETS, strlen(SETS)) == 0) {
        put_sets(t, value, end);
        return;
    }
    trim(&value, &end, " \t\"");
    for (; value < end; value++)
        put(t, *value);
}

void sdp_fmtp_clean(char *out, size_t size, const char *text)
{
    struct text t = {out, size, 0};
    out[0] = '\0';
    while (*text != '\0') {
        size_t len = strcspn(text, ";");
        put_parameter(&t, text, text + len);
        text += len + (text[len] == ';');
    }
}
