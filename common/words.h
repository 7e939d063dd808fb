/* Words that stand for the values of an enum.  Every process, any thread; pure. */
#ifndef COMMON_WORDS_H
#define COMMON_WORDS_H

#include <stddef.h>

/** @return the index of the word that text is, or -EINVAL. */
int words_find(const char *const words[], size_t count, const char *text);

#endif /* COMMON_WORDS_H */
