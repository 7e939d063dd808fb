#include "common/words.h"

#include <errno.h>
#include <string.h>

int words_find(const char *const words[], size_t count, const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(words[i], text) == 0)
            return (int)i;
    }
    return -EINVAL;
}
