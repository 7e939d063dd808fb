#include "worker/rtsp/rtsp_first_request.h"

#include <stddef.h>

bool rtsp_first_request_unanswered(struct source_memory *memory)
{
    if (memory == NULL)
        return true;
    bool alone = memory->first_known || memory->both_tried;
    memory->options_first = memory->both_tried && !memory->first_known;
    memory->first_known = false;
    memory->both_tried = true;
    return !alone;
}

void rtsp_first_request_failed(struct source_memory *memory)
{
    if (memory != NULL && memory->both_tried && !memory->first_known)
        memory->options_first = false;
}
