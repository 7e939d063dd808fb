#include "worker/flv/rtmp_stamps.h"

#include "common/bytes.h"

#define EXTENDED 0xffffffu
#define HANDSHAKE_BYTES (1 + 2 * 1536) /* S0, S1, S2 (5.2) */

enum member {
    BASIC,
    STREAM_ID,
    STAMP,
    SIZE,
    TYPE,
    MESSAGE_STREAM,
    EXTENDED_STAMP,
    DATA,
    HANDSHAKE
};

static _Thread_local struct rtmp_stamps *current;

void rtmp_stamps_begin(struct rtmp_stamps *stamps)
{
    current = stamps;
}

void rtmp_stamps_end(void)
{
    current = NULL;
}

/* Set the chunk's stream. */
static void find_stream(struct rtmp_stamps *s, uint32_t id)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (s->streams[i].id == id) {
            s->stream = &s->streams[i];
            return;
        }
    }
    s->lost = s->count == RTMP_STAMPS_STREAMS;
    if (s->lost)
        return;
    s->stream = &s->streams[s->count++];
    *s->stream = (struct rtmp_chunk_stream){.id = id};
}

/* A header's members are read: what does the chunk hold? */
static enum member begin_data(const struct rtmp_stamps *s)
{
    if (!s->continues)
        s->stream->left = s->stream->size;
    return s->stream->left > 0 ? DATA : BASIC;
}

static enum member after_header(const struct rtmp_stamps *s)
{
    return s->stream->extended ? EXTENDED_STAMP : begin_data(s);
}

static enum member after_stream_id(struct rtmp_stamps *s, uint32_t id)
{
    find_stream(s, id);
    if (s->lost)
        return BASIC;
    s->continues = s->stream->left > 0;
    return s->format == 3 ? after_header(s) : STAMP;
}

/* libavformat begins anew when a header in mid-message tells another size. */
static void take_size(struct rtmp_stamps *s)
{
    if (s->value != s->stream->size)
        s->continues = false;
    s->stream->size = s->value;
}

/* A member other than data has been read. */
static enum member next(struct rtmp_stamps *s)
{
    switch (s->member) {
    case BASIC:
        s->format = s->value >> 6;
        s->value &= 0x3f;
        return s->value < 2 ? STREAM_ID : after_stream_id(s, s->value);
    case STREAM_ID: /* one byte, or two, the lower one first; any numbers will do that differ */
        return after_stream_id(s, s->width << 16 | s->value);
    case STAMP:
        s->stream->extended = s->value == EXTENDED;
        return s->format < 2 ? SIZE : after_header(s);
    case SIZE:
        take_size(s);
        return TYPE;
    case TYPE:
        return s->format == 0 ? MESSAGE_STREAM : after_header(s);
    case MESSAGE_STREAM:
        return after_header(s);
    case EXTENDED_STAMP:
        s->stream->stamp = s->value;
        return begin_data(s);
    default:
        return BASIC;
    }
}

bool rtmp_stamps_expect(size_t asked, uint8_t stamp[RTMP_STAMP_BYTES])
{
    const struct rtmp_stamps *s = current;
    if (s == NULL || s->lost || s->member != EXTENDED_STAMP || s->need != 0 || s->format != 3 ||
        !s->continues || asked != RTMP_STAMP_BYTES)
        return false;
    bytes_put32(stamp, s->stream->stamp);
    return true;
}

/* How many bytes has the member that is read now?  0: none has so many as are asked for. */
static uint32_t width(const struct rtmp_stamps *s, size_t asked)
{
    static const uint8_t widths[] = {
        [BASIC] = 1, [STAMP] = 3,          [SIZE] = 3,
        [TYPE] = 1,  [MESSAGE_STREAM] = 4, [EXTENDED_STAMP] = 4,
    };
    if (s->member == DATA) /* as much of it as is in this chunk */
        return asked <= s->stream->left ? (uint32_t)asked : 0;
    uint32_t bytes = s->member == STREAM_ID ? s->value + 1 : widths[s->member];
    return asked == bytes ? bytes : 0;
}

static void begin_member(struct rtmp_stamps *s, size_t asked)
{
    if (s->member == BASIC && asked > 1) { /* a connection begins */
        s->member = HANDSHAKE;
        s->count = 0;
        s->need = HANDSHAKE_BYTES;
        return;
    }
    s->need = s->width = width(s, asked);
    s->lost = s->need == 0;
    s->value = 0;
}

static void take(struct rtmp_stamps *s, const uint8_t *data, uint32_t len)
{
    s->need -= len;
    if (s->member == HANDSHAKE)
        return;
    if (s->member == DATA)
        s->stream->left -= len;
    else
        for (uint32_t i = 0; i < len; i++)
            s->value = s->value << 8 | data[i];
}

void rtmp_stamps_look(const void *data, size_t asked, ssize_t got)
{
    struct rtmp_stamps *s = current;
    if (s == NULL || s->lost || got <= 0)
        return;
    if (s->need == 0)
        begin_member(s, asked);
    s->lost = s->lost || (size_t)got > s->need;
    if (s->lost)
        return;
    take(s, data, (uint32_t)got);
    if (s->need == 0)
        s->member = next(s);
}
