#include "common/escape.h"

#include <stdio.h>
#include <string.h>

/* Length of a valid UTF-8 sequence at s (RFC 3629 section 4), or 0. */
static size_t utf8_len(const char *s)
{
    unsigned char c = (unsigned char)s[0];
    size_t len = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    for (size_t i = 1; i < len; i++) {
        if (((unsigned char)s[i] & 0xc0) != 0x80)
            return 0;
    }
    unsigned char next = len > 1 ? (unsigned char)s[1] : 0;
    if ((c == 0xe0 && next < 0xa0) || (c == 0xed && next > 0x9f) || (c == 0xf0 && next < 0x90) ||
        (c == 0xf4 && next > 0x8f))
        return 0; /* overlong, surrogate, beyond U+10FFFF */
    return len;
}

size_t escape_text(char *out, size_t size, const char *text, bool json)
{
    size_t n = 0;
    while (*text != '\0') {
        char piece[8];
        unsigned char c = (unsigned char)*text;
        size_t used = utf8_len(text);
        unsigned char c1 = c == 0xc2 ? (unsigned char)text[1] : 0; /* U+0080 to U+009F */
        if (used == 0) {
            (void)snprintf(piece, sizeof(piece), "\\ufffd");
            used = 1;
        } else if (c < 0x20 || c == 0x7f || (json && c == '<')) {
            (void)snprintf(piece, sizeof(piece), "\\u%04x", c);
        } else if (c1 >= 0x80 && c1 < 0xa0) {
            (void)snprintf(piece, sizeof(piece), "\\u%04x", c1);
        } else if (json && (c == '"' || c == '\\')) {
            (void)snprintf(piece, sizeof(piece), "\\%c", c);
        } else {
            (void)snprintf(piece, sizeof(piece), "%.*s", (int)used, text);
        }
        size_t len = strlen(piece);
        if (n + len >= size)
            break;
        memcpy(out + n, piece, len);
        n += len;
        text += used;
    }
    out[n] = '\0';
    return n;
}
