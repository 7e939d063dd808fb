/*
 * Takes off what surrounds a URL that was pasted: white space and quotes.  Every process, any
 * thread; pure.
 */
#ifndef COMMON_URL_TRIM_H
#define COMMON_URL_TRIM_H

#include "common/url_text.h"

#include <stdbool.h>

/**
 * Take white space off both ends: Unicode's, and characters that show nothing (zero-width spaces,
 * marks of direction, soft hyphens).
 *
 * @param encoded  true: percent-encoded ones, too.  False for a text that is decoded, or never was
 *                 encoded: `%20` in it is the camera's.
 * @return the rest.  Borrows the same text.
 */
struct span url_trim_space(struct span s, bool encoded);

/**
 * Take white space and quotes of any language off both ends.  A quote goes only together with one
 * at the other end: alone, it may be a part of the URL (`?name=%22a%22`), and stays; one at the
 * beginning is refused with the URL, because no scheme begins so.
 *
 * @param encoded  as above.
 * @return the rest.  Borrows the same text.
 */
struct span url_trim(struct span s, bool encoded);

#endif /* COMMON_URL_TRIM_H */
