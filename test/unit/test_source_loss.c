/* worker/media/source_loss: who lost the packets that are missing. */
#include "worker/media/source_loss.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void check(const struct source_loss *loss, uint64_t network, uint64_t overrun)
{
    assert_int_equal(loss->network, network);
    assert_int_equal(loss->overrun, overrun);
}

static void test_network(void **state)
{
    struct source_loss loss = {0};
    (void)state;
    source_loss_count(&loss, 3, 0);
    check(&loss, 3, 0);
    source_loss_count(&loss, 3, 0);
    check(&loss, 3, 0);
    source_loss_count(&loss, 4, 0);
    check(&loss, 4, 0);
}

/* The kernel tells of a drop before the gap in the numbers counts as lost. */
static void test_overrun(void **state)
{
    struct source_loss loss = {0};
    (void)state;
    source_loss_count(&loss, 2, 0);
    source_loss_count(&loss, 2, 10);
    check(&loss, 2, 0);
    source_loss_count(&loss, 12, 10);
    check(&loss, 2, 10);
    source_loss_count(&loss, 15, 11);
    check(&loss, 4, 11);
}

/* What others send to the port is dropped, too.  What was counted stays counted. */
static void test_numbers_never_fall(void **state)
{
    struct source_loss loss = {0};
    (void)state;
    source_loss_count(&loss, 5, 0);
    source_loss_count(&loss, 5, 1000);
    check(&loss, 5, 0);
    source_loss_count(&loss, 4, 0); /* cannot be */
    check(&loss, 5, 0);
    source_loss_count(&loss, 6, 1000);
    check(&loss, 5, 1);
}

static void test_sum(void **state)
{
    const struct source_loss a = {1, 2}, b = {30, 40};
    const struct source_loss sum = source_loss_sum(&a, &b);
    (void)state;
    check(&sum, 31, 42);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_network),
        cmocka_unit_test(test_overrun),
        cmocka_unit_test(test_numbers_never_fall),
        cmocka_unit_test(test_sum),
    };
    return cmocka_run_group_tests_name("source loss", tests, NULL, NULL);
}
