#include "master/proxy_header.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#define V1_MAX 107 /* with CR LF */
#define V1_FIELDS 6
#define V2_HEAD 16
#define V2_IPV4 12 /* two addresses and two ports */
#define V2_IPV6 36

static const char v1_begin[] = "PROXY ";
static const char v2_begin[] = "\r\n\r\n\0\r\nQUIT\n";

/* --- version 1 -------------------------------------------------------------- */

static bool parse_port(const char *text, in_port_t *port)
{
    unsigned value = 0;
    size_t n = 0;
    for (; text[n] >= '0' && text[n] <= '9' && n < 5; n++)
        value = value * 10 + (unsigned)(text[n] - '0');
    *port = htons((uint16_t)value);
    return n > 0 && text[n] == '\0' && value <= 65535;
}

static bool parse_client(const char *family, const char *host, const char *port, union address *out)
{
    *out = (union address){0};
    if (strcmp(family, "TCP4") == 0) {
        out->in.sin_family = AF_INET;
        return inet_pton(AF_INET, host, &out->in.sin_addr) == 1 &&
               parse_port(port, &out->in.sin_port);
    }
    out->in6.sin6_family = AF_INET6;
    return strcmp(family, "TCP6") == 0 && inet_pton(AF_INET6, host, &out->in6.sin6_addr) == 1 &&
           parse_port(port, &out->in6.sin6_port);
}

/* Split at single spaces. @return how many fields there are, at most V1_FIELDS + 1. */
static size_t split(char *line, char *fields[V1_FIELDS + 1])
{
    size_t n = 0;
    while (line != NULL && n <= V1_FIELDS)
        fields[n++] = strsep(&line, " ");
    return n;
}

/* `PROXY TCP4 SOURCE DESTINATION SOURCE-PORT DESTINATION-PORT`, or `PROXY UNKNOWN …`. */
static bool parse_line(char *line, struct proxy_header *out)
{
    char *fields[V1_FIELDS + 1] = {0};
    union address server;
    size_t n = split(line, fields);
    if (n > 1 && strcmp(fields[1], "UNKNOWN") == 0)
        return true;
    out->has_client = n == V1_FIELDS &&
                      parse_client(fields[1], fields[2], fields[4], &out->client) &&
                      parse_client(fields[1], fields[3], fields[5], &server);
    return out->has_client;
}

static int read_v1(const char *data, size_t len, struct proxy_header *out)
{
    char line[V1_MAX + 1];
    size_t seen = len < V1_MAX ? len : V1_MAX;
    const char *end = memchr(data, '\n', seen);
    if (end == NULL)
        return seen < V1_MAX ? 0 : -EBADMSG;
    size_t used = (size_t)(end - data) + 1;
    if (end[-1] != '\r' || memchr(data, '\0', used) != NULL)
        return -EBADMSG;
    memcpy(line, data, used - 2);
    line[used - 2] = '\0';
    return parse_line(line, out) ? (int)used : -EBADMSG;
}

/* --- version 2 -------------------------------------------------------------- */

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21, V2_TCP4 = 0x11, V2_TCP6 = 0x21 };

/* @return false: the addresses are cut off. */
static bool take_client(uint8_t protocol, const char *addresses, size_t len,
                        struct proxy_header *out)
{
    union address *client = &out->client;
    if (protocol == V2_TCP4 && len >= V2_IPV4) {
        client->in.sin_family = AF_INET;
        memcpy(&client->in.sin_addr, addresses, 4);
        memcpy(&client->in.sin_port, addresses + 8, 2);
    } else if (protocol == V2_TCP6 && len >= V2_IPV6) {
        client->in6.sin6_family = AF_INET6;
        memcpy(&client->in6.sin6_addr, addresses, 16);
        memcpy(&client->in6.sin6_port, addresses + 32, 2);
    } else {
        return protocol != V2_TCP4 && protocol != V2_TCP6;
    }
    out->has_client = true;
    return true;
}

static int read_v2(const char *data, size_t len, struct proxy_header *out)
{
    if (len < V2_HEAD)
        return 0;
    uint8_t command = (uint8_t)data[12], protocol = (uint8_t)data[13];
    size_t rest = (size_t)(uint8_t)data[14] << 8 | (uint8_t)data[15];
    if ((command != V2_LOCAL && command != V2_PROXY) || V2_HEAD + rest > PROXY_HEADER_MAX)
        return -EBADMSG;
    if (len < V2_HEAD + rest)
        return 0;
    if (command == V2_PROXY && !take_client(protocol, data + V2_HEAD, rest, out))
        return -EBADMSG;
    return (int)(V2_HEAD + rest);
}

/* ---------------------------------------------------------------------------- */

static bool begins_with(const char *data, size_t len, const char *begin, size_t begin_len)
{
    return memcmp(data, begin, len < begin_len ? len : begin_len) == 0;
}

int proxy_header_read(const char *data, size_t len, struct proxy_header *out)
{
    *out = (struct proxy_header){0};
    if (len == 0)
        return 0;
    if (begins_with(data, len, v1_begin, sizeof(v1_begin) - 1))
        return read_v1(data, len, out);
    if (begins_with(data, len, v2_begin, sizeof(v2_begin) - 1))
        return read_v2(data, len, out);
    return -EBADMSG;
}
