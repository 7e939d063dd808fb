/*
 * Takes off what surrounds a URL that was pasted: white space and quotes.  Every process, any
 * thread; pure.
 */
#ifndef COMMON_URL_TRIM_H
#define COMMON_URL_TRIM_H

#include "common/url_text.h"

/**
 * Take white space off both ends, each byte of it plain or percent-encoded: ASCII controls and
 * spaces, no-break, ideographic and zero-width spaces.
 *
 * @return the rest.  Borrows the same text.
 */
struct span url_trim_space(struct span s);

/**
 * Take white space and quotes off both ends, plain or percent-encoded.  RFC 3986 allows `'` in a
 * URL, so one at the end goes only with one at the beginning.
 *
 * @return the rest.  Borrows the same text.
 */
struct span url_trim(struct span s);

#endif /* COMMON_URL_TRIM_H */
