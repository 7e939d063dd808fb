#include "worker/media/source_loss.h"

void source_loss_count(struct source_loss *loss, uint64_t missing, uint64_t dropped)
{
    uint64_t counted = loss->network + loss->overrun;
    uint64_t more = missing > counted ? missing - counted : 0;
    uint64_t unexplained = dropped > loss->overrun ? dropped - loss->overrun : 0;
    uint64_t overrun = more < unexplained ? more : unexplained;
    loss->overrun += overrun;
    loss->network += more - overrun;
}

struct source_loss source_loss_sum(const struct source_loss *a, const struct source_loss *b)
{
    return (struct source_loss){a->network + b->network, a->overrun + b->overrun};
}
