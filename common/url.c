#include "common/url.h"

#include "common/url_text.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* libavformat 5.1 holds the URL's "user:password" in 128 bytes (rtsp.h). */
#define AUTH_MAX 128

static const struct {
    const char *name;
    uint16_t port;
    enum ipc_transport transport;
} schemes[URL_SCHEME_COUNT] = {
#define X(id, text, default_port, how) \
    [URL_##id] = {.name = (text), .port = (default_port), .transport = (how)},
    URL_SCHEMES(X)
#undef X
};

static const char *const transport_names[IPC_TRANSPORT_COUNT] = {
    [IPC_TRANSPORT_RTSP_TCP] = "rtsp-tcp",   [IPC_TRANSPORT_RTSP_UDP] = "rtsp-udp",
    [IPC_TRANSPORT_RTSP_HTTP] = "rtsp-http", [IPC_TRANSPORT_RTSP_MULTICAST] = "rtsp-multicast",
    [IPC_TRANSPORT_RTMP] = "rtmp",           [IPC_TRANSPORT_HTTP_FLV] = "http-flv",
};

/* One way to read the text after `scheme://`. */
struct authority {
    struct span userinfo; /* text before the last `@`; userinfo.at is NULL if there is none */
    struct span host;     /* without brackets */
    struct span rest;     /* path and query */
    uint16_t port;        /* 0: not given */
    bool ipv6;
    bool ipv4;
    bool single_label;
};

static bool copy_span(char *out, size_t size, struct span s)
{
    if (s.len >= size)
        return false;
    memcpy(out, s.at, s.len);
    out[s.len] = '\0';
    return true;
}

/* Decimal 1..65535; an empty port is the default one (RFC 3986 section 3.2.3). */
static bool parse_port(struct span s, uint16_t *port)
{
    unsigned value = 0;
    *port = 0;
    if (s.len == 0)
        return true;
    if (s.len > 5)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!char_is_digit(s.at[i]))
            return false;
        value = value * 10 + (unsigned)(s.at[i] - '0');
    }
    if (value == 0 || value > 65535)
        return false;
    *port = (uint16_t)value;
    return true;
}

/* Would inet_aton() read the label as part of an address ("10", "0x7f")? */
static bool label_is_number(const char *label, size_t len)
{
    if (len > 1 && label[0] == '0' && char_to_lower(label[1]) == 'x')
        return strspn(label + 2, "0123456789abcdefABCDEF") >= len - 2;
    return strspn(label, "0123456789") >= len;
}

/*
 * Read a host name: labels of letters, digits, `-` and `_`.  A name whose last label is a number
 * must be an IPv4 address: `10.0.0` and `0x7f.1` mean different things to different resolvers.
 */
static bool parse_name(struct span s, struct authority *a)
{
    char text[URL_HOST_MAX];
    struct in_addr addr;
    if (s.len == 0 || s.len > 253 || !copy_span(text, sizeof(text), s))
        return false;

    const char *label = text;
    for (const char *c = text; *c != '\0'; c++) {
        if (*c == '.') {
            if (c == label)
                return false; /* empty label */
            if (c[1] != '\0')
                label = c + 1;
        } else if (!char_is_alnum(*c) && !((*c == '-' || *c == '_') && c != label)) {
            return false;
        }
    }
    a->ipv4 = inet_pton(AF_INET, text, &addr) == 1;
    a->single_label = strchr(text, '.') == NULL && strcasecmp(text, "localhost") != 0;
    return a->ipv4 || !label_is_number(label, strcspn(label, "."));
}

static bool parse_ipv6(struct span s, struct authority *a)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr addr;
    if (!copy_span(text, sizeof(text), s) || inet_pton(AF_INET6, text, &addr) != 1)
        return false;
    a->ipv6 = true;
    return true;
}

/* Read host, host:port, [address] or [address]:port. */
static bool parse_host_port(struct span s, struct authority *a)
{
    struct span port = {s.at + s.len, 0};
    if (s.len > 0 && s.at[0] == '[') {
        const char *end = memchr(s.at, ']', s.len);
        if (end == NULL)
            return false;
        a->host = (struct span){s.at + 1, (size_t)(end - s.at) - 1};
        size_t used = (size_t)(end - s.at) + 1;
        if (used < s.len) {
            if (s.at[used] != ':')
                return false;
            port = (struct span){s.at + used + 1, s.len - used - 1};
        }
        return parse_port(port, &a->port) && parse_ipv6(a->host, a);
    }
    const char *colon = memchr(s.at, ':', s.len);
    a->host = s;
    if (colon != NULL) {
        a->host.len = (size_t)(colon - s.at);
        port = (struct span){colon + 1, s.len - a->host.len - 1};
    }
    return parse_port(port, &a->port) && parse_name(a->host, a);
}

/* Read text as if its authority ended at cut. */
static bool read_authority(struct span text, size_t cut, struct authority *a)
{
    *a = (struct authority){.rest = {text.at + cut, text.len - cut}};
    struct span host = {text.at, cut};
    const char *at = memrchr(text.at, '@', cut);
    if (at != NULL) {
        a->userinfo = (struct span){text.at, (size_t)(at - text.at)};
        host = (struct span){at + 1, cut - a->userinfo.len - 1};
    }
    return parse_host_port(host, a);
}

static size_t next_cut(struct span text, size_t from)
{
    while (from < text.len && text.at[from] != '/' && text.at[from] != '?')
        from++;
    return from;
}

/*
 * May the authority extend beyond the first `/` or `?`?  Only if these belong to the password: a
 * user name, `:` and the start of the password must come before the first of them, and that text
 * must not be `host:port`, which would be a mistyped host.
 */
static bool may_read_on(struct span first)
{
    const char *end = first.at + first.len;
    const char *colon = memchr(first.at, ':', first.len);
    const char *at = memrchr(first.at, '@', first.len);
    if (colon == NULL || at == colon + 1) /* no password, or an empty one */
        return false;
    if (at != NULL)
        return true;
    uint16_t port;
    colon = memrchr(first.at, ':', first.len);
    return !parse_port((struct span){colon + 1, (size_t)(end - colon) - 1}, &port);
}

/* Find the end of the host part.  url_parse() in the header states the rules. */
static bool split_authority(struct span text, bool address_wins, struct authority *a)
{
    size_t cut = next_cut(text, 0);
    struct span first = {text.at, cut};
    bool found = read_authority(text, cut, a);

    while (!found || (address_wins && a->single_label && a->userinfo.at != NULL)) {
        if (cut == text.len || !may_read_on(first))
            break;
        if (text.len - cut > 1 && text.at[cut] == '/' && text.at[cut + 1] == '/')
            break; /* part of a URL in the path or query, not of a password */
        struct authority later;
        cut = next_cut(text, cut + 1);
        if (read_authority(text, cut, &later) && later.userinfo.at != NULL &&
            (!found || later.ipv4 || later.ipv6)) {
            *a = later;
            found = true;
        }
    }
    return found;
}

size_t url_decode(char *out, size_t size, const char *text, size_t len, bool form)
{
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        if (c == '+' && form) {
            c = ' ';
        } else if (c == '%' && len - i > 2 && char_hex_value(text[i + 1]) >= 0 &&
                   char_hex_value(text[i + 2]) >= 0) {
            c = (char)(char_hex_value(text[i + 1]) * 16 + char_hex_value(text[i + 2]));
            i += 2;
        }
        if (n < size)
            out[n] = c;
        n++;
    }
    return n;
}

/* Decode a user name or password.  @return 0; -EINVAL: control characters; -ENAMETOOLONG. */
static int decode_credential(char *out, struct span s)
{
    size_t n = url_decode(out, URL_CREDENTIAL_MAX - 1, s.at, s.len, false);
    if (n > URL_CREDENTIAL_MAX - 1)
        return -ENAMETOOLONG;
    out[n] = '\0';
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)out[i] < 0x20 || out[i] == 0x7f)
            return -EINVAL;
    }
    return 0;
}

static size_t put_escape(char *out, char c)
{
    static const char hex[] = "0123456789ABCDEF";
    out[0] = '%';
    out[1] = hex[(unsigned char)c >> 4];
    out[2] = hex[(unsigned char)c & 15];
    return 3;
}

/* RFC 3986 section 3.2.1: userinfo may hold unreserved and sub-delims unescaped. */
static bool credential_char_ok(char c)
{
    return char_is_alnum(c) || (c != '\0' && strchr("-._~!$&'()*+,;=", c) != NULL);
}

/* @return length of the escaped text, which is written unless out is NULL. */
static size_t encode_credential(char *out, const char *s)
{
    size_t n = 0;
    char escape[3];
    for (; *s != '\0'; s++) {
        size_t len = 1;
        escape[0] = *s;
        if (!credential_char_ok(*s))
            len = put_escape(escape, *s);
        if (out != NULL)
            memcpy(out + n, escape, len);
        n += len;
    }
    return n;
}

static int fill_credentials(struct camera_url *u, struct span userinfo, const char **reason)
{
    const char *colon = memchr(userinfo.at, ':', userinfo.len);
    struct span user = userinfo;
    struct span password = {userinfo.at + userinfo.len, 0};
    if (colon != NULL) {
        user.len = (size_t)(colon - userinfo.at);
        password = (struct span){colon + 1, userinfo.len - user.len - 1};
    }
    int rc = decode_credential(u->user, user);
    if (rc == 0)
        rc = decode_credential(u->password, password);
    if (rc == 0 &&
        encode_credential(NULL, u->user) + encode_credential(NULL, u->password) >= AUTH_MAX - 1)
        rc = -ENAMETOOLONG;
    if (rc == -EINVAL)
        *reason = "control character in user name or password";
    if (rc == -ENAMETOOLONG)
        *reason = "user name and password are too long: 126 bytes, percent-encoded, are accepted";
    u->has_user = u->user[0] != '\0' || u->password[0] != '\0';
    return rc;
}

/* Write the host in the one form that all its spellings share. */
static int fill_host(struct camera_url *u, const struct authority *a)
{
    if (!copy_span(u->host, sizeof(u->host), a->host))
        return -ENAMETOOLONG;
    for (char *c = u->host; *c != '\0'; c++)
        *c = char_to_lower(*c);
    if (a->ipv6) {
        char shortest[INET6_ADDRSTRLEN] = "";
        struct in6_addr addr;
        if (inet_pton(AF_INET6, u->host, &addr) != 1 ||
            inet_ntop(AF_INET6, &addr, shortest, sizeof(shortest)) == NULL)
            return -EINVAL;
        memset(u->host, 0, sizeof(u->host));
        memcpy(u->host, shortest, strlen(shortest));
        u->host_is_ipv6 = 1;
    }
    return 0;
}

/* Escape bytes that would break a request line or a quoted header value; keep all others. */
static int fill_path(struct camera_url *u, struct span rest)
{
    size_t n = 0;
    for (size_t i = 0; i < rest.len; i++) {
        char c = rest.at[i];
        char escape[3] = {c};
        size_t len = 1;
        if ((unsigned char)c >= 0x80 || strchr(" \"<>\\", c) != NULL)
            len = put_escape(escape, c);
        if (n + len >= sizeof(u->path))
            return -ENAMETOOLONG;
        memcpy(u->path + n, escape, len);
        n += len;
    }
    u->path[n] = '\0';
    return 0;
}

/* Take `scheme://` off the front of text. */
static int take_scheme(struct camera_url *u, struct span *text, const char **reason)
{
    size_t n = 0;
    while (n < text->len && (char_is_alnum(text->at[n]) || strchr("+-.", text->at[n]) != NULL))
        n++;
    *reason = "not a URL: scheme://host/path is accepted";
    if (n == 0 || n == text->len || text->at[n] != ':')
        return -EINVAL;
    for (unsigned i = 0; i < URL_SCHEME_COUNT; i++) {
        if (n != strlen(schemes[i].name) || strncasecmp(text->at, schemes[i].name, n) != 0)
            continue;
        if (text->len - n < 3 || memcmp(text->at + n, "://", 3) != 0)
            return -EINVAL;
        u->scheme = (enum url_scheme)i;
        text->at += n + 3;
        text->len -= n + 3;
        return 0;
    }
    *reason = "scheme: rtsp, rtsps, rtsph, rtmp, rtmps, http and https are accepted";
    return -EPROTONOSUPPORT;
}

int url_parse(struct camera_url *u, const char *text, size_t len, const char **reason)
{
    struct span s = {text, len};
    struct authority a;

    memset(u, 0, sizeof(*u));
    while (s.len > 0 && s.at[0] == ' ') {
        s.at++;
        s.len--;
    }
    while (s.len > 0 && s.at[s.len - 1] == ' ')
        s.len--;
    *reason = "longer than 2047 bytes";
    if (s.len >= IPC_URL_MAX)
        return -ENAMETOOLONG;
    *reason = "control character in the URL";
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.at[i] < 0x20 || s.at[i] == 0x7f)
            return -EINVAL;
    }
    int rc = take_scheme(u, &s, reason);
    if (rc != 0)
        return rc;

    bool http = u->scheme == URL_HTTP || u->scheme == URL_HTTPS;
    *reason = "no valid host: scheme://[user:password@]host[:port]/path is accepted, "
              "with / and ? of a password written as %2F and %3F";
    if (!split_authority(s, !http, &a))
        return -EINVAL;
    if (a.userinfo.at != NULL) {
        rc = fill_credentials(u, a.userinfo, reason);
        if (rc != 0)
            return rc;
    }
    rc = fill_host(u, &a);
    if (rc != 0)
        return rc;
    u->port = a.port != 0 ? a.port : schemes[u->scheme].port;
    rc = fill_path(u, a.rest);
    *reason = rc == 0 ? NULL : "path and query are too long";
    return rc;
}

static void put_credential(struct url_writer *w, const char *s)
{
    char escaped[3 * URL_CREDENTIAL_MAX];
    url_put(w, escaped, encode_credential(escaped, s));
}

static void put_host_port(struct url_writer *w, const struct camera_url *u)
{
    if (u->host_is_ipv6)
        url_put_text(w, "[");
    url_put_text(w, u->host);
    if (u->host_is_ipv6)
        url_put_text(w, "]");
    if (u->port != schemes[u->scheme].port) {
        char port[8];
        (void)snprintf(port, sizeof(port), ":%u", (unsigned)u->port);
        url_put_text(w, port);
    }
}

size_t url_format(const struct camera_url *u, char *out)
{
    struct url_writer w = {.out = out};
    url_put_text(&w, schemes[u->scheme].name);
    url_put_text(&w, "://");
    if (u->has_user) {
        put_credential(&w, u->user);
        url_put_text(&w, ":"); /* even without a password: libavformat needs it to log in */
        put_credential(&w, u->password);
        url_put_text(&w, "@");
    }
    put_host_port(&w, u);
    url_put_text(&w, u->path);
    return w.len;
}

static void put_raw_credential(struct url_writer *w, const char *s)
{
    for (; *s != '\0'; s++) {
        char escape[3] = {*s};
        url_put(w, escape, strchr("/?#", *s) != NULL ? put_escape(escape, *s) : 1);
    }
}

size_t url_format_libav(const struct camera_url *u, char *out)
{
    if (!u->has_user || (u->scheme != URL_RTMP && u->scheme != URL_RTMPS))
        return url_format(u, out);

    struct url_writer w = {.out = out};
    url_put_text(&w, schemes[u->scheme].name);
    url_put_text(&w, "://");
    put_raw_credential(&w, u->user);
    url_put_text(&w, ":");
    put_raw_credential(&w, u->password);
    url_put_text(&w, "@");
    put_host_port(&w, u);
    url_put_text(&w, u->path);
    return w.len;
}

const char *url_scheme_name(enum url_scheme scheme)
{
    assert(scheme < URL_SCHEME_COUNT);
    return schemes[scheme].name;
}

enum ipc_transport url_default_transport(enum url_scheme scheme)
{
    assert(scheme < URL_SCHEME_COUNT);
    return schemes[scheme].transport;
}

#define SCHEME_BIT(scheme) (1u << (scheme))

int url_transport_parse(const char *name, enum url_scheme scheme, enum ipc_transport *transport)
{
    /* The transports that a cam_type may name, and the URL schemes that each fits. */
    static const unsigned accepted[IPC_TRANSPORT_COUNT] = {
        [IPC_TRANSPORT_RTSP_TCP] = SCHEME_BIT(URL_RTSP) | SCHEME_BIT(URL_RTSPS),
        [IPC_TRANSPORT_RTSP_UDP] = SCHEME_BIT(URL_RTSP),
        [IPC_TRANSPORT_RTSP_HTTP] =
            SCHEME_BIT(URL_RTSP) | SCHEME_BIT(URL_RTSPS) | SCHEME_BIT(URL_RTSPH),
        [IPC_TRANSPORT_RTSP_MULTICAST] = SCHEME_BIT(URL_RTSP),
        [IPC_TRANSPORT_RTMP] = SCHEME_BIT(URL_RTMP) | SCHEME_BIT(URL_RTMPS),
    };
    for (unsigned i = 0; i < IPC_TRANSPORT_COUNT; i++) {
        if (strcmp(name, transport_names[i]) != 0 || (accepted[i] & SCHEME_BIT(scheme)) == 0)
            continue;
        *transport = (enum ipc_transport)i;
        return 0;
    }
    return -EINVAL;
}

const char *url_transport_name(enum ipc_transport transport)
{
    assert(transport < IPC_TRANSPORT_COUNT);
    return transport_names[transport];
}
