#include "worker/rtp/rtp_numbers.h"

#define SHARED_SURE 8 /* times */
#define SHARED_MAX 32
#define ASTRAY_SURE 32 /* packets in a row */

void rtp_numbers_other_track(struct rtp_numbers *numbers, uint16_t sequence)
{
    numbers->between = true;
    numbers->theirs = sequence;
}

void rtp_numbers_own(struct rtp_numbers *numbers, uint16_t sequence)
{
    if (!numbers->between)
        return;
    numbers->between = false;
    if (sequence == (uint16_t)(numbers->theirs + 1)) /* with a sequence for each: hardly ever */
        numbers->shared += numbers->shared < SHARED_MAX;
    else
        numbers->shared -= numbers->shared > 0;
}

bool rtp_numbers_are_shared(const struct rtp_numbers *numbers)
{
    return numbers->shared >= SHARED_SURE;
}

bool rtp_numbers_are_astray(struct rtp_numbers *numbers, bool next)
{
    if (numbers->astray < ASTRAY_SURE) {
        numbers->astray = next ? 0 : numbers->astray + 1;
        return false;
    }
    numbers->in_order = next ? numbers->in_order + 1 : 0;
    if (numbers->in_order >= ASTRAY_SURE)
        numbers->astray = numbers->in_order = 0;
    return !next;
}
