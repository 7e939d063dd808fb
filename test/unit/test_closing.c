/* common/closing: the owner is told once, after the last part has ended and the object is gone. */
#include "common/closing.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static void count(void *ctx)
{
    int *calls = ctx;
    (*calls)++;
}

static void test_the_last_part_ends_the_object(void **state)
{
    (void)state;
    int calls = 0;
    struct closing *c = calloc(1, sizeof(*c));
    closing_hold(c);
    closing_hold(c);
    assert_false(closing_ask(c, count, &calls));
    assert_false(closing_release(c));
    assert_true(closing_release(c));
    assert_int_equal(calls, 0);
    closing_finish(c, c); /* AddressSanitizer sees a use after free */
    assert_int_equal(calls, 1);
}

static void test_a_part_that_ends_early_ends_nothing(void **state)
{
    (void)state;
    int calls = 0;
    struct closing c = {0};
    closing_hold(&c);
    assert_false(closing_release(&c));
    closing_hold(&c);
    assert_false(closing_ask(&c, count, &calls));
    assert_true(closing_release(&c));
    closing_finish(&c, NULL);
    assert_int_equal(calls, 1);
}

static void test_an_object_without_parts_ends_at_once(void **state)
{
    (void)state;
    struct closing c = {0};
    assert_true(closing_ask(&c, NULL, NULL));
    closing_finish(&c, NULL); /* nobody wants to know */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_last_part_ends_the_object),
        cmocka_unit_test(test_a_part_that_ends_early_ends_nothing),
        cmocka_unit_test(test_an_object_without_parts_ends_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
