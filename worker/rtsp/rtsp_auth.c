#include "worker/rtsp/rtsp_auth.h"

#include "common/xalloc.h"

#include <assert.h>
#include <errno.h>
#include <libavutil/base64.h>
#include <libavutil/md5.h>
#include <libavutil/mem.h>
#include <libavutil/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ATTEMPTS_MAX 3 /* refusals in a row: a fresh nonce excuses all but the last */
#define DIGEST_HEX 65

/* Reads challenges from header values. */
struct challenge_parser {
    const char *p;
    const char *end;
};

void rtsp_auth_init(struct rtsp_auth *auth, const char *user, const char *password, uint64_t seed)
{
    memset(auth, 0, sizeof(*auth));
    (void)snprintf(auth->user, sizeof(auth->user), "%s", user);
    (void)snprintf(auth->password, sizeof(auth->password), "%s", password);
    auth->seed = seed;
}

static void skip_separators(struct challenge_parser *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == ','))
        c->p++;
}

static struct rtsp_slice parse_token(struct challenge_parser *c)
{
    const char *start = c->p;
    while (c->p < c->end && strchr(" \t,=\"", *c->p) == NULL)
        c->p++;
    if (c->p == start && c->p < c->end)
        c->p++; /* always advance, even on broken input */
    return (struct rtsp_slice){start, (size_t)(c->p - start)};
}

/* Read the value after `=`: a token, or a quoted string without its quotes but with its escapes. */
static struct rtsp_slice parse_value(struct challenge_parser *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t'))
        c->p++;
    if (c->p == c->end || *c->p != '"') {
        const char *start = c->p;
        while (c->p < c->end && *c->p != ',' && *c->p != ' ')
            c->p++;
        return (struct rtsp_slice){start, (size_t)(c->p - start)};
    }
    const char *start = ++c->p;
    while (c->p < c->end && *c->p != '"')
        c->p += *c->p == '\\' && c->p + 1 < c->end ? 2 : 1;
    struct rtsp_slice value = {start, (size_t)(c->p - start)};
    if (c->p < c->end)
        c->p++;
    return value;
}

/* Is the token that was just read the name of a parameter? */
static bool parse_equals(struct challenge_parser *c)
{
    const char *p = c->p;
    while (p < c->end && (*p == ' ' || *p == '\t'))
        p++;
    if (p == c->end || *p != '=')
        return false;
    c->p = p + 1;
    return true;
}

static enum rtsp_auth_scheme algorithm_scheme(struct rtsp_slice value, bool *session)
{
    *session = rtsp_slice_equals(value, "MD5-sess") || rtsp_slice_equals(value, "SHA-256-sess");
    if (rtsp_slice_equals(value, "MD5") || rtsp_slice_equals(value, "MD5-sess"))
        return RTSP_AUTH_MD5;
    if (rtsp_slice_equals(value, "SHA-256") || rtsp_slice_equals(value, "SHA256") ||
        rtsp_slice_equals(value, "SHA-256-sess"))
        return RTSP_AUTH_SHA256;
    return RTSP_AUTH_NONE;
}

static void parse_parameter(struct rtsp_auth_challenge *ch, enum rtsp_auth_scheme *scheme,
                            struct rtsp_slice name, struct rtsp_slice value)
{
    if (rtsp_slice_equals(name, "realm")) {
        rtsp_slice_copy(ch->realm, sizeof(ch->realm), value);
    } else if (rtsp_slice_equals(name, "nonce")) {
        rtsp_slice_copy(ch->nonce, sizeof(ch->nonce), value);
    } else if (rtsp_slice_equals(name, "opaque")) {
        ch->has_opaque = true;
        rtsp_slice_copy(ch->opaque, sizeof(ch->opaque), value);
    } else if (rtsp_slice_equals(name, "qop")) {
        /* From "auth,auth-int" we take auth. */
        for (const char *p = value.data; (size_t)(p - value.data) + 4 <= value.len; p++)
            if (strncasecmp(p, "auth", 4) == 0 &&
                (p + 4 == value.data + value.len || p[4] == ',' || p[4] == ' '))
                ch->qop_auth = true;
    } else if (rtsp_slice_equals(name, "stale")) {
        ch->stale = rtsp_slice_equals(value, "true");
    } else if (rtsp_slice_equals(name, "algorithm") && *scheme != RTSP_AUTH_BASIC) {
        *scheme = algorithm_scheme(value, &ch->session);
    }
}

static void store_challenge(struct rtsp_auth_challenge *into, enum rtsp_auth_scheme scheme,
                            const struct rtsp_auth_challenge *ch)
{
    if (scheme == RTSP_AUTH_NONE || into[scheme].offered)
        return;
    into[scheme] = *ch;
    into[scheme].offered = true;
}

static void parse_challenges(struct rtsp_auth_challenge *into, struct rtsp_slice text)
{
    struct challenge_parser c = {text.data, text.data + text.len};
    struct rtsp_auth_challenge ch = {0};
    enum rtsp_auth_scheme scheme = RTSP_AUTH_NONE;
    for (skip_separators(&c); c.p < c.end; skip_separators(&c)) {
        struct rtsp_slice token = parse_token(&c);
        if (parse_equals(&c)) {
            parse_parameter(&ch, &scheme, token, parse_value(&c));
            continue;
        }
        store_challenge(into, scheme, &ch);
        memset(&ch, 0, sizeof(ch));
        scheme = rtsp_slice_equals(token, "Basic") ? RTSP_AUTH_BASIC
                 : rtsp_slice_equals(token, "Digest")
                     ? RTSP_AUTH_MD5 /* unless it names an algorithm */
                     : RTSP_AUTH_NONE;
    }
    store_challenge(into, scheme, &ch);
}

static enum rtsp_auth_scheme best_scheme(const struct rtsp_auth *auth)
{
    for (int s = RTSP_AUTH_SCHEMES - 1; s > RTSP_AUTH_NONE; s--)
        if (auth->challenges[s].offered && (auth->rejected & 1u << s) == 0)
            return (enum rtsp_auth_scheme)s;
    return RTSP_AUTH_NONE;
}

bool rtsp_auth_refused(struct rtsp_auth *auth, const struct rtsp_message *m)
{
    struct rtsp_auth_challenge *fresh = xcalloc(RTSP_AUTH_SCHEMES, sizeof(*fresh));
    struct rtsp_slice value;
    size_t from = 0;
    while (rtsp_message_header(m, "WWW-Authenticate", &from, &value))
        parse_challenges(fresh, value);

    enum rtsp_auth_scheme used = auth->scheme;
    bool new_nonce =
        fresh[used].offered && strcmp(fresh[used].nonce, auth->challenges[used].nonce) != 0;
    bool again = fresh[used].stale || ((auth->accepted || auth->carried) && new_nonce);
    memcpy(auth->challenges, fresh, sizeof(auth->challenges));
    free(fresh);

    auth->carried = false;
    auth->nonce_count = 0;
    if (auth->user[0] == '\0' && auth->password[0] == '\0')
        return false;
    if (used == RTSP_AUTH_NONE) {
        auth->scheme = best_scheme(auth);
        return auth->scheme != RTSP_AUTH_NONE;
    }
    auth->attempts++;
    if (again && auth->attempts < ATTEMPTS_MAX)
        return true;
    auth->rejected |= 1u << used;
    if (used != RTSP_AUTH_SHA256 || !auth->challenges[RTSP_AUTH_MD5].offered)
        return false;
    auth->scheme = RTSP_AUTH_MD5; /* some firmware offers SHA-256 but computes it wrongly */
    return true;
}

bool rtsp_auth_is_open(const struct rtsp_auth *auth)
{
    return auth->scheme != RTSP_AUTH_NONE && !auth->accepted;
}

void rtsp_auth_carry(struct rtsp_auth *auth, const struct rtsp_auth *before)
{
    auth->scheme = before->scheme;
    memcpy(auth->challenges, before->challenges, sizeof(auth->challenges));
    auth->nonce_count = before->nonce_count;
    auth->attempts = before->attempts;
    auth->rejected = before->rejected;
    auth->carried = true;
}

void rtsp_auth_accepted(struct rtsp_auth *auth)
{
    auth->carried = false;
    if (auth->scheme == RTSP_AUTH_NONE)
        return;
    auth->accepted = true;
    auth->attempts = 0;
}

/* RFC 7616's H() as hex, over a NULL-terminated list of strings joined by colons. */
static void digest(enum rtsp_auth_scheme scheme, char hex[DIGEST_HEX], const char *const *parts)
{
    uint8_t sum[32];
    size_t len = scheme == RTSP_AUTH_SHA256 ? 32 : 16;
    struct AVMD5 *md5 = scheme == RTSP_AUTH_SHA256 ? NULL : av_md5_alloc();
    struct AVSHA *sha = scheme == RTSP_AUTH_SHA256 ? av_sha_alloc() : NULL;
    if (md5 == NULL && sha == NULL)
        abort();
    if (md5 != NULL)
        av_md5_init(md5);
    else
        (void)av_sha_init(sha, 256);
    for (size_t i = 0; parts[i] != NULL; i++) {
        for (int separator = i > 0; separator >= 0; separator--) {
            const uint8_t *bytes = (const uint8_t *)(separator ? ":" : parts[i]);
            size_t n = strlen((const char *)bytes);
            if (md5 != NULL)
                av_md5_update(md5, bytes, n);
            else
                av_sha_update(sha, bytes, n);
        }
    }
    if (md5 != NULL)
        av_md5_final(md5, sum);
    else
        av_sha_final(sha, sum);
    av_free(md5);
    av_free(sha);
    for (size_t i = 0; i < len; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", sum[i]);
}

static int basic_header(const struct rtsp_auth *auth, char *buf)
{
    char plain[2 * URL_CREDENTIAL_MAX];
    char encoded[AV_BASE64_SIZE(2 * URL_CREDENTIAL_MAX)];
    int n = snprintf(plain, sizeof(plain), "%s:%s", auth->user, auth->password);
    if (av_base64_encode(encoded, sizeof(encoded), (const uint8_t *)plain, n) == NULL)
        return -ENAMETOOLONG;
    return snprintf(buf, RTSP_AUTH_HEADER_MAX, "Authorization: Basic %s\r\n", encoded);
}

/* splitmix64: cnonces must differ, not be secret. */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

static int digest_header(struct rtsp_auth *auth, const char *method, const char *uri, char *buf)
{
    const struct rtsp_auth_challenge *ch = &auth->challenges[auth->scheme];
    char ha1[DIGEST_HEX], ha2[DIGEST_HEX], response[DIGEST_HEX];
    char cnonce[17], nc[9];
    (void)snprintf(cnonce, sizeof(cnonce), "%016llx", (unsigned long long)next_random(&auth->seed));
    (void)snprintf(nc, sizeof(nc), "%08x", ++auth->nonce_count);

    digest(auth->scheme, ha1, (const char *[]){auth->user, ch->realm, auth->password, NULL});
    if (ch->session)
        digest(auth->scheme, ha1, (const char *[]){ha1, ch->nonce, cnonce, NULL});
    digest(auth->scheme, ha2, (const char *[]){method, uri, NULL});
    if (ch->qop_auth)
        digest(auth->scheme, response,
               (const char *[]){ha1, ch->nonce, nc, cnonce, "auth", ha2, NULL});
    else
        digest(auth->scheme, response, (const char *[]){ha1, ch->nonce, ha2, NULL});

    int n = snprintf(buf, RTSP_AUTH_HEADER_MAX,
                     "Authorization: Digest username=\"%s\", realm=\"%s\", nonce=\"%s\", "
                     "uri=\"%s\", response=\"%s\"",
                     auth->user, ch->realm, ch->nonce, uri, response);
    /* A camera that names no algorithm means MD5, and old cameras reject the parameter. */
    char extra[sizeof(ch->opaque) + 128];
    int m = snprintf(extra, sizeof(extra), "%s%s%s%s%s",
                     auth->scheme == RTSP_AUTH_SHA256 ? ", algorithm=SHA-256"
                     : ch->session                    ? ", algorithm=MD5"
                                                      : "",
                     ch->session ? "-sess" : "", ch->has_opaque ? ", opaque=\"" : "", ch->opaque,
                     ch->has_opaque ? "\"" : "");
    if (ch->qop_auth || ch->session)
        m += snprintf(extra + m, sizeof(extra) - (size_t)m, "%s, nc=%s, cnonce=\"%s\"",
                      ch->qop_auth ? ", qop=auth" : "", nc, cnonce);
    assert((size_t)m < sizeof(extra));
    if (n < 0 || n + m + 3 > RTSP_AUTH_HEADER_MAX)
        return -ENAMETOOLONG;
    (void)snprintf(buf + n, RTSP_AUTH_HEADER_MAX - (size_t)n, "%s\r\n", extra);
    return n + m + 2;
}

int rtsp_auth_header(struct rtsp_auth *auth, const char *method, const char *uri, char *buf)
{
    switch (auth->scheme) {
    case RTSP_AUTH_BASIC:
        return basic_header(auth, buf);
    case RTSP_AUTH_MD5:
    case RTSP_AUTH_SHA256:
        return digest_header(auth, method, uri, buf);
    case RTSP_AUTH_NONE:
    case RTSP_AUTH_SCHEMES:
        break;
    }
    buf[0] = '\0';
    return 0;
}
