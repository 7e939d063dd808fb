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

/* The code point of a sequence that is valid. */
static unsigned code_point(const char *s, size_t len)
{
    unsigned value = len == 1 ? (unsigned char)s[0] : (unsigned char)s[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++)
        value = value << 6 | ((unsigned char)s[i] & 0x3f);
    return value;
}

/* Controls (C0 and C1), line separators, and what turns the direction of the text around it
 * (Unicode Standard Annex 9): a terminal or an editor would show another line than was written. */
static bool is_control(unsigned code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x2028 && code <= 0x202e) ||
           (code >= 0x2066 && code <= 0x2069);
}

size_t escape_text(char *out, size_t size, const char *text, bool json)
{
    size_t n = 0;
    while (*text != '\0') {
        char piece[8];
        unsigned char c = (unsigned char)*text;
        size_t used = utf8_len(text);
        unsigned code = used > 0 ? code_point(text, used) : 0;
        if (used == 0) {
            (void)snprintf(piece, sizeof(piece), "\\ufffd");
            used = 1;
        } else if (is_control(code) || (json && c == '<')) {
            (void)snprintf(piece, sizeof(piece), "\\u%04x", code);
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
