#include "worker/flv/flv_framing.h"

#include "common/bytes.h"
#include "worker/media/frame.h"

#include <errno.h>
#include <libavcodec/defs.h>
#include <stdlib.h>
#include <string.h>

#define FILE_HEADER_BYTES 9
#define DATA_OFFSET_MAX 4096
#define PREVIOUS_TAG_SIZE_BYTES 4
#define RESYNC_TAG_MAX (256u << 10) /* after a loss, larger tags are not believed */

int flv_buffer_append(struct flv_buffer *b, const void *data, size_t len)
{
    if (len == 0)
        return 0;
    if (b->len + len > b->capacity) {
        size_t capacity = b->capacity == 0 ? 64u << 10 : b->capacity;
        while (capacity < b->len + len)
            capacity *= 2;
        uint8_t *grown = realloc(b->data, capacity + AV_INPUT_BUFFER_PADDING_SIZE);
        if (grown == NULL)
            return -ENOMEM;
        b->data = grown;
        b->capacity = capacity;
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
    return 0;
}

void flv_buffer_free(struct flv_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct flv_buffer){.data = NULL};
}

/* Is this the StreamID of a tag, by E.4.1 or as in the tag before? */
static bool is_stream_id(const struct flv_framing *f, const struct flv_tag *tag)
{
    return tag->stream_id == 0 || tag->stream_id == f->stream_id;
}

/* Is the PreviousTagSize after a tag right?  Returns 1, 0, or -1 if more bytes are needed. */
static int is_confirmed(const struct flv_framing *f, const uint8_t *p, const struct flv_tag *tag)
{
    size_t size = FLV_TAG_HEADER_BYTES + tag->len;
    if (f->in.len - f->consumed < size + PREVIOUS_TAG_SIZE_BYTES)
        return -1;
    return bytes_get32(p + size) == size;
}

static void leave_tag(struct flv_framing *f, const struct flv_tag *tag)
{
    f->tag_size = FLV_TAG_HEADER_BYTES + tag->len;
    f->stream_id = tag->stream_id;
    f->consumed += f->tag_size;
    f->state = FRAMING_TRAILER;
}

static int lose(struct flv_framing *f)
{
    f->state = FRAMING_LOST;
    f->skipped = 0;
    f->events.on_loss(f->events.ctx);
    return 1;
}

/* Skip a tag of a type that we do not read, or what looks like one. */
static int skip_tag(struct flv_framing *f, const uint8_t *p, const struct flv_tag *tag)
{
    bool likely = is_stream_id(f, tag) && tag->len <= RESYNC_TAG_MAX;
    int confirmed = likely ? is_confirmed(f, p, tag) : 0;
    if (confirmed < 0)
        return 0;
    if (!confirmed)
        return lose(f);
    leave_tag(f, tag);
    return 1;
}

/* E.2.  Returns 1 if done, 0 if more bytes are needed. */
static int take_file_header(struct flv_framing *f)
{
    const uint8_t *p = f->in.data + f->consumed;
    size_t left = f->in.len - f->consumed;
    if (left < FILE_HEADER_BYTES)
        return 0;
    uint32_t data_offset = bytes_get32(p + 5);
    if (memcmp(p, "FLV", 3) != 0 || data_offset < FILE_HEADER_BYTES ||
        data_offset > DATA_OFFSET_MAX)
        return -EPROTO;
    if (left < data_offset)
        return 0;
    f->consumed += data_offset;
    f->tag_size = 0;
    f->state = FRAMING_TRAILER; /* PreviousTagSize0 */
    return 1;
}

static int take_next_tag(struct flv_framing *f, int64_t received_us)
{
    const uint8_t *p = f->in.data + f->consumed;
    size_t left = f->in.len - f->consumed;
    if (left < FLV_TAG_HEADER_BYTES)
        return 0;
    struct flv_tag tag = {.received_us = received_us};
    if (!flv_tag_read_header(p, &tag))
        return skip_tag(f, p, &tag);
    if (tag.len > FRAME_MAX_BYTES || (!is_stream_id(f, &tag) && !f->confirmed))
        return lose(f);
    if (left < FLV_TAG_HEADER_BYTES + tag.len)
        return 0;
    leave_tag(f, &tag);
    int rc = f->events.on_tag(f->events.ctx, &tag);
    return rc == 0 ? 1 : rc;
}

/* Look for a tag whose PreviousTagSize confirms it. */
static int find_tag(struct flv_framing *f)
{
    while (f->in.len - f->consumed >= FLV_TAG_HEADER_BYTES) {
        const uint8_t *p = f->in.data + f->consumed;
        struct flv_tag tag;
        if (flv_tag_read_header(p, &tag) && is_stream_id(f, &tag) && tag.len > 0 &&
            tag.len <= RESYNC_TAG_MAX) {
            int confirmed = is_confirmed(f, p, &tag);
            if (confirmed < 0)
                return 0;
            if (confirmed) {
                f->state = FRAMING_TAGS;
                return 1;
            }
        }
        f->consumed++;
        if (++f->skipped > FLV_READER_SKIP_MAX)
            return -EPROTO;
    }
    return 0;
}

/* Take one item from f->in.  Returns 1 to continue, 0 if more bytes are needed. */
static int step(struct flv_framing *f, int64_t received_us)
{
    switch (f->state) {
    case FRAMING_HEADER:
        return take_file_header(f);
    case FRAMING_TRAILER:
        /* Many writers get PreviousTagSize wrong: then the next tag's header must look right. */
        if (f->in.len - f->consumed < PREVIOUS_TAG_SIZE_BYTES)
            return 0;
        f->confirmed = bytes_get32(f->in.data + f->consumed) == f->tag_size;
        f->consumed += PREVIOUS_TAG_SIZE_BYTES;
        f->state = FRAMING_TAGS;
        return 1;
    case FRAMING_TAGS:
        return take_next_tag(f, received_us);
    case FRAMING_LOST:
        break;
    }
    return find_tag(f);
}

int flv_framing_push(struct flv_framing *framing, const uint8_t *data, size_t len,
                     int64_t received_us)
{
    struct flv_framing *f = framing;
    int rc = flv_buffer_append(&f->in, data, len);
    if (rc != 0 || f->in.len == 0)
        return rc;
    do
        rc = step(f, received_us);
    while (rc == 1);

    f->in.len -= f->consumed;
    memmove(f->in.data, f->in.data + f->consumed, f->in.len);
    f->consumed = 0;
    return rc;
}

void flv_framing_free(struct flv_framing *framing)
{
    flv_buffer_free(&framing->in);
}
