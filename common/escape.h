/* Text from outside, made safe for JSON and log lines.  Every process, any thread; pure. */
#ifndef COMMON_ESCAPE_H
#define COMMON_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>

/**
 * Escape text: controls as `\u00xx`, bytes that are no UTF-8 (RFC 3629) as `\ufffd`.
 *
 * @param out  size bytes, at least 1; terminated.  What does not fit whole is cut.  Caller owns.
 * @param json the result is what goes between the quotes of a JSON string (RFC 8259 section 7),
 *             also when that JSON is inside HTML; otherwise quotes and backslashes are kept.
 * @return length without the NUL.
 */
size_t escape_text(char *out, size_t size, const char *text, bool json);

#endif /* COMMON_ESCAPE_H */
