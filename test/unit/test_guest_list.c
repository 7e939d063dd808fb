/* master/guest_list: who is at a camera, and that a worker cannot make the count wrong. */
#include "master/guest_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const union address from = {.any.sa_family = AF_INET};
static const struct client_key one = {.bits = {0, 1}}, two = {.bits = {0, 2}};

static void test_counts(void **state)
{
    struct guest_list list = {0};
    struct guest guest;
    uint32_t stream = guest_list_add(&list, &one, &from, IPC_CLIENT_STREAM);
    uint32_t mjpeg = guest_list_add(&list, &one, &from, IPC_CLIENT_MJPEG);
    uint32_t snapshot = guest_list_add(&list, &two, &from, IPC_CLIENT_SNAPSHOT);
    assert_int_equal(list.count, 3);
    assert_int_equal(list.viewers.total, 2);
    assert_int_equal(client_share_held(&list.pictures, &one), 1);
    assert_int_equal(client_share_held(&list.pictures, &two), 1);

    assert_true(guest_list_remove(&list, mjpeg, &guest));
    assert_int_equal(guest.kind, IPC_CLIENT_MJPEG);
    assert_true(client_key_equal(&guest.client, &one));
    assert_int_equal(guest.from.any.sa_family, AF_INET);
    assert_int_equal(list.viewers.total, 1);
    assert_int_equal(client_share_held(&list.pictures, &one), 0);
    assert_true(guest_list_remove(&list, snapshot, &guest));
    assert_true(guest_list_remove(&list, stream, &guest));
    assert_int_equal(list.count + list.viewers.total + list.pictures.total, 0);
    guest_list_clear(&list);
}

static void test_wrong_tickets(void **state)
{
    struct guest_list list = {0};
    struct guest guest;
    assert_false(guest_list_remove(&list, 0, &guest));
    uint32_t ticket = guest_list_add(&list, &one, &from, IPC_CLIENT_STREAM);
    assert_false(guest_list_remove(&list, ticket + 1, &guest));
    assert_false(guest_list_remove(&list, UINT32_MAX, &guest));
    assert_true(guest_list_remove(&list, ticket, &guest));
    assert_false(guest_list_remove(&list, ticket, &guest)); /* twice */
    assert_int_equal(list.count, 0);
    guest_list_clear(&list);
}

/* Tickets are used again, so a list is as long as there were guests at once. */
static void test_many(void **state)
{
    struct guest_list list = {0};
    struct guest guest;
    for (int round = 0; round < 100; round++) {
        for (int i = 0; i < 100; i++)
            assert_true(guest_list_add(&list, &one, &from, IPC_CLIENT_SNAPSHOT) < 128);
        assert_int_equal(list.count, 100);
        for (uint32_t t = guest_list_any(&list); t < list.room; t = guest_list_any(&list))
            assert_true(guest_list_remove(&list, t, &guest));
        assert_int_equal(list.count, 0);
    }
    assert_true(list.room <= 128);
    guest_list_clear(&list);
}

/* Guests of another program's worker keep their tickets. */
static void test_tickets_from_before(void **state)
{
    struct guest_list list = {0};
    struct guest guest;
    static const uint32_t tickets[] = {2, 7, 8, 40, 3};
    for (size_t i = 0; i < sizeof(tickets) / sizeof(tickets[0]); i++)
        assert_non_null(guest_list_put(&list, tickets[i], &one, &from, IPC_CLIENT_STREAM));
    assert_null(guest_list_put(&list, 7, &one, &from, IPC_CLIENT_STREAM)); /* twice */
    assert_null(guest_list_put(&list, UINT32_MAX, &one, &from, IPC_CLIENT_STREAM));
    assert_int_equal(list.viewers.total, 5);
    bool seen[256] = {false};
    for (int i = 0; i < 200; i++) {
        uint32_t ticket = guest_list_add(&list, &one, &from, IPC_CLIENT_SNAPSHOT);
        assert_true(ticket < 256 && !seen[ticket]);
        seen[ticket] = true;
    }
    for (size_t i = 0; i < sizeof(tickets) / sizeof(tickets[0]); i++) {
        assert_false(seen[tickets[i]]);
        assert_true(guest_list_remove(&list, tickets[i], &guest));
        assert_int_equal(guest.kind, IPC_CLIENT_STREAM);
    }
    assert_int_equal(list.count, 200);
    guest_list_clear(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts),
        cmocka_unit_test(test_wrong_tickets),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_tickets_from_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
