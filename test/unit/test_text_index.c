/* master/text_index: texts are found, and only those that are there. */
#include "master/text_index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_empty(void **state)
{
    struct text_index index = {0};
    assert_null(text_index_find(&index, ""));
    text_index_remove(&index, "a", &index);
    text_index_clear(&index);
    assert_null(text_index_find(&index, "a"));
}

static void test_put_find_remove(void **state)
{
    struct text_index index = {0};
    int a = 0, b = 0, empty = 0;
    text_index_put(&index, "a", &a);
    text_index_put(&index, "b", &b);
    text_index_put(&index, "", &empty);
    assert_ptr_equal(text_index_find(&index, "a"), &a);
    assert_ptr_equal(text_index_find(&index, "b"), &b);
    assert_ptr_equal(text_index_find(&index, ""), &empty);
    assert_null(text_index_find(&index, "c"));
    text_index_remove(&index, "a", &b); /* not its item */
    assert_ptr_equal(text_index_find(&index, "a"), &a);
    text_index_remove(&index, "a", &a);
    assert_null(text_index_find(&index, "a"));
    assert_ptr_equal(text_index_find(&index, "b"), &b);
    text_index_clear(&index);
    assert_null(text_index_find(&index, "b"));
    text_index_put(&index, "b", &b);
    assert_ptr_equal(text_index_find(&index, "b"), &b);
    text_index_clear(&index);
}

/* Removing one of two items leaves the other. */
static void test_same_text_twice(void **state)
{
    struct text_index index = {0};
    int first = 0, second = 0;
    char copy[] = "x";
    text_index_put(&index, "x", &first);
    text_index_put(&index, copy, &second);
    text_index_remove(&index, "x", &first);
    assert_ptr_equal(text_index_find(&index, "x"), &second);
    text_index_remove(&index, "x", &second);
    assert_null(text_index_find(&index, "x"));
    text_index_clear(&index);
}

/* Random puts and removals, compared with a plain array. */
static void test_against_array(void **state)
{
    enum { TEXTS = 300, STEPS = 20000 };
    static char texts[TEXTS][16];
    static bool there[TEXTS];
    struct text_index index = {0};
    uint32_t random = 1;
    size_t used = 0;
    for (int i = 0; i < TEXTS; i++)
        (void)snprintf(texts[i], sizeof(texts[i]), "t%d", i);
    for (int step = 0; step < STEPS; step++) {
        random = random * 1664525u + 1013904223u;
        unsigned i = (random >> 16) % TEXTS;
        if (there[i])
            text_index_remove(&index, texts[i], texts[i]);
        else
            text_index_put(&index, texts[i], texts[i]);
        used += there[i] ? (size_t)-1 : 1;
        there[i] = !there[i];
        assert_int_equal(index.used, used);
        if (step % 100 != 0)
            continue;
        for (int k = 0; k < TEXTS; k++)
            assert_ptr_equal(text_index_find(&index, texts[k]), there[k] ? texts[k] : NULL);
    }
    text_index_clear(&index);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_put_find_remove),
        cmocka_unit_test(test_same_text_twice),
        cmocka_unit_test(test_against_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
