#include "master/query.h"

#include "common/url.h"
#include "common/url_text.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

static const char *const names[QUERY_COUNT] = {
#define X(name, text) [QUERY_##name] = (text),
    QUERY_PARAMS(X)
#undef X
};

/* The known parameter that a `name=value` pair sets, and its value; QUERY_COUNT if none. */
static enum query_param match_pair(struct span pair, struct span *value)
{
    const char *equals = memchr(pair.at, '=', pair.len);
    if (equals == NULL)
        return QUERY_COUNT;
    size_t name_len = (size_t)(equals - pair.at);
    *value = (struct span){equals + 1, pair.len - name_len - 1};
    for (int i = 0; i < QUERY_COUNT; i++) {
        if (strlen(names[i]) == name_len && memcmp(names[i], pair.at, name_len) == 0)
            return (enum query_param)i;
    }
    return QUERY_COUNT;
}

static void set_value(struct query *q, enum query_param param, struct span value)
{
    char *out = q->value[param];
    size_t n = url_decode(out, QUERY_VALUE_MAX - 1, value.at, value.len, true);
    if (n > QUERY_VALUE_MAX - 1)
        n = QUERY_VALUE_MAX - 1;
    for (size_t i = 0; i < n; i++) {
        if (out[i] == '\0')
            out[i] = '\x7f'; /* no valid value holds it; a NUL would hide the bytes after it */
    }
    out[n] = '\0';
    q->given[param] = true;
}

static bool ends_in_flv(struct span s)
{
    return s.len > 4 && memcmp(s.at + s.len - 4, ".flv", 4) == 0;
}

static int set_camera_url(struct query *q, struct span value, bool raw)
{
    size_t n = value.len;
    if (!raw)
        n = url_decode(q->cam_url, sizeof(q->cam_url), value.at, value.len, true);
    else if (n < sizeof(q->cam_url))
        memcpy(q->cam_url, value.at, n);
    if (n >= sizeof(q->cam_url))
        return -ENAMETOOLONG;
    q->cam_url[n] = '\0';

    bool http = strncasecmp(q->cam_url, "http", 4) == 0;
    if (!http && ends_in_flv((struct span){q->cam_url, n}))
        q->cam_url[n -= 4] = '\0';
    q->cam_url_len = n;
    q->given[QUERY_CAM_URL] = true;
    return 0;
}

/* The last `&`-separated piece of s. */
static struct span last_pair(struct span s)
{
    const char *amp = memrchr(s.at, '&', s.len);
    size_t skip = amp != NULL ? (size_t)(amp - s.at) + 1 : 0;
    return (struct span){s.at + skip, s.len - skip};
}

/* Take the known pairs off the end of a raw camera URL. */
static int take_trailing(struct query *q, struct span *url, enum query_param *bad)
{
    for (;;) {
        struct span value;
        struct span pair = last_pair(*url);
        if (pair.len == url->len)
            return 0;
        enum query_param param = match_pair(pair, &value);
        if (param == QUERY_COUNT)
            return 0;
        *bad = param;
        if (q->given[param] || param == QUERY_CAM_URL)
            return -EEXIST;
        set_value(q, param, value);
        url->len -= pair.len + 1;
    }
}

static bool is_raw_url(struct span value)
{
    return memmem(value.at, value.len, "://", 3) != NULL;
}

int query_parse(struct query *q, const char *text, enum query_param *bad)
{
    memset(q, 0, sizeof(*q));
    struct span rest = {text, strlen(text)};
    struct span value;

    enum query_param last = match_pair(last_pair(rest), &value);
    if (last != QUERY_COUNT && last != QUERY_CAM_URL && ends_in_flv(value))
        rest.len -= 4;

    while (rest.len > 0) {
        const char *amp = memchr(rest.at, '&', rest.len);
        struct span pair = {rest.at, amp != NULL ? (size_t)(amp - rest.at) : rest.len};
        size_t used = amp != NULL ? pair.len + 1 : pair.len;
        enum query_param param = match_pair(pair, &value);
        if (param != QUERY_COUNT) {
            *bad = param;
            if (q->given[param])
                return -EEXIST;
        }
        if (param == QUERY_CAM_URL && is_raw_url(value)) {
            struct span url = {value.at, rest.len - (size_t)(value.at - rest.at)};
            int rc = take_trailing(q, &url, bad);
            if (rc != 0)
                return rc;
            *bad = QUERY_CAM_URL;
            return set_camera_url(q, url, true);
        }
        if (param == QUERY_CAM_URL) {
            int rc = set_camera_url(q, value, false);
            if (rc != 0)
                return rc;
        } else if (param != QUERY_COUNT) {
            set_value(q, param, value);
        }
        rest.at += used;
        rest.len -= used;
    }
    return 0;
}

const char *query_param_name(enum query_param param)
{
    assert(param < QUERY_COUNT);
    return names[param];
}
