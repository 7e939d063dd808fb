/*
 * Text helpers for the URL modules: pieces of a text, and a bounded string under construction.
 * Every process, any thread; pure.
 */
#ifndef COMMON_URL_TEXT_H
#define COMMON_URL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* A piece of a text that is being split; not terminated.  Borrows the text. */
struct span {
    const char *at;
    size_t len;
};

/* A URL under construction; text that does not fit is cut. */
struct url_writer {
    char *out;  /* IPC_URL_MAX bytes, always terminated after the first url_put() */
    size_t len; /* without the NUL */
};

/** Append len bytes of s. */
void url_put(struct url_writer *w, const char *s, size_t len);

/** Append the terminated string s. */
void url_put_text(struct url_writer *w, const char *s);

/* Locale-free: a camera URL means the same everywhere. */
static inline bool char_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool char_is_alnum(char c)
{
    return char_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline char char_to_lower(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c;
}

/** @return the value of a hexadecimal digit, or -1. */
static inline int char_hex_value(char c)
{
    if (char_is_digit(c))
        return c - '0';
    c = char_to_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

#endif /* COMMON_URL_TEXT_H */
