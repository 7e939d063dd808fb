#include "common/url_trim.h"

#include <stdint.h>
#include <string.h>

#define NO_CHARACTER 0 /* trimmed nowhere */
#define UTF8_MAX 4

/* White space, and characters that show nothing: what copying from pages and dialogs adds. */
static bool is_space(uint32_t c)
{
    return (c >= '\t' && c <= '\r') || c == ' ' || c == 0x85 || c == 0xa0 || c == 0xad ||
           c == 0x1680 || (c >= 0x2000 && c <= 0x200f) || (c >= 0x2028 && c <= 0x202f) ||
           (c >= 0x205f && c <= 0x206f) || c == 0x3000 || c == 0xfeff;
}

static bool is_quote(uint32_t c)
{
    return c == '"' || c == '`' || c == '<' || c == '>' || c == 0xab || c == 0xbb ||
           (c >= 0x2018 && c <= 0x201f) || (c >= 0x2032 && c <= 0x2036) || c == 0x2039 ||
           c == 0x203a || (c >= 0x3008 && c <= 0x300f) || (c >= 0x301d && c <= 0x301f) ||
           c == 0xff02;
}

/* It pairs with its like alone. */
static bool is_apostrophe(uint32_t c)
{
    return c == '\'' || c == 0xff07;
}

/* The byte that three characters stand for, as in `%0A`; -1: they stand for themselves. */
static int read_escape(const char *at)
{
    int high = at[0] == '%' ? char_hex_value(at[1]) : -1;
    int low = high >= 0 ? char_hex_value(at[2]) : -1;
    return low >= 0 ? high * 16 + low : -1;
}

/* The first or the last byte of s. @return how many characters write it; 0: s is empty. */
static size_t read_byte(struct span s, bool encoded, bool at_end, unsigned char *byte)
{
    if (s.len == 0)
        return 0;
    int escaped = encoded && s.len >= 3 ? read_escape(at_end ? s.at + s.len - 3 : s.at) : -1;
    *byte = escaped >= 0 ? (unsigned char)escaped : (unsigned char)s.at[at_end ? s.len - 1 : 0];
    return escaped >= 0 ? 3 : 1;
}

/* Bytes of a character in UTF-8, from its first one; 0: it is no first one. */
static unsigned utf8_length(unsigned char first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc0)
        return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : UTF8_MAX;
}

static uint32_t join_utf8(const unsigned char *bytes, unsigned n)
{
    uint32_t code = n == 1 ? bytes[0] : bytes[0] & (0x7fu >> n);
    for (unsigned i = 1; i < n; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return NO_CHARACTER;
        code = code << 6 | (bytes[i] & 0x3f);
    }
    return code;
}

/* The first character of s. @param len  set to how many bytes of s write it. */
static uint32_t first_character(struct span s, bool encoded, size_t *len)
{
    unsigned char bytes[UTF8_MAX];
    *len = read_byte(s, encoded, false, bytes);
    unsigned n = *len > 0 ? utf8_length(bytes[0]) : 0;
    for (unsigned i = 1; i < n; i++) {
        struct span rest = {s.at + *len, s.len - *len};
        size_t used = read_byte(rest, encoded, false, &bytes[i]);
        if (used == 0)
            return NO_CHARACTER;
        *len += used;
    }
    return n > 0 ? join_utf8(bytes, n) : NO_CHARACTER;
}

/* The last character of s. @param len  as above. */
static uint32_t last_character(struct span s, bool encoded, size_t *len)
{
    unsigned char bytes[UTF8_MAX]; /* filled from the end */
    *len = 0;
    for (unsigned n = 1; n <= UTF8_MAX; n++) {
        struct span rest = {s.at, s.len - *len};
        size_t used = read_byte(rest, encoded, true, &bytes[UTF8_MAX - n]);
        if (used == 0)
            return NO_CHARACTER;
        *len += used;
        unsigned length = utf8_length(bytes[UTF8_MAX - n]);
        if (length != 0)
            return length == n ? join_utf8(&bytes[UTF8_MAX - n], n) : NO_CHARACTER;
    }
    return NO_CHARACTER;
}

static bool take_front(struct span *s, bool (*belongs)(uint32_t c), bool encoded)
{
    size_t len;
    if (!belongs(first_character(*s, encoded, &len)))
        return false;
    s->at += len;
    s->len -= len;
    return true;
}

static bool take_end(struct span *s, bool (*belongs)(uint32_t c), bool encoded)
{
    size_t len;
    if (!belongs(last_character(*s, encoded, &len)))
        return false;
    s->len -= len;
    return true;
}

struct span url_trim_space(struct span s, bool encoded)
{
    while (take_front(&s, is_space, encoded))
        ;
    while (take_end(&s, is_space, encoded))
        ;
    return s;
}

/* One alone may be a part of the URL. */
static bool take_pair(struct span *s, bool (*belongs)(uint32_t c), bool encoded)
{
    struct span inner = *s;
    if (!take_front(&inner, belongs, encoded) || !take_end(&inner, belongs, encoded))
        return false;
    *s = inner;
    return true;
}

struct span url_trim(struct span s, bool encoded)
{
    do {
        s = url_trim_space(s, encoded);
    } while (take_pair(&s, is_quote, encoded) || take_pair(&s, is_apostrophe, encoded));
    return s;
}
