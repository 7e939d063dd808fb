/* common/histogram: every time is in one bucket, sums and merges hold. */
#include "common/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_bounds_are_inclusive(void **state)
{
    struct ipc_histogram h = {0};
    for (int i = 0; i < IPC_HISTOGRAM_BUCKETS - 1; i++) {
        histogram_add(&h, histogram_bounds_us[i]);
        histogram_add(&h, (int64_t)histogram_bounds_us[i] + 1);
    }
    assert_int_equal(h.counts[0], 1);
    for (int i = 1; i < IPC_HISTOGRAM_BUCKETS - 1; i++)
        assert_int_equal(h.counts[i], 2);
    assert_int_equal(h.counts[IPC_HISTOGRAM_BUCKETS - 1], 1);
}

static void test_bounds_rise(void **state)
{
    for (int i = 1; i < IPC_HISTOGRAM_BUCKETS - 1; i++)
        assert_true(histogram_bounds_us[i - 1] < histogram_bounds_us[i]);
}

static void test_extremes_and_merge(void **state)
{
    struct ipc_histogram a = {0}, b = {0};
    histogram_add(&a, -5); /* clocks of two processes */
    histogram_add(&a, 0);
    histogram_add(&b, INT64_MAX / 2);
    histogram_add(&b, 7);
    histogram_merge(&a, &b);
    assert_int_equal(a.counts[0], 3);
    assert_int_equal(a.counts[IPC_HISTOGRAM_BUCKETS - 1], 1);
    assert_true(a.sum_us == (uint64_t)(INT64_MAX / 2) + 7);
}

/* Months of snapshots, many of them a second. */
static void test_counts_do_not_wrap(void **state)
{
    struct ipc_histogram a = {.counts[0] = UINT32_MAX}, b = {.counts[0] = UINT32_MAX};
    histogram_add(&a, 0);
    assert_true(a.counts[0] == UINT64_C(1) << 32);
    histogram_merge(&a, &b);
    assert_true(a.counts[0] == (UINT64_C(1) << 33) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds_are_inclusive),
        cmocka_unit_test(test_bounds_rise),
        cmocka_unit_test(test_extremes_and_merge),
        cmocka_unit_test(test_counts_do_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
