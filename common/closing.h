/*
 * Closes an object whose parts end later: libuv handles, a thread, other objects.  Every process,
 * one thread at a time; does no I/O.
 *
 *   open     call closing_hold() once for each part that must end first
 *   close    closing_ask() remembers whom to tell; then tell each part to end
 *   a part   closing_release() when it has ended.  If that returns true, release what is left and
 *            call closing_finish(), which frees the object before it tells the owner
 *
 *   static void on_part_closed(void *ctx)
 *   {
 *       struct thing *t = ctx;
 *       if (closing_release(&t->closing))
 *           closing_finish(&t->closing, t);
 *   }
 */
#ifndef COMMON_CLOSING_H
#define COMMON_CLOSING_H

#include <stdbool.h>

/* A zeroed struct is open and has no parts. */
struct closing {
    unsigned held; /* parts that have not ended */
    bool asked;
    void (*closed)(void *ctx); /* NULL: call nothing */
    void *ctx;
};

/** The object has one more part that must end before it may be freed. */
void closing_hold(struct closing *c);

/**
 * The owner asks the object to end.  Call at most once.
 *
 * @param closed  called by closing_finish() with ctx; NULL: call nothing.
 * @return true if no part is held: the caller finishes the object itself.
 */
bool closing_ask(struct closing *c, void (*closed)(void *ctx), void *ctx);

/** A part has ended. @return true if it was the last one and closing_ask() has been called. */
bool closing_release(struct closing *c);

/**
 * Free an object, then tell its owner.
 *
 * @param c       closing_ask() was called and no part is held.  May lie within object.
 * @param object  Moved: passed to free().  The caller has released what it points to.
 */
void closing_finish(const struct closing *c, void *object);

#endif /* COMMON_CLOSING_H */
