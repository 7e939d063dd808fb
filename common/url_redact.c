#include "common/url_redact.h"

#include "common/url_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Is this a NUL-terminated list's word, whole? */
static bool is_one_of(const char *text, const char *const *words)
{
    while (*words != NULL && strcmp(text, *words) != 0)
        words++;
    return *words != NULL;
}

static bool has_one_of(const char *text, const char *const *words)
{
    while (*words != NULL && strstr(text, *words) == NULL)
        words++;
    return *words != NULL;
}

/* --- characters, however often they are percent-encoded --------------------- */

static int hex_pair(struct span s, size_t i)
{
    if (s.len < 2 || i > s.len - 2)
        return -1;
    int high = char_hex_value(s.at[i]), low = char_hex_value(s.at[i + 1]);
    return high < 0 || low < 0 ? -1 : 16 * high + low;
}

/* A character of a URL within a URL within … a URL. */
struct unit {
    char c;
    unsigned level; /* how often it is encoded: `=` 0, `%3D` 1, `%253D` 2 */
    size_t len;     /* in the text */
};

static struct unit read_unit(struct span s, size_t i)
{
    struct unit unit = {.c = s.at[i], .level = 0, .len = 1};
    int value = '%';
    while (value == '%' && unit.c == '%') {
        value = hex_pair(s, i + unit.len);
        if (value < 0)
            break;
        unit.c = (char)value;
        unit.level++;
        unit.len += 2;
    }
    return unit;
}

/* --- names and values ------------------------------------------------------- */

/* The word that may be the name of a `name=value` pair, in lower case. */
struct word {
    char text[48];
    size_t len;
    bool cut;
    bool in_secret; /* it is an index of a secret name: `password[0]` */
};

static bool name_is_secret(const struct word *name)
{
    static const char *const parts[] = {"pas",    "pw",      "psw",    "tok",  "auth", "secret",
                                        "key",    "sig",     "cred",   "sess", "hash", "hmac",
                                        "digest", "ticket",  "jwt",    "md5",  "sha1", "sha2",
                                        "bearer", "captcha", "cookie", NULL};
    static const char *const names[] = {"p", "pin", "otp", "sid", "code", "st", "k", NULL};
    return name->cut || name->in_secret || has_one_of(name->text, parts) ||
           is_one_of(name->text, names);
}

/* `login[password]` is a name with the word `password`. */
static void word_push(struct word *word, char c)
{
    if (c == ']')
        return;
    if (c == '[')
        *word = (struct word){.in_secret = name_is_secret(word)};
    else if (!char_is_alnum(c) && c != '-' && c != '_')
        *word = (struct word){0};
    else if (word->len < sizeof(word->text) - 1)
        word->text[word->len++] = char_to_lower(c);
    else
        word->cut = true;
}

static bool starts_parameter(struct span s, size_t i)
{
    size_t n = i;
    while (n < s.len && char_is_alnum(s.at[n]))
        n++;
    return n > i && n < s.len && s.at[n] == '=';
}

/* Where does the value end that begins at i, after a `=` of this level?  `_name=` ends it, too:
 * some cameras use /user=admin_password=x_channel=1_stream=0.sdp */
static size_t value_end(struct span s, size_t i, unsigned level)
{
    while (i < s.len) {
        struct unit unit = read_unit(s, i);
        if ((unit.c == '&' || unit.c == ';') && unit.level <= level)
            break;
        if (s.at[i] == '_' && starts_parameter(s, i + 1))
            break;
        i += unit.len;
    }
    return i;
}

/* --- parts: segments of a path, pairs of a query ---------------------------- */

/* What a text may be searched for, besides `name=value`. */
struct rules {
    bool path; /* its parts are segments; else pairs */
    bool keys; /* RTMP: a segment but the first may be a stream key */
};

static bool ends_part(char c, struct rules rules)
{
    return rules.path ? c == '/' : c == '&' || c == ';';
}

/* @param names_value  out: it has a `=`. */
static size_t part_end(struct span s, size_t i, struct rules rules, bool *names_value)
{
    *names_value = false;
    while (i < s.len) {
        struct unit unit = read_unit(s, i);
        if (ends_part(unit.c, rules))
            break;
        *names_value |= unit.c == '=';
        i += unit.len;
    }
    return i;
}

/* Is it `user:password`? */
static bool is_login(struct span part)
{
    bool colon = false;
    for (size_t i = 0; i < part.len;) {
        struct unit unit = read_unit(part, i);
        if (colon)
            return true;
        colon = unit.c == ':' && i > 0;
        i += unit.len;
    }
    return false;
}

#define STREAM_NAME_MAX 16
#define STREAM_NUMBER_MAX 4

/* A word, a number, or a word with a number; no random letters.  @return its length; 0: no. */
static size_t take_plain_word(struct span s)
{
    size_t n = 0, upper = 0, digits = 0;
    while (n < s.len && char_is_alnum(s.at[n]) && !char_is_digit(s.at[n])) {
        upper += s.at[n] != char_to_lower(s.at[n]);
        n++;
    }
    bool plain = upper == n || upper == 0 || (upper == 1 && s.at[0] != char_to_lower(s.at[0]));
    while (n + digits < s.len && char_is_digit(s.at[n + digits]))
        digits++;
    return plain && digits <= STREAM_NUMBER_MAX ? n + digits : 0;
}

/* Parts of names that begin or end with digits, or say nothing of who may publish. */
static const char *const media_words[] = {
    "h264",  "h265",  "hevc",  "avc",   "av1",   "vp8", "vp9", "mjpeg", "mpeg4", "aac",
    "g711a", "g711u", "pcma",  "pcmu",  "opus",  "mp3", "mp4", "flv",   "sdp",   "stream",
    "480p",  "720p",  "1080p", "1440p", "2160p", "2k",  "4k",  "8k",    NULL};

static bool is_media_word(struct span s)
{
    char text[8];
    if (s.len >= sizeof(text))
        return false;
    for (size_t i = 0; i < s.len; i++)
        text[i] = char_to_lower(s.at[i]);
    text[s.len] = '\0';
    return is_one_of(text, media_words);
}

/* Does the name of a stream look like one that a person gave (`cam1`, `front-door_2.mp4`)? */
static bool is_plain_name(struct span s)
{
    struct word word = {0};
    size_t unknown = 0;
    for (size_t i = 0; i < s.len; i++)
        word_push(&word, s.at[i]);
    if (name_is_secret(&word))
        return false;
    while (s.len > 0) {
        size_t n = 0;
        while (n < s.len && strchr("-_.", s.at[n]) == NULL)
            n++;
        bool media = is_media_word((struct span){s.at, n});
        if (!media && (n == 0 || take_plain_word(s) != n))
            return false;
        n += n < s.len;
        unknown += media ? 0 : n;
        s.at += n;
        s.len -= n;
    }
    return unknown <= STREAM_NAME_MAX;
}

/* @return the end of a part that begins at i and must not be shown; i: it may be. */
static size_t secret_part_end(struct span s, size_t i, unsigned number, struct rules rules)
{
    bool names_value;
    size_t end = part_end(s, i, rules, &names_value);
    struct span part = {s.at + i, end - i};
    bool secret = ((rules.path || !names_value) && is_login(part)) ||
                  (rules.keys && number > 0 && !is_plain_name(part));
    return secret ? end : i;
}

/* --- writing ---------------------------------------------------------------- */

/* Copy text, masking secret parts, and the value of each `name=value` pair whose name suggests
 * a secret. */
static void put_masked(struct url_writer *w, struct span s, struct rules rules)
{
    struct word word = {0};
    unsigned parts = 0;
    bool begins = s.len > 0 && s.at[0] != '@';
    for (size_t i = 0; i < s.len;) {
        size_t end = begins ? secret_part_end(s, i, parts++, rules) : i;
        begins = false;
        if (end > i) {
            url_put_text(w, "***");
            i = end;
            continue;
        }
        struct unit unit = read_unit(s, i);
        url_put(w, s.at + i, unit.len);
        i += unit.len;
        begins = ends_part(unit.c, rules);
        if (unit.c == '=' && name_is_secret(&word)) {
            url_put_text(w, "***");
            i = value_end(s, i, unit.level);
        }
        word_push(&word, unit.c);
    }
}

/* Find the first place in s where one of the words begins; NULL if none. */
static const char *find_word(struct span s, const char *const *words, size_t *word_len)
{
    for (size_t i = 0; i < s.len; i++) {
        for (const char *const *word = words; *word != NULL; word++) {
            *word_len = strlen(*word);
            if (*word_len <= s.len - i && strncasecmp(s.at + i, *word, *word_len) == 0)
                return s.at + i;
        }
    }
    return NULL;
}

static const char *find_last_at(struct span s)
{
    const char *found = NULL;
    for (size_t i = 0; i < s.len;) {
        struct unit unit = read_unit(s, i);
        if (unit.c == '@')
            found = s.at + i;
        i += unit.len;
    }
    return found;
}

/* Write a path or a query.  The text before its last `@` may hold a password, so it is masked;
 * if it holds a URL, only from the `://` on. */
static void put_redacted(struct url_writer *w, struct span s, struct rules rules)
{
    static const char *const slashes[] = {"://", "%3A%2F%2F", "%253A%252F%252F", NULL};
    size_t len = 0;
    const char *at = find_last_at(s);
    if (at != NULL) {
        struct span before = {s.at, (size_t)(at - s.at)};
        const char *url = find_word(before, slashes, &len);
        if (url != NULL)
            put_masked(w, (struct span){s.at, (size_t)(url - s.at) + len}, rules);
        url_put_text(w, "***");
        s = (struct span){at, s.len - before.len};
    }
    put_masked(w, s, rules);
}

/* Write the part before the path, with user name and password masked. */
static void put_host(struct url_writer *w, const struct camera_url *u)
{
    struct camera_url bare = *u;
    char text[IPC_URL_MAX];
    bare.has_user = 0;
    bare.path[0] = '\0';
    size_t len = url_format(&bare, text);
    size_t scheme_len = strlen(url_scheme_name(u->scheme)) + 3;
    url_put(w, text, scheme_len);
    if (u->has_user)
        url_put_text(w, "***@");
    url_put(w, text + scheme_len, len - scheme_len);
}

/*
 * May the host be the beginning of a password with `/` or `?` in it (`admin:12/secret@10.0.0.9`,
 * url_parse())?  Only where an `@` comes later, and not as part of a URL or of a parameter's value.
 * @return the `@` that then precedes the host, or NULL.
 */
static const char *find_host_in_path(const struct camera_url *u)
{
    const char *at = memrchr(u->path, '@', strcspn(u->path, "="));
    bool address = u->host_is_ipv6 || strspn(u->host, "0123456789.") == strlen(u->host);
    const char *url = strstr(u->path, "://");
    return address || at == NULL || (url != NULL && url < at) ? NULL : at;
}

static size_t redact(const struct camera_url *u, bool show_keys, char *out)
{
    struct url_writer w = {.out = out};
    bool rtmp = u->scheme == URL_RTMP || u->scheme == URL_RTMPS;
    const struct rules rules = {.path = true, .keys = rtmp && !show_keys};
    const char *path = find_host_in_path(u);
    if (path != NULL) {
        url_put_text(&w, url_scheme_name(u->scheme));
        url_put_text(&w, "://");
    } else {
        put_host(&w, u);
        path = u->path;
    }
    size_t path_len = strcspn(path, "?");
    size_t slash = path[0] == '/';
    url_put(&w, path, slash);
    put_redacted(&w, (struct span){path + slash, path_len - slash}, rules);
    if (path[path_len] != '\0') {
        struct span query = {path + path_len + 1, strlen(path + path_len + 1)};
        url_put_text(&w, "?");
        if (rules.keys && memchr(query.at, '=', query.len) == NULL && !is_plain_name(query))
            url_put_text(&w, "***");
        else
            put_redacted(&w, query, (struct rules){0});
    }
    return w.len;
}

size_t url_redact(const struct camera_url *u, char *out)
{
    return redact(u, false, out);
}

/* FNV-1a, 64 bits; the NUL separates the parts. */
static uint64_t hash_text(uint64_t hash, const char *s)
{
    do {
        hash = (hash ^ (unsigned char)*s) * UINT64_C(0x100000001b3);
    } while (*s++ != '\0');
    return hash;
}

void url_stream_id(const struct camera_url *u, enum ipc_transport transport, unsigned n, char *out)
{
    char redacted[IPC_URL_MAX];
    (void)redact(u, true, redacted); /* else all of a server's RTMP cameras would be one */
    uint64_t hash = hash_text(UINT64_C(0xcbf29ce484222325), redacted);
    hash = hash_text(hash, u->user);
    hash = hash_text(hash, url_transport_name(transport));
    int len = snprintf(out, URL_STREAM_ID_MAX, "%016llx", (unsigned long long)hash);
    if (n > 0)
        (void)snprintf(out + len, URL_STREAM_ID_MAX - (size_t)len, "-%u", n);
}
