/* master/stats_clamp: what a worker says that it has counted. */
#include "master/stats_clamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_honest_reports_stay(void **state)
{
    struct ipc_stats before = {.bytes_in = 1u << 30, .frames_in = 1000, .viewers = 3};
    struct ipc_stats now = before;
    now.bytes_in += 125000000; /* 1 Gbit/s */
    now.frames_in += 10000;
    now.join.counts[3] = 500;
    now.join.sum_us = UINT64_C(500) * 3600 * 1000000; /* viewers that waited for an hour */
    now.width = 7680;
    now.frame_rate_mhz = 240000;
    struct ipc_stats wanted = now;
    stats_clamp(&now, &before, 1000);
    wanted.join.sum_us = now.join.sum_us;
    assert_memory_equal(&now, &wanted, sizeof(now));
}

/* Whatever is said: every counter is never less than before, and 2^64 is centuries away. */
static void test_lies(void **state)
{
    struct ipc_stats before = {0};
    for (int second = 0; second < 1000; second++) {
        struct ipc_stats now;
        memset(&now, second % 2 == 0 ? 0xff : 0, sizeof(now));
        stats_clamp(&now, &before, 1000);
        assert_true(now.bytes_in >= before.bytes_in && now.frames_in >= before.frames_in);
        assert_true(now.join.counts[0] >= before.join.counts[0]);
        assert_true(now.snapshot.sum_us >= before.snapshot.sum_us);
        assert_in_range(now.bytes_in - before.bytes_in, 0, UINT64_C(3000) * STATS_CLAMP_PER_MS);
        assert_in_range(now.transcoder_late, 0, UINT64_C(1) << 46);
        assert_in_range(now.clients_refused, 0, UINT64_C(1) << 46);
        assert_in_range(now.width, 0, 65535);
        before = now;
    }
}

/* An old worker goes on counting; what it had counted for the last program is left out. */
static void test_what_was_counted_before(void **state)
{
    const struct ipc_stats base = {
        .bytes_in = UINT64_C(1) << 40, .clients_refused = 7, .snapshot.counts[2] = 5, .viewers = 3};
    struct ipc_stats now = base;
    now.bytes_in += 1000;
    now.snapshot.counts[2]++;
    now.frames_in = 25;
    now.clients_refused = 6; /* that is impossible */
    now.picture_us = 9;
    stats_subtract(&now, &base);
    assert_int_equal(now.bytes_in, 1000);
    assert_int_equal(now.snapshot.counts[2], 1);
    assert_int_equal(now.frames_in, 25);
    assert_int_equal(now.clients_refused, 0);
    assert_int_equal(now.picture_us, 9);
    assert_int_equal(now.viewers, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_honest_reports_stay),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_what_was_counted_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
