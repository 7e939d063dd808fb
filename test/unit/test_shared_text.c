/* master/shared_text: a text lives as long as somebody uses it, and is not made too often. */
#include "master/shared_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_references(void **state)
{
    size_t total = 0;
    struct shared_text *a = shared_text_new(strdup("abc"), &total);
    struct shared_text *b = shared_text_new(strdup("de"), &total);
    assert_int_equal(total, 5);
    assert_ptr_equal(shared_text_ref(a), a);
    shared_text_unref(a);
    assert_int_equal(total, 5);
    assert_string_equal(a->text, "abc");
    shared_text_unref(a);
    assert_int_equal(total, 2);
    shared_text_unref(b);
    shared_text_unref(NULL);
    assert_int_equal(total, 0);
}

static void test_cache(void **state)
{
    struct text_cache cache = {0};
    size_t total = 0;
    assert_null(text_cache_get(&cache, 1000));
    struct shared_text *text = shared_text_new(strdup("abc"), &total);
    text_cache_put(&cache, text, 100, 1100);
    assert_int_equal(cache.last_len, 3);
    assert_ptr_equal(text_cache_get(&cache, 1100 + 1999), text);
    shared_text_unref(text);
    assert_null(text_cache_get(&cache, 1100 + 2000));
    assert_int_equal(total, 3); /* whoever uses it still has it */
    shared_text_unref(text);
    assert_int_equal(total, 0);
    text_cache_put(&cache, text = shared_text_new(strdup("x"), &total), 1000, 6000);
    shared_text_unref(text);
    assert_ptr_equal(text_cache_get(&cache, 6001), text);
    shared_text_unref(text);
    text_cache_expire(&cache, 6001);
    assert_null(text_cache_get(&cache, 6001)); /* not older than what changed it */
    assert_int_equal(total, 0);
    text_cache_put(&cache, text = shared_text_new(strdup("x"), &total), 1000, 6000);
    shared_text_unref(text);
    assert_int_equal(total, 1);
    text_cache_clear(&cache);
    assert_int_equal(total, 0);
}

/* Somebody makes it expire at each request: it is made anew only as often as there is credit. */
static void test_forced_without_end(void **state)
{
    enum { COST_US = 10000, STEP_US = 100, SECONDS = 20 };
    struct text_cache cache = {0};
    size_t total = 0;
    int64_t now_us = 1, spent_us = 0;
    for (; now_us < SECONDS * INT64_C(1000000); now_us += STEP_US) {
        text_cache_expire(&cache, now_us);
        struct shared_text *text = text_cache_get(&cache, now_us);
        if (text == NULL) {
            text = shared_text_new(strdup("x"), &total);
            now_us += COST_US;
            spent_us += COST_US;
            text_cache_put(&cache, text, COST_US, now_us);
        }
        shared_text_unref(text);
    }
    assert_true(spent_us <= 2 * now_us / SHARED_TEXT_REST + SHARED_TEXT_CREDIT_US + COST_US);
    assert_true(spent_us >= now_us / SHARED_TEXT_REST / 2);
    assert_null(text_cache_get(&cache, now_us + SHARED_TEXT_REST * COST_US)); /* as ever */
    now_us += 60 * INT64_C(1000000);
    struct shared_text *text = shared_text_new(strdup("x"), &total);
    text_cache_put(&cache, text, COST_US, now_us);
    text_cache_expire(&cache, now_us + 1); /* there is credit again */
    assert_null(text_cache_get(&cache, now_us + 1));
    shared_text_unref(text);
    assert_int_equal(total, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_forced_without_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
