/* Makes text from outside safe for JSON and log lines.  Every process, any thread; pure. */
#ifndef COMMON_ESCAPE_H
#define COMMON_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>

/**
 * Escape text: controls, line separators and what turns the direction of text (U+202E and the like)
 * as `\uxxxx`, bytes that are not UTF-8 (RFC 3629) as `\ufffd`.
 *
 * @param out  size bytes, at least 1; NUL-terminated.  A character that does not fit whole is left
 *             out, with all that follow.  Caller owns.
 * @param json true: escape for a JSON string (RFC 8259 section 7) that may stand inside HTML;
 *             false: keep quotes and backslashes.
 * @return length without the NUL.
 */
size_t escape_text(char *out, size_t size, const char *text, bool json);

#endif /* COMMON_ESCAPE_H */
