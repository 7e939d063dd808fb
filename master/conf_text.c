#include "master/conf_text.h"

#include <stdio.h>

void conf_text_put_va(struct conf_text *text, const char *fmt, va_list args)
{
    int n = vsnprintf(text->buf + text->len, text->size - text->len, fmt, args);
    if (n > 0)
        text->len += (size_t)n < text->size - text->len ? (size_t)n : text->size - text->len - 1;
}

void conf_text_put(struct conf_text *text, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    conf_text_put_va(text, fmt, args);
    va_end(args);
}

void conf_text_put_item(struct conf_text *text, const char *word)
{
    conf_text_put(text, "%s%s", text->len > 0 ? ", " : "", word);
}

void conf_text_put_choice(struct conf_text *text, int i, int count, const char *word)
{
    const char *separator = i == 0 ? "" : i == count - 1 ? " or " : ", ";
    conf_text_put(text, "%s%s", separator, word);
}

void conf_text_cut(struct conf_text *text, size_t len)
{
    text->len = len;
    text->buf[len] = '\0';
}
