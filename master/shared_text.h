/*
 * A text that several answers are made of, and a cache that keeps it from being made too often.
 * Master, loop thread; pure, the time is given.
 *
 * Making a text takes time from all other requests.  So it is given out again for
 * SHARED_TEXT_REST times as long as making it took: whatever is asked for, and however often, it
 * takes a twentieth of the master's time.
 */
#ifndef MASTER_SHARED_TEXT_H
#define MASTER_SHARED_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define SHARED_TEXT_REST 20

struct shared_text {
    char *text;
    size_t len;
    unsigned references;
    size_t *total;
};

/**
 * @param text   terminated.  Moved.
 * @param total  goes up by its length, and down when it is freed.  Borrowed.
 * @return with one reference.
 */
struct shared_text *shared_text_new(char *text, size_t *total);

struct shared_text *shared_text_ref(struct shared_text *text);

/** NULL is fine. */
void shared_text_unref(struct shared_text *text);

struct text_cache { /* zeroed at first */
    struct shared_text *text;
    int64_t until_us;
    size_t last_len; /* what to expect */
};

/** @return a new reference, or NULL: a new one is to be made. */
struct shared_text *text_cache_get(struct text_cache *cache, int64_t now_us);

/**
 * Keep a text.
 * @param text     Shared: takes a reference.
 * @param cost_us  processor time that making it took.
 */
void text_cache_put(struct text_cache *cache, struct shared_text *text, int64_t cost_us,
                    int64_t now_us);

void text_cache_clear(struct text_cache *cache);

#endif /* MASTER_SHARED_TEXT_H */
