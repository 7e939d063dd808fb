#include "worker/flv/rtmp_opening.h"

#include <stdint.h>

enum { MESSAGE_VIDEO = 9, MESSAGE_AGGREGATE = 22 };

static _Thread_local struct rtmp_opening *current;

void rtmp_opening_begin(struct rtmp_opening *opening)
{
    current = opening;
}

void rtmp_opening_end(void)
{
    current = NULL;
}

void rtmp_opening_look(void *data, size_t asked, ssize_t got)
{
    struct rtmp_opening *o = current;
    if (o == NULL || o->renamed)
        return;
    uint8_t *first = data;
    bool all = got > 0 && (size_t)got == asked;
    if (all && asked == 1 && o->threes == 2 && *first == MESSAGE_AGGREGATE) {
        *first = MESSAGE_VIDEO;
        o->renamed = true;
    }
    o->threes = all && asked == 3 ? o->threes + 1 : 0;
}
