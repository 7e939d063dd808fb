#include "worker/rtp/rtp_buffer.h"

#include "worker/media/frame.h"

#include <libavcodec/defs.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_ROOM ((size_t)32768)

static bool reserve(struct rtp_buffer *b, size_t need)
{
    size_t room = b->room != 0 ? b->room : FIRST_ROOM;
    while (room < need)
        room *= 2;
    if (room == b->room)
        return true;
    uint8_t *data = realloc(b->data, room);
    if (data == NULL)
        return false;
    b->data = data;
    b->room = room;
    return true;
}

bool rtp_buffer_append(struct rtp_buffer *buffer, const void *data, size_t len)
{
    if (len > FRAME_MAX_BYTES - buffer->len ||
        !reserve(buffer, buffer->len + len + AV_INPUT_BUFFER_PADDING_SIZE))
        return false;
    if (len > 0)
        memcpy(buffer->data + buffer->len, data, len);
    buffer->len += len;
    memset(buffer->data + buffer->len, 0, AV_INPUT_BUFFER_PADDING_SIZE);
    return true;
}

void rtp_buffer_free(struct rtp_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct rtp_buffer){0};
}
