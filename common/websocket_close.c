#include "common/websocket_close.h"

#include "common/bytes.h"
#include "common/escape.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define TEXT 0x81  /* FIN, opcode 1 */
#define CLOSE 0x88 /* FIN, opcode 8 */
#define REASON_MAX (WEBSOCKET_CONTROL_MAX - 2)

size_t websocket_close_frame(uint8_t buf[WEBSOCKET_CLOSE_MAX], uint16_t code)
{
    buf[0] = CLOSE;
    if (code == WEBSOCKET_NO_STATUS) {
        buf[1] = 0;
        return 2;
    }
    buf[1] = 2;
    bytes_put16(buf + 2, code);
    return 4;
}

size_t websocket_close_error(uint8_t buf[WEBSOCKET_CLOSE_MAX], enum http_error error,
                             const char *message)
{
    static const char format[] = "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}";
    char reason[REASON_MAX + 1], text[REASON_MAX + 1];
    const char *code = http_error_code(error);
    int frame = snprintf(NULL, 0, format, code, "");
    assert(frame > 0 && frame < REASON_MAX);
    (void)escape_text(text, (size_t)(REASON_MAX - frame) + 1, message, true);
    int len = snprintf(reason, sizeof(reason), format, code, text);
    buf[0] = CLOSE;
    buf[1] = (uint8_t)(2 + len);
    bytes_put16(buf + 2, (uint16_t)(WEBSOCKET_ERROR_BASE + http_error_status(error)));
    memcpy(buf + 4, reason, (size_t)len);
    return 4 + (size_t)len;
}

size_t websocket_error(uint8_t buf[WEBSOCKET_ERROR_MAX], enum http_error error, const char *camera,
                       const char *message)
{
    char body[HTTP_ERROR_JSON_MAX];
    size_t len = http_error_json(body, error, camera, message);
    bool is_short = len <= WEBSOCKET_CONTROL_MAX; /* the shortest form is mandatory */
    size_t head = is_short ? 2 : 4;
    buf[0] = TEXT;
    buf[1] = is_short ? (uint8_t)len : 126;
    if (!is_short)
        bytes_put16(buf + 2, (uint16_t)len);
    memcpy(buf + head, body, len);
    return head + len + websocket_close_error(buf + head + len, error, message);
}
