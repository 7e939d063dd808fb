#include "common/sandbox_mode.h"

#include "common/words.h"

#include <assert.h>

static const char *const modes[SANDBOX_MODE_COUNT] = {
    [SANDBOX_ON] = "on",
    [SANDBOX_OFF] = "off",
    [SANDBOX_REQUIRE] = "require",
};

int sandbox_mode_parse(const char *text, enum sandbox_mode *mode)
{
    int found = words_find(modes, SANDBOX_MODE_COUNT, text);
    if (found < 0)
        return found;
    *mode = (enum sandbox_mode)found;
    return 0;
}

const char *sandbox_mode_name(enum sandbox_mode mode)
{
    assert(mode < SANDBOX_MODE_COUNT);
    return modes[mode];
}
