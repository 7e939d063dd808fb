/*
 * A text that several answers share, and a cache that keeps it from being made too often.  Master,
 * loop thread; pure: the caller passes the time.
 *
 * Making a text delays all other requests.  So it is reused for SHARED_TEXT_REST times as long as
 * making it took: however often a text is requested, it takes at most a twentieth of the master's
 * time.  A request that changes what the text says makes it expire at once, but whoever sends such
 * requests without end takes no more than a second twentieth: SHARED_TEXT_CREDIT_US are saved for
 * that, then the text rests.
 */
#ifndef MASTER_SHARED_TEXT_H
#define MASTER_SHARED_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SHARED_TEXT_REST 20
#define SHARED_TEXT_CREDIT_US 200000

struct shared_text {
    char *text;
    size_t len;
    unsigned references;
    size_t *total;
};

/**
 * @param text   terminated.  Moved.
 * @param total  grows by the text's length, and shrinks when the text is freed.  Borrowed.
 * @return with one reference.
 */
struct shared_text *shared_text_new(char *text, size_t *total);

/** @return text, with a reference more.  Caller owns it; shared_text_unref(). */
struct shared_text *shared_text_ref(struct shared_text *text);

/** NULL is fine. */
void shared_text_unref(struct shared_text *text);

struct text_cache { /* zeroed at first */
    struct shared_text *text;
    int64_t until_us;
    size_t last_len;     /* the length to expect of the next text */
    bool forced;         /* it expired before its time */
    int64_t credit_us;   /* processor time left for texts that are forced */
    int64_t credited_us; /* when that was added to */
};

/** @return a new reference; NULL: the caller must make a new text. */
struct shared_text *text_cache_get(struct text_cache *cache, int64_t now_us);

/**
 * Keep a text.
 * @param text     Shared: takes a reference.
 * @param cost_us  processor time that making it took.
 */
void text_cache_put(struct text_cache *cache, struct shared_text *text, int64_t cost_us,
                    int64_t now_us);

/** What the text says has changed by a client's request: the next answer must not be older, while
 * there is credit. */
void text_cache_expire(struct text_cache *cache, int64_t now_us);

/** Let go of the text; the cache may be used again. */
void text_cache_clear(struct text_cache *cache);

#endif /* MASTER_SHARED_TEXT_H */
