#include "master/query.h"

#include "common/url.h"
#include "common/url_text.h"
#include "common/url_trim.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

/* Seconds since 1970 have as many, milliseconds more. */
#define CLOCK_DIGITS 10

static const char *const names[QUERY_COUNT] = {
#define X(name, text) [QUERY_##name] = (text),
    QUERY_PARAMS(X)
#undef X
};

/* The names of parameters with which players and pages keep answers from being cached. */
static const char *const cache_busters[] = {"_", "rnd", "random", "nocache", NULL};

/* The same; but recorders play from `t=90`, too. */
static const char *const clock_names[] = {"t", "ts", "time", "timestamp", NULL};

static bool is_word(struct span s, const char *word)
{
    return strlen(word) == s.len && memcmp(word, s.at, s.len) == 0;
}

/* The known parameter that a `name=value` pair sets, and its value; QUERY_COUNT if none. */
static enum query_param match_pair(struct span pair, struct span *value)
{
    const char *equals = memchr(pair.at, '=', pair.len);
    if (equals == NULL)
        return QUERY_COUNT;
    struct span name = {pair.at, (size_t)(equals - pair.at)};
    *value = (struct span){equals + 1, pair.len - name.len - 1};
    for (int i = 0; i < QUERY_COUNT; i++) {
        if (is_word(name, names[i]))
            return (enum query_param)i;
    }
    return QUERY_COUNT;
}

static bool is_one_of(struct span s, const char *const *words)
{
    while (*words != NULL && !is_word(s, *words))
        words++;
    return *words != NULL;
}

/* Digits, with a point at most. @return how many digits; 0: it is no number. */
static size_t count_digits(struct span s)
{
    size_t digits = 0, points = 0;
    for (size_t i = 0; i < s.len; i++) {
        digits += char_is_digit(s.at[i]);
        points += s.at[i] == '.';
    }
    return points <= 1 && digits + points == s.len ? digits : 0;
}

static bool has_clock_name(struct span pair)
{
    const char *equals = memchr(pair.at, '=', pair.len);
    return equals != NULL &&
           is_one_of((struct span){pair.at, (size_t)(equals - pair.at)}, clock_names);
}

/* @param before  what the pair follows.  Without a `?` it has no pairs of its own. */
static bool is_cache_buster(struct span before, struct span pair)
{
    const char *equals = memchr(pair.at, '=', pair.len);
    if (equals == NULL)
        return false;
    struct span name = {pair.at, (size_t)(equals - pair.at)};
    struct span value = {equals + 1, pair.len - name.len - 1};
    size_t digits = count_digits(value);
    bool of_clock = digits >= CLOCK_DIGITS || (value.len > 1 && memcmp(value.at, "0.", 2) == 0) ||
                    memchr(before.at, '?', before.len) == NULL;
    return digits > 0 &&
           (is_one_of(name, cache_busters) || (of_clock && is_one_of(name, clock_names)));
}

static void set_value(struct query *q, enum query_param param, struct span value)
{
    char *out = q->value[param];
    if (param == QUERY_CAM)
        value = url_trim(value, true);
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

/* The URL without what surrounds it where it was pasted, and without the `.flv` of a player. */
static struct span strip_url(struct span url, bool encoded)
{
    url = url_trim(url, encoded);
    bool http = url.len >= 4 && strncasecmp(url.at, "http", 4) == 0;
    if (!http && ends_in_flv(url))
        url.len -= 4;
    return url_trim(url, encoded);
}

static int set_camera_url(struct query *q, struct span value, bool raw)
{
    struct span url = value;
    if (!raw) {
        char *decoded = q->cam_url;
        url.len = url_decode(decoded, sizeof(q->cam_url), value.at, value.len, true);
        if (url.len > sizeof(q->cam_url))
            return -ENAMETOOLONG;
        url.at = decoded;
    }
    url = strip_url(url, raw);
    if (url.len >= sizeof(q->cam_url))
        return -ENAMETOOLONG;
    memmove(q->cam_url, url.at, url.len);
    q->cam_url[url.len] = '\0';
    q->cam_url_len = url.len;
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

/* Is what follows the only `?` of a URL there to get around caches?  Times are the camera's there:
 * recorders play from them. */
static bool ends_in_cache_buster(struct span url, struct span *before)
{
    const char *mark = memchr(url.at, '?', url.len);
    if (mark == NULL)
        return false;
    *before = (struct span){url.at, (size_t)(mark - url.at)};
    struct span pair = {mark + 1, url.len - before->len - 1};
    return is_cache_buster(*before, pair) && !has_clock_name(pair);
}

/* Take the known pairs, and those against caches, off the end of a raw camera URL. */
static int take_trailing(struct query *q, struct span *url, enum query_param *bad)
{
    for (;;) {
        struct span value;
        struct span pair = last_pair(*url), before;
        if (pair.len == url->len) {
            if (ends_in_cache_buster(*url, &before))
                *url = before;
            return 0;
        }
        enum query_param param = match_pair(pair, &value);
        if (param == QUERY_STREAM)
            return 0; /* the camera's own, as in `channel=1&stream=0` */
        before = (struct span){url->at, url->len - pair.len - 1};
        if (param == QUERY_COUNT && !is_cache_buster(before, pair))
            return 0;
        *url = before;
        if (param == QUERY_COUNT)
            continue;
        *bad = param;
        if (q->given[param] || param == QUERY_CAM_URL)
            return -EEXIST;
        set_value(q, param, value);
    }
}

static bool is_raw_url(struct span value)
{
    return memmem(value.at, value.len, "://", 3) != NULL;
}

/* The query without the `.flv` of a player after its last value, unless that is a camera's URL. */
static struct span without_suffix(struct span query)
{
    struct span value, last = last_pair(query);
    struct span before = {query.at, query.len - last.len};
    if (!ends_in_flv(last))
        return query;
    last.len -= 4;
    enum query_param param = match_pair(last, &value);
    bool known = param != QUERY_COUNT && param != QUERY_CAM_URL;
    if (known || is_cache_buster(before, last))
        query.len -= 4;
    return query;
}

int query_parse(struct query *q, const char *text, enum query_param *bad)
{
    memset(q, 0, sizeof(*q));
    struct span rest = without_suffix(url_trim_space((struct span){text, strlen(text)}, true));
    struct span value;

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
            url = url_trim(url, true); /* quotes may be around the pairs, too */
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
