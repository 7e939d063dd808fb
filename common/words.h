/* Finds the enum value that a word stands for.  Every process, any thread; pure. */
#ifndef COMMON_WORDS_H
#define COMMON_WORDS_H

#include <stddef.h>

/** @return the index of text among the words, or -EINVAL. */
int words_find(const char *const words[], size_t count, const char *text);

#endif /* COMMON_WORDS_H */
