#include "master/client_fields.h"

#include <string.h>

/* X(number, member).  Never change a number; a member that is gone leaves its number unused. */
/* clang-format off */
#define FIELDS(X)                                                                         \
    X(1, conn_id) X(2, accepted_us) X(3, kind) X(4, join)                                 \
    X(5, hevc) X(6, audio) X(7, allow_h265) X(8, av1)                                     \
    X(9, head) X(10, width) X(11, height) X(12, quality)                                  \
    X(13, fps) X(14, picture) X(15, wait_ms) X(16, crop_x)                                \
    X(17, crop_y) X(18, crop_width) X(19, crop_height) X(20, websocket)                   \
    X(21, keep) X(22, requests) X(23, head_bytes) X(24, rest_bytes)                       \
    X(25, peer) X(26, origin) X(27, if_none_match) X(28, camera)                          \
    X(29, bytes) X(30, client)
/* clang-format on */

/* ticket and resumed are the next worker's. */

struct field {
    uint16_t number;
    uint16_t offset;
    uint16_t size;
};

static const struct field fields[] = {
#define X(n, member)                                     \
    {(n), (uint16_t)offsetof(struct ipc_client, member), \
     (uint16_t)sizeof(((struct ipc_client *)NULL)->member)},
    FIELDS(X)
#undef X
};

#define FIELD_COUNT (sizeof(fields) / sizeof(fields[0]))
#define PREFIX 4 /* number and length */

static size_t used_size(const struct field *field, const struct ipc_client *client,
                        const uint8_t *value)
{
    size_t size = field->size;
    size_t bytes = (size_t)client->head_bytes + client->rest_bytes;
    if (field->offset == offsetof(struct ipc_client, bytes))
        return bytes < size ? bytes : size;
    while (size > 0 && value[size - 1] == 0)
        size--;
    return size;
}

size_t client_fields_write(const struct ipc_client *client, uint8_t *out)
{
    size_t at = 0;
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        const uint8_t *value = (const uint8_t *)client + fields[i].offset;
        uint16_t size = (uint16_t)used_size(&fields[i], client, value);
        if (size == 0)
            continue;
        memcpy(out + at, &fields[i].number, sizeof(uint16_t));
        memcpy(out + at + 2, &size, sizeof(size));
        memcpy(out + at + PREFIX, value, size);
        at += PREFIX + size;
    }
    return at;
}

static const struct field *find_field(uint16_t number)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (fields[i].number == number)
            return &fields[i];
    }
    return NULL;
}

bool client_fields_read(const uint8_t *bytes, size_t len, struct ipc_client *client)
{
    size_t at = 0;
    memset(client, 0, sizeof(*client));
    while (len - at >= PREFIX) {
        uint16_t number, size;
        memcpy(&number, bytes + at, sizeof(number));
        memcpy(&size, bytes + at + 2, sizeof(size));
        at += PREFIX;
        const struct field *field = find_field(number);
        if (size > len - at || (field != NULL && size > field->size))
            return false;
        if (field != NULL)
            memcpy((uint8_t *)client + field->offset, bytes + at, size);
        at += size;
    }
    return at == len && client->kind <= IPC_CLIENT_MJPEG &&
           client->head_bytes <= sizeof(client->bytes) &&
           client->rest_bytes <= sizeof(client->bytes) - client->head_bytes;
}
