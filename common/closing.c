#include "common/closing.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

void closing_hold(struct closing *c)
{
    c->held++;
}

bool closing_ask(struct closing *c, void (*closed)(void *ctx), void *ctx)
{
    assert(!c->asked);
    c->asked = true;
    c->closed = closed;
    c->ctx = ctx;
    return c->held == 0;
}

bool closing_release(struct closing *c)
{
    assert(c->held > 0);
    c->held--;
    return c->held == 0 && c->asked;
}

void closing_finish(const struct closing *c, void *object)
{
    assert(c->asked && c->held == 0);
    struct closing done = *c; /* it may be part of the object */
    free(object);
    if (done.closed != NULL)
        done.closed(done.ctx);
}
