#include "master/shared_text.h"

#include "common/xalloc.h"

#include <stdlib.h>
#include <string.h>

struct shared_text *shared_text_new(char *text, size_t *total)
{
    struct shared_text *t = xcalloc(1, sizeof(*t));
    *t = (struct shared_text){.text = text, .len = strlen(text), .references = 1, .total = total};
    *total += t->len;
    return t;
}

struct shared_text *shared_text_ref(struct shared_text *text)
{
    text->references++;
    return text;
}

void shared_text_unref(struct shared_text *text)
{
    if (text == NULL || --text->references > 0)
        return;
    *text->total -= text->len;
    free(text->text);
    free(text);
}

struct shared_text *text_cache_get(struct text_cache *cache, int64_t now_us)
{
    if (cache->text != NULL && now_us >= cache->until_us) {
        shared_text_unref(cache->text);
        cache->text = NULL;
    }
    return cache->text != NULL ? shared_text_ref(cache->text) : NULL;
}

void text_cache_put(struct text_cache *cache, struct shared_text *text, int64_t cost_us,
                    int64_t now_us)
{
    shared_text_unref(cache->text);
    cache->text = shared_text_ref(text);
    cache->until_us = now_us + SHARED_TEXT_REST * cost_us;
    cache->last_len = text->len;
    if (cache->forced)
        cache->credit_us -= cost_us;
    cache->forced = false;
}

static void add_credit(struct text_cache *cache, int64_t now_us)
{
    cache->credit_us += (now_us - cache->credited_us) / SHARED_TEXT_REST;
    if (cache->credit_us > SHARED_TEXT_CREDIT_US)
        cache->credit_us = SHARED_TEXT_CREDIT_US;
    cache->credited_us = now_us;
}

void text_cache_expire(struct text_cache *cache, int64_t now_us)
{
    add_credit(cache, now_us);
    if (cache->text == NULL || cache->credit_us <= 0)
        return;
    cache->until_us = 0;
    cache->forced = true;
}

void text_cache_clear(struct text_cache *cache)
{
    shared_text_unref(cache->text);
    *cache = (struct text_cache){0};
}
