#include "common/transcode_mode.h"

#include "common/words.h"

#include <assert.h>

static const char *const modes[TRANSCODE_MODE_COUNT] = {
    [TRANSCODE_AUTO] = "auto",
    [TRANSCODE_ASKED] = "asked",
    [TRANSCODE_NEVER] = "never",
};

int transcode_mode_parse(const char *text, enum transcode_mode *mode)
{
    int found = words_find(modes, TRANSCODE_MODE_COUNT, text);
    if (found < 0)
        return found;
    *mode = (enum transcode_mode)found;
    return 0;
}

const char *transcode_mode_name(enum transcode_mode mode)
{
    assert(mode < TRANSCODE_MODE_COUNT);
    return modes[mode];
}
