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

/* Could a tag begin here?  p: FLV_TAG_HEADER_BYTES. */
static bool is_tag_header(const uint8_t *p)
{
    struct flv_tag tag;
    return flv_tag_read_header(p, &tag) && tag.len <= FRAME_MAX_BYTES;
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
    f->state = FRAMING_TRAILER; /* PreviousTagSize0 */
    return 1;
}

static int take_next_tag(struct flv_framing *f, int64_t received_us)
{
    const uint8_t *p = f->in.data + f->consumed;
    size_t left = f->in.len - f->consumed;
    if (left < FLV_TAG_HEADER_BYTES)
        return 0;
    if (!is_tag_header(p)) {
        f->state = FRAMING_LOST;
        f->skipped = 0;
        f->events.on_loss(f->events.ctx);
        return 1;
    }
    struct flv_tag tag = {.received_us = received_us};
    flv_tag_read_header(p, &tag);
    if (left < FLV_TAG_HEADER_BYTES + tag.len)
        return 0;
    f->consumed += FLV_TAG_HEADER_BYTES + tag.len;
    f->state = FRAMING_TRAILER;
    int rc = f->events.on_tag(f->events.ctx, &tag);
    return rc == 0 ? 1 : rc;
}

/* Look for a tag whose PreviousTagSize confirms it. */
static int find_tag(struct flv_framing *f)
{
    while (f->in.len - f->consumed >= FLV_TAG_HEADER_BYTES) {
        const uint8_t *p = f->in.data + f->consumed;
        struct flv_tag tag;
        if (flv_tag_read_header(p, &tag) && tag.len > 0 && tag.len <= RESYNC_TAG_MAX) {
            size_t size = FLV_TAG_HEADER_BYTES + tag.len;
            if (f->in.len - f->consumed < size + PREVIOUS_TAG_SIZE_BYTES)
                return 0;
            if (bytes_get32(p + size) == size) {
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
        /* Many writers get PreviousTagSize wrong, so only the next tag's header is checked. */
        if (f->in.len - f->consumed < PREVIOUS_TAG_SIZE_BYTES)
            return 0;
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
