/* A bounded text under construction, for errors and help.  Master; pure. */
#ifndef MASTER_CONF_TEXT_H
#define MASTER_CONF_TEXT_H

#include <stdarg.h>
#include <stddef.h>

/* Text that does not fit is cut off. */
struct conf_text {
    char *buf; /* size bytes, "" at first.  Borrowed. */
    size_t size;
    size_t len;
};

/** Append, like printf(). */
void conf_text_put(struct conf_text *text, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/** Append, like vprintf(). */
void conf_text_put_va(struct conf_text *text, const char *fmt, va_list args)
    __attribute__((format(printf, 2, 0)));

/** Append a word; a comma goes before it unless the text is empty. */
void conf_text_put_item(struct conf_text *text, const char *word);

/** Append word i of count as part of "a, b or c". */
void conf_text_put_choice(struct conf_text *text, int i, int count, const char *word);

/** Truncate to len bytes. */
void conf_text_cut(struct conf_text *text, size_t len);

#endif /* MASTER_CONF_TEXT_H */
