#include "worker/rtsp/rtsp_headers.h"

#include <string.h>

/* Find the value of name= among parameters separated by semicolons. */
static bool parameter(struct rtsp_slice header, const char *name, struct rtsp_slice *value)
{
    const char *end = header.data + header.len;
    const char *p = rtsp_slice_find(header, name);
    if (p == NULL)
        return false;
    p += strlen(name);
    const char *stop = p;
    while (stop < end && *stop != ';' && *stop != ',' && *stop != ' ')
        stop++;
    *value = (struct rtsp_slice){p, (size_t)(stop - p)};
    return true;
}

/* The same, where other names end with this one. */
static bool whole_parameter(struct rtsp_slice header, const char *name, struct rtsp_slice *value)
{
    const char *end = header.data + header.len;
    const char *p;
    while ((p = rtsp_slice_find(header, name)) != NULL) {
        if (p == header.data || p[-1] == ';' || p[-1] == ' ')
            return parameter((struct rtsp_slice){p, (size_t)(end - p)}, name, value);
        header = (struct rtsp_slice){p + 1, (size_t)(end - p - 1)};
    }
    return false;
}

/* "A-B", or "A": then the second number is A + 1. */
static bool number_pair(struct rtsp_slice value, uint64_t max, uint64_t pair[2])
{
    if (!rtsp_slice_number(value, max, &pair[0]))
        return false;
    const char *end = value.data + value.len;
    const char *dash = memchr(value.data, '-', value.len);
    const char *second = dash != NULL ? dash + 1 : end;
    if (!rtsp_slice_number((struct rtsp_slice){second, (size_t)(end - second)}, max, &pair[1]))
        pair[1] = pair[0] < max ? pair[0] + 1 : max;
    return true;
}

void rtsp_parse_transport(struct rtsp_slice value, struct rtsp_transport_header *h)
{
    struct rtsp_slice v;
    uint64_t pair[2];
    memset(h, 0, sizeof(*h));
    if (parameter(value, "interleaved=", &v) && number_pair(v, UINT8_MAX, pair)) {
        h->interleaved = true;
        h->channels[0] = (uint8_t)pair[0];
        h->channels[1] = (uint8_t)pair[1];
    }
    if (parameter(value, "server_port=", &v) && number_pair(v, UINT16_MAX, pair)) {
        h->has_server_ports = true;
        h->server_ports[0] = (uint16_t)pair[0];
        h->server_ports[1] = (uint16_t)pair[1];
    }
    if ((whole_parameter(value, "port=", &v) || parameter(value, "client_port=", &v)) &&
        number_pair(v, UINT16_MAX, pair)) {
        h->ports[0] = (uint16_t)pair[0];
        h->ports[1] = (uint16_t)pair[1];
    }
    if (parameter(value, "destination=", &v)) {
        rtsp_slice_copy(h->destination, sizeof(h->destination), v);
        h->destination[strcspn(h->destination, "/")] = '\0'; /* a TTL, as in descriptions */
    }
    if (parameter(value, "source=", &v))
        rtsp_slice_copy(h->source, sizeof(h->source), v);
}

void rtsp_parse_session(struct rtsp_slice value, struct rtsp_session_header *h)
{
    struct rtsp_slice v;
    uint64_t seconds;
    memset(h, 0, sizeof(*h));
    const char *semicolon = memchr(value.data, ';', value.len);
    struct rtsp_slice id = value;
    if (semicolon != NULL)
        id.len = (size_t)(semicolon - value.data);
    while (id.len > 0 && id.data[id.len - 1] == ' ')
        id.len--;
    if (id.len < sizeof(h->id))
        rtsp_slice_copy(h->id, sizeof(h->id), id);
    if (parameter(value, "timeout=", &v) && rtsp_slice_number(v, 86400, &seconds))
        h->timeout_s = (unsigned)seconds;
}

bool rtsp_next_rtp_info(struct rtsp_slice *rest, struct rtsp_rtp_info *info)
{
    struct rtsp_slice v;
    uint64_t rtptime;
    if (rest->len == 0)
        return false;
    const char *end = rest->data + rest->len;
    const char *comma = memchr(rest->data, ',', rest->len);
    info->entry = *rest;
    if (comma != NULL)
        info->entry.len = (size_t)(comma - rest->data);
    rest->data = comma != NULL ? comma + 1 : end;
    rest->len = (size_t)(end - rest->data);
    info->has_rtptime =
        parameter(info->entry, "rtptime=", &v) && rtsp_slice_number(v, UINT32_MAX, &rtptime);
    info->rtptime = info->has_rtptime ? (uint32_t)rtptime : 0;
    return true;
}
