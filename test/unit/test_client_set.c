/* worker/http/client_set: grows, and keeps what was not removed. */
#include "worker/http/client_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define CLIENTS 100

static bool has(const struct client_set *set, const void *client)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->items[i] == client)
            return true;
    }
    return false;
}

static void test_keeps_what_is_not_removed(void **state)
{
    (void)state;
    struct client_set set = {0};
    char clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++)
        client_set_add(&set, &clients[i]);
    assert_int_equal(set.count, CLIENTS);
    for (int i = 0; i < CLIENTS; i += 2)
        client_set_remove(&set, &clients[i]);
    assert_int_equal(set.count, CLIENTS / 2);
    for (int i = 0; i < CLIENTS; i++)
        assert_int_equal(has(&set, &clients[i]), i % 2);
    client_set_remove(&set, &clients[0]); /* not there any more */
    assert_int_equal(set.count, CLIENTS / 2);
    client_set_clear(&set);
    assert_int_equal(set.count, 0);
    client_set_add(&set, &clients[0]);
    assert_true(has(&set, &clients[0]));
    client_set_clear(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_keeps_what_is_not_removed)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
