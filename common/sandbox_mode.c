#include "common/sandbox_mode.h"

#include <errno.h>
#include <string.h>

static const char *const names[SANDBOX_MODE_COUNT] = {"on", "off", "require"};

int sandbox_mode_parse(const char *text, enum sandbox_mode *mode)
{
    for (int i = 0; i < SANDBOX_MODE_COUNT; i++) {
        if (strcmp(text, names[i]) == 0) {
            *mode = (enum sandbox_mode)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *sandbox_mode_name(enum sandbox_mode mode)
{
    return names[mode];
}
