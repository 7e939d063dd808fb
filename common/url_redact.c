#include "common/url_redact.h"

#include "common/url_text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool name_is_secret(struct span name)
{
    static const char *const words[] = {"pas",    "pwd", "psw",  "token", "auth",
                                        "secret", "key", "sign", "cred",  "session"};
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t len = strlen(words[i]);
        for (size_t at = 0; at + len <= name.len; at++) {
            if (strncasecmp(name.at + at, words[i], len) == 0)
                return true;
        }
    }
    return false;
}

static bool starts_parameter(struct span s, size_t i)
{
    size_t n = i;
    while (n < s.len && char_is_alnum(s.at[n]))
        n++;
    return n > i && n < s.len && s.at[n] == '=';
}

/* Copy text, masking the value of each `name=value` pair whose name suggests a secret. */
static void put_masked_pairs(struct url_writer *w, struct span s)
{
    size_t from = 0; /* start of the word that may be a name */
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (c != '=') {
            url_put(w, &c, 1);
            if (!char_is_alnum(c) && c != '-' && c != '_')
                from = i + 1;
            continue;
        }
        struct span name = {s.at + from, i - from};
        url_put(w, "=", 1);
        from = i + 1;
        if (!name_is_secret(name))
            continue;
        /* `_name=` ends it too: some cameras use /user=admin_password=x_channel=1_stream=0.sdp */
        size_t end = i + 1;
        while (end < s.len && strchr("&;", s.at[end]) == NULL &&
               !(s.at[end] == '_' && starts_parameter(s, end + 1)))
            end++;
        url_put_text(w, "***");
        i = end - 1;
        from = end;
    }
}

/* Find the first or last place in s where one of the words begins; NULL if none. */
static const char *find_word(struct span s, const char *const *words, bool last, size_t *word_len)
{
    const char *found = NULL;
    for (size_t i = 0; i < s.len; i++) {
        for (const char *const *word = words; *word != NULL; word++) {
            size_t len = strlen(*word);
            if (len > s.len - i || strncasecmp(s.at + i, *word, len) != 0)
                continue;
            found = s.at + i;
            *word_len = len;
            if (!last)
                return found;
        }
    }
    return found;
}

/* Write a path or a query.  The text before its last `@` may hold a password, so it is masked;
 * if it holds a URL, only from the `://` on. */
static void put_redacted(struct url_writer *w, struct span s)
{
    static const char *const ats[] = {"@", "%40", "%2540", NULL};
    static const char *const slashes[] = {"://", "%3A%2F%2F", "%253A%252F%252F", NULL};
    size_t len = 0;
    const char *at = find_word(s, ats, true, &len);
    if (at != NULL) {
        struct span before = {s.at, (size_t)(at - s.at)};
        const char *url = find_word(before, slashes, false, &len);
        if (url != NULL)
            put_masked_pairs(w, (struct span){s.at, (size_t)(url - s.at) + len});
        url_put_text(w, "***");
        s = (struct span){at, s.len - before.len};
    }
    put_masked_pairs(w, s);
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

size_t url_redact(const struct camera_url *u, char *out)
{
    struct url_writer w = {.out = out};
    put_host(&w, u);
    size_t path_len = strcspn(u->path, "?");
    if (path_len > 0) {
        url_put_text(&w, "/");
        put_redacted(&w, (struct span){u->path + 1, path_len - 1});
    }
    if (u->path[path_len] != '\0') {
        url_put_text(&w, "?");
        put_redacted(&w, (struct span){u->path + path_len + 1, strlen(u->path + path_len + 1)});
    }
    return w.len;
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
    (void)url_redact(u, redacted);
    uint64_t hash = hash_text(UINT64_C(0xcbf29ce484222325), redacted);
    hash = hash_text(hash, u->user);
    hash = hash_text(hash, url_transport_name(transport));
    int len = snprintf(out, URL_STREAM_ID_MAX, "%016llx", (unsigned long long)hash);
    if (n > 0)
        (void)snprintf(out + len, URL_STREAM_ID_MAX - (size_t)len, "-%u", n);
}
