#include "worker/rtsp/rtsp_message.h"

#include "common/bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FRAME_HEAD_BYTES 4
#define FRAME_PAYLOAD_MIN 8 /* the shortest RTCP packet: a shorter frame is garbage */

_Static_assert(RTSP_READER_BYTES > RTSP_HEAD_MAX + RTSP_BODY_MAX + 4096, "no room for a message");
_Static_assert(RTSP_READER_BYTES > FRAME_HEAD_BYTES + 65535 + 4096, "no room for a frame");

/* How messages begin.  With HTTP, so that a web server on the port is recognised at once. */
static const char *const openings[] = {
    "RTSP/",          "HTTP/",     "OPTIONS ",     "ANNOUNCE ", "GET_PARAMETER ",
    "SET_PARAMETER ", "REDIRECT ", "PLAY_NOTIFY ", "TEARDOWN ", "DESCRIBE ",
    "PAUSE ",         "PLAY ",     "SETUP ",       "RECORD ",
};

int rtsp_reader_init(struct rtsp_reader *reader)
{
    memset(reader, 0, sizeof(*reader));
    reader->payload_types[0] = reader->payload_types[1] = -1;
    reader->buf = malloc(RTSP_READER_BYTES);
    return reader->buf != NULL ? 0 : -ENOMEM;
}

void rtsp_reader_free(struct rtsp_reader *reader)
{
    free(reader->buf);
    reader->buf = NULL;
}

static void release_item(struct rtsp_reader *reader)
{
    reader->start += reader->release;
    reader->release = 0;
    if (reader->start == reader->end)
        reader->start = reader->end = 0;
}

uint8_t *rtsp_reader_space(struct rtsp_reader *reader, size_t *len)
{
    release_item(reader);
    if (reader->start > 0) {
        memmove(reader->buf, reader->buf + reader->start, reader->end - reader->start);
        reader->end -= reader->start;
        reader->start = 0;
    }
    *len = RTSP_READER_BYTES - reader->end;
    return reader->buf + reader->end;
}

void rtsp_reader_filled(struct rtsp_reader *reader, size_t len)
{
    reader->end += len;
}

/* Does a message begin here?  1: yes; 0: too few bytes to tell; -1: no. */
static int message_begins(const uint8_t *p, size_t len)
{
    int result = -1;
    for (size_t i = 0; i < sizeof(openings) / sizeof(openings[0]); i++) {
        size_t n = strlen(openings[i]);
        if (memcmp(p, openings[i], len < n ? len : n) == 0) {
            if (len >= n)
                return 1;
            result = 0;
        }
    }
    return result;
}

/* Does a frame begin at this `$`?  RTP or RTCP must follow it.  With an unannounced payload type,
 * another item must follow the frame; with an announced one it need not: some cameras put garbage
 * before every frame.  Returns 1, 0, -1 as above. */
static int frame_begins(const struct rtsp_reader *reader, const uint8_t *p, size_t len)
{
    if (len < FRAME_HEAD_BYTES + 2)
        return 0;
    size_t payload = bytes_get16(p + 2);
    if (payload < FRAME_PAYLOAD_MIN || (p[4] & 0xC0) != 0x80)
        return -1;
    int type = p[5] & 0x7F;
    if (type == reader->payload_types[0] || type == reader->payload_types[1] ||
        reader->payload_types[0] < 0 || (p[5] >= 200 && p[5] <= 204))
        return 1;
    if (reader->out_of_sync)
        return -1;
    if (len < FRAME_HEAD_BYTES + payload)
        return 0;
    if (len == FRAME_HEAD_BYTES + payload)
        return 1;
    const uint8_t *next = p + FRAME_HEAD_BYTES + payload;
    if (*next == '$' || *next == '\r' || *next == '\n')
        return 1;
    return message_begins(next, len - FRAME_HEAD_BYTES - payload) >= 0 ? 1 : -1;
}

static void skip_garbage(struct rtsp_reader *reader, size_t n)
{
    reader->start += n;
    reader->garbage += n;
    reader->skipped += n;
}

/* Move to the next place where an item may begin.  Returns 1 found, 0 more bytes needed, -EPROTO.
 */
static int find_item(struct rtsp_reader *reader)
{
    while (reader->start < reader->end) {
        const uint8_t *p = reader->buf + reader->start;
        size_t len = reader->end - reader->start;
        if (!reader->out_of_sync && (*p == '\r' || *p == '\n')) {
            reader->start++; /* empty lines between messages are no garbage */
            continue;
        }
        int found = *p == '$' ? frame_begins(reader, p, len) : message_begins(p, len);
        if (found >= 0)
            return found;
        reader->out_of_sync = true;
        skip_garbage(reader, 1);
        if (reader->garbage > RTSP_GARBAGE_MAX)
            return -EPROTO;
    }
    return 0;
}

static struct rtsp_slice slice_trim(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    while (end > p && (end[-1] == ' ' || end[-1] == '\t' || end[-1] == '\r'))
        end--;
    return (struct rtsp_slice){p, (size_t)(end - p)};
}

/* Returns the byte after the empty line that ends the head, or NULL.  Accepts bare line feeds. */
static const char *head_end(const char *p, size_t len)
{
    const char *end = p + len;
    const char *line = p;
    for (const char *nl; (nl = memchr(line, '\n', (size_t)(end - line))) != NULL; line = nl + 1)
        if (nl == line || (nl == line + 1 && *line == '\r'))
            return nl + 1;
    return NULL;
}

static void parse_start_line(struct rtsp_message *m, struct rtsp_slice line)
{
    const char *end = line.data + line.len;
    const char *space = memchr(line.data, ' ', line.len);
    m->status = 0;
    m->method = (struct rtsp_slice){line.data, space != NULL ? (size_t)(space - line.data) : 0};
    m->item =
        memchr(m->method.data, '/', m->method.len) != NULL ? RTSP_ITEM_RESPONSE : RTSP_ITEM_REQUEST;
    uint64_t status;
    if (space != NULL && m->item == RTSP_ITEM_RESPONSE &&
        rtsp_slice_number(slice_trim(space, end), 999, &status))
        m->status = (int)status;
}

static void parse_head(struct rtsp_message *m, const char *p, const char *end)
{
    const char *nl = memchr(p, '\n', (size_t)(end - p));
    parse_start_line(m, slice_trim(p, nl));
    m->header_count = 0;
    for (p = nl + 1; (nl = memchr(p, '\n', (size_t)(end - p))) != NULL; p = nl + 1) {
        const char *colon = memchr(p, ':', (size_t)(nl - p));
        if (colon == NULL || m->header_count == RTSP_HEADERS_MAX)
            continue;
        struct rtsp_header *h = &m->headers[m->header_count++];
        h->name = slice_trim(p, colon);
        h->value = slice_trim(colon + 1, nl);
    }
}

static int next_message(struct rtsp_reader *reader, struct rtsp_message *m)
{
    const char *p = (const char *)reader->buf + reader->start;
    size_t len = reader->end - reader->start;
    const char *body = head_end(p, len < RTSP_HEAD_MAX ? len : RTSP_HEAD_MAX);
    if (body == NULL)
        return len >= RTSP_HEAD_MAX ? -EMSGSIZE : 0;
    parse_head(m, p, body);

    struct rtsp_slice value;
    uint64_t body_len = 0;
    if (rtsp_message_header(m, "Content-Length", NULL, &value) && value.len > 0 &&
        !rtsp_slice_number(value, RTSP_BODY_MAX, &body_len))
        return -EMSGSIZE;
    size_t head = (size_t)(body - p);
    if (len - head < body_len)
        return 0;
    m->body = (struct rtsp_slice){body, (size_t)body_len};
    reader->release = head + (size_t)body_len;
    return 1;
}

static int next_frame(struct rtsp_reader *reader, struct rtsp_message *m)
{
    const uint8_t *p = reader->buf + reader->start;
    size_t len = reader->end - reader->start;
    if (len < FRAME_HEAD_BYTES)
        return 0;
    size_t payload = bytes_get16(p + 2);
    if (len < FRAME_HEAD_BYTES + payload)
        return 0;
    m->item = RTSP_ITEM_FRAME;
    m->channel = p[1];
    m->frame = p + FRAME_HEAD_BYTES;
    m->frame_len = payload;
    reader->release = FRAME_HEAD_BYTES + payload;
    return 1;
}

int rtsp_reader_next(struct rtsp_reader *reader, struct rtsp_message *m)
{
    release_item(reader);
    int rc = find_item(reader);
    if (rc != 1)
        return rc;
    rc = reader->buf[reader->start] == '$' ? next_frame(reader, m) : next_message(reader, m);
    if (rc == 1) {
        reader->out_of_sync = false;
        reader->garbage = 0;
    }
    return rc;
}

bool rtsp_message_header(const struct rtsp_message *m, const char *name, size_t *from,
                         struct rtsp_slice *value)
{
    for (size_t i = from != NULL ? *from : 0; i < m->header_count; i++) {
        if (rtsp_slice_equals(m->headers[i].name, name)) {
            *value = m->headers[i].value;
            if (from != NULL)
                *from = i + 1;
            return true;
        }
    }
    return false;
}

void rtsp_slice_copy(char *buf, size_t size, struct rtsp_slice slice)
{
    size_t n = slice.len < size - 1 ? slice.len : size - 1;
    if (n > 0)
        memcpy(buf, slice.data, n);
    buf[n] = '\0';
}

bool rtsp_slice_number(struct rtsp_slice slice, uint64_t max, uint64_t *value)
{
    uint64_t n = 0;
    size_t i = 0;
    for (; i < slice.len && slice.data[i] >= '0' && slice.data[i] <= '9'; i++) {
        n = n * 10 + (uint64_t)(slice.data[i] - '0');
        if (n > max)
            return false;
    }
    *value = n;
    return i > 0;
}

bool rtsp_slice_equals(struct rtsp_slice slice, const char *text)
{
    return slice.len == strlen(text) && strncasecmp(slice.data, text, slice.len) == 0;
}

const char *rtsp_slice_find(struct rtsp_slice slice, const char *text)
{
    size_t n = strlen(text);
    for (size_t i = 0; i + n <= slice.len; i++)
        if (strncasecmp(slice.data + i, text, n) == 0)
            return slice.data + i;
    return NULL;
}
