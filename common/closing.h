/*
 * How an object ends whose parts end later: libuv handles, a thread, other objects.  Every process,
 * one thread at a time; does no I/O.
 *
 *   open     closing_hold() once for each part that must end first
 *   close    closing_ask() remembers whom to tell, then each part is told to end
 *   a part   closing_release() when it has ended; true for the last one: release what is left,
 *            then closing_finish(), which frees the object before it tells the owner
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

/* Zeroed: open, without parts. */
struct closing {
    unsigned held; /* parts that have not ended */
    bool asked;
    void (*closed)(void *ctx); /* NULL: nobody wants to know */
    void *ctx;
};

/** The object has one more part that must end before it may go. */
void closing_hold(struct closing *c);

/**
 * The owner wants the object to end.  At most once.
 *
 * @param closed  called by closing_finish() with ctx; NULL: nobody wants to know.
 * @return true if no part is held: the caller finishes the object itself.
 */
bool closing_ask(struct closing *c, void (*closed)(void *ctx), void *ctx);

/** A part has ended. @return true if it was the last one and closing_ask() has been called. */
bool closing_release(struct closing *c);

/**
 * Free an object, then tell its owner.
 *
 * @param c       asked and without parts.  May lie within object.
 * @param object  Moved: free() takes it.  What it points to is gone already.
 */
void closing_finish(const struct closing *c, void *object);

#endif /* COMMON_CLOSING_H */
