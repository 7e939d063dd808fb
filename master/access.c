#include "master/access.h"

#include "master/query.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Compares digests, so that the time taken shows neither the content nor the length of a secret. */
static bool same_secret(const char *a, const char *b)
{
    unsigned char digest_a[SHA256_DIGEST_LENGTH];
    unsigned char digest_b[SHA256_DIGEST_LENGTH];
    (void)SHA256((const unsigned char *)a, strlen(a), digest_a);
    (void)SHA256((const unsigned char *)b, strlen(b), digest_b);
    return CRYPTO_memcmp(digest_a, digest_b, sizeof(digest_a)) == 0;
}

void access_sign(const char *key, const char *path, const char *camera, const char *expires,
                 char out[ACCESS_SIGNATURE_MAX])
{
    char text[HTTP_TARGET_MAX + IPC_URL_MAX + 64];
    unsigned char mac[SHA256_DIGEST_LENGTH] = {0};
    unsigned len = 0;
    int n = snprintf(text, sizeof(text), "%s\n%s\n%s", path, camera, expires);
    (void)HMAC(EVP_sha256(), key, (int)strlen(key), (const unsigned char *)text, (size_t)n, mac,
               &len);
    for (size_t i = 0; i < sizeof(mac); i++)
        (void)snprintf(out + 2 * i, 3, "%02x", mac[i]);
    explicit_bzero(text, sizeof(text)); /* a camera's password */
}

/* RFC 6750 section 2.1; the scheme is case-insensitive, RFC 9110 section 11.1. */
static const char *bearer_token(const struct http_request *request)
{
    static const char scheme[] = "Bearer ";
    const char *value = request->authorization;
    if (strncasecmp(value, scheme, sizeof(scheme) - 1) != 0)
        return NULL;
    value += sizeof(scheme) - 1;
    return value + strspn(value, " ");
}

static bool has_token(const struct conf *conf, const struct http_request *request,
                      const struct query *q)
{
    const char *bearer = bearer_token(request);
    if (conf->access.token[0] == '\0')
        return false;
    bool in_header = bearer != NULL && same_secret(bearer, conf->access.token);
    bool in_query = q->given[QUERY_TOKEN] && same_secret(q->value[QUERY_TOKEN], conf->access.token);
    return in_header || in_query;
}

/* Hexadecimal digits of either case are the same. */
static bool same_signature(const char *given, const char *wanted)
{
    char lower[ACCESS_SIGNATURE_MAX] = "";
    size_t len = strnlen(given, sizeof(lower));
    for (size_t i = 0; i < len && len < sizeof(lower); i++)
        lower[i] = (char)tolower((unsigned char)given[i]);
    return same_secret(lower, wanted);
}

/* The camera as the query names it, decoded.  As in route.c: an empty cam_url does not hide cam. */
static const char *camera_of(const struct query *q)
{
    return q->cam_url_len > 0 ? q->cam_url : q->value[QUERY_CAM];
}

static bool is_signed(const struct conf *conf, const struct http_request *request,
                      const struct query *q, int64_t now_s, const char **message)
{
    char wanted[ACCESS_SIGNATURE_MAX];
    const char *expires = q->value[QUERY_EXPIRES];
    size_t len = strlen(expires);

    if (conf->access.signing_key[0] == '\0' || !q->given[QUERY_EXPIRES] ||
        !q->given[QUERY_SIGNATURE] || (!q->given[QUERY_CAM] && !q->given[QUERY_CAM_URL]))
        return false;
    if (len == 0 || len > 12 || strspn(expires, "0123456789") != len)
        return false;
    const char *camera = camera_of(q);
    if (camera[0] == '\0')
        return false;
    bool fits = false;
    const char *const paths[] = {request->path, ACCESS_ANY_PATH};
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        access_sign(conf->access.signing_key, paths[i], camera, expires, wanted);
        fits |= same_signature(q->value[QUERY_SIGNATURE], wanted);
    }
    if (!fits) {
        *message = "the signature does not fit this path, camera and expires";
        return false;
    }
    if (q->given[QUERY_CAM_TYPE] && q->cam_url_len == 0) {
        *message = ACCESS_NO_CAM_TYPE;
        return false;
    }
    if (strtoll(expires, NULL, 10) < now_s) {
        *message = "this signed URL has expired";
        return false;
    }
    return true;
}

bool access_sign_camera(const struct conf *conf, const struct http_request *request,
                        const char *expires, char out[ACCESS_SIGNATURE_MAX])
{
    struct query q;
    enum query_param bad;
    out[0] = '\0';
    if (conf->access.signing_key[0] == '\0' || query_parse(&q, request->query, &bad) != 0)
        return false;
    access_sign(conf->access.signing_key, ACCESS_ANY_PATH, camera_of(&q), expires, out);
    explicit_bzero(&q, sizeof(q)); /* a camera's password */
    return true;
}

bool access_allows_change(const struct conf *conf, const struct http_request *request,
                          const char **message)
{
    bool secret = conf->access.token[0] != '\0' || conf->access.signing_key[0] != '\0';
    *message =
        "Origin: without an [access] token web pages may not do this; programs, which send no "
        "Origin, may";
    return secret || !request->has_origin;
}

/* What a refused request lacks. */
static const char *what_is_needed(const struct conf *conf, enum access_by by)
{
    if (by == ACCESS_BY_TOKEN)
        return conf->access.token[0] != '\0'
                   ? "token=TOKEN or Authorization: Bearer TOKEN is needed; a signature opens "
                     "streams and pictures only"
                   : "[access] token is not set, and a signature opens streams and pictures only";
    if (conf->access.signing_key[0] == '\0')
        return "token=TOKEN or Authorization: Bearer TOKEN is needed";
    return "token=TOKEN, Authorization: Bearer TOKEN or a signed URL is needed";
}

bool access_allows(const struct conf *conf, const struct http_request *request, enum access_by by,
                   int64_t now_s, const char **message)
{
    struct query q;
    enum query_param bad;
    if (conf->access.token[0] == '\0' && conf->access.signing_key[0] == '\0')
        return true;
    *message = what_is_needed(conf, by);
    if (query_parse(&q, request->query, &bad) != 0)
        memset(&q, 0, sizeof(q)); /* a parameter given twice proves nothing */
    return has_token(conf, request, &q) ||
           (by == ACCESS_BY_SIGNATURE && is_signed(conf, request, &q, now_s, message));
}
