/* master/client_key, client_share: who is one client, and what it may hold. */
#include "master/client_share.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct client_key key_of(const char *text)
{
    struct client_key key;
    assert_true(client_key_parse(text, &key));
    return key;
}

static void assert_same(const char *a, const char *b, bool same)
{
    struct client_key key_a = key_of(a), key_b = key_of(b);
    assert_int_equal(client_key_equal(&key_a, &key_b), same);
}

static void test_who_is_one_client(void **state)
{
    const struct sockaddr local = {.sa_family = AF_UNIX};
    struct client_key none = client_key_of(&local), zero = key_of("0.0.0.0");
    assert_true(client_key_is_none(&none));
    assert_false(client_key_is_none(&zero));
    assert_false(client_key_parse("10.0.0.1:80", &none));
    assert_false(client_key_parse("", &none));
    assert_same("10.0.0.1", "10.0.0.2", false);
    assert_same("10.0.0.1", "::ffff:10.0.0.1", true);
    assert_same("::ffff:10.0.0.1", "::ffff:10.0.0.2", false);
    assert_same("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true);
    assert_same("2001:db8:0:1::1", "2001:db8:0:2::1", false);
    zero = key_of("::1"); /* a client as any other, though its /64 is all zeros */
    assert_false(client_key_is_none(&zero));
    assert_same("::1", "::ffff:0.0.0.1", false);
}

/* Takes as many as are allowed. */
static size_t take_all(struct client_share *share, const char *address, size_t limit,
                       unsigned percent)
{
    struct client_key key = key_of(address);
    while (client_share_allows(share, &key, limit, percent, CLIENT_SHARE_FLOOR))
        client_share_take(share, &key);
    return client_share_held(share, &key);
}

static void test_each_gets_half_of_the_rest(void **state)
{
    struct client_share share = {0};
    assert_int_equal(take_all(&share, "10.0.0.1", 1000, 50), 500);
    assert_int_equal(take_all(&share, "10.0.0.2", 1000, 50), 250);
    assert_int_equal(take_all(&share, "10.0.0.3", 1000, 50), 125);
    assert_int_equal(take_all(&share, "10.0.0.4", 1000, 50), 64); /* the floor */
    assert_int_equal(take_all(&share, "10.0.0.5", 1000, 50), 61); /* the limit */
    assert_int_equal(share.total, 1000);
    assert_int_equal(take_all(&share, "10.0.0.6", 1000, 50), 0);
    client_share_clear(&share);
}

static void test_bounds(void **state)
{
    struct client_share share = {0};
    struct client_key none = {0};
    assert_int_equal(take_all(&share, "10.0.0.1", 3, 50), 3); /* below the floor */
    client_share_clear(&share);
    assert_int_equal(take_all(&share, "10.0.0.1", 1000, 100), 1000);
    client_share_clear(&share);
    for (int i = 0; i < 900; i++) {
        assert_true(client_share_allows(&share, &none, 1000, 10, CLIENT_SHARE_FLOOR));
        client_share_take(&share, &none);
    }
    client_share_clear(&share);
}

/* The rule is the same for what is counted elsewhere, with a floor of its own. */
static void test_another_floor(void **state)
{
    struct client_key key = key_of("10.0.0.1");
    assert_true(client_share_fair(&key, 3, 3, 6, 50, 4));
    assert_false(client_share_fair(&key, 4, 4, 6, 50, 4));
    assert_true(client_share_fair(&key, 4, 4, 6, 100, 4));
    assert_false(client_share_fair(&key, 6, 6, 6, 100, 64)); /* none is left */
    assert_false(client_share_fair(&key, 2, 8, 10, 50, 0));  /* half of what six left */
    assert_true(client_share_fair(&key, 1, 7, 10, 50, 0));
}

/* Many clients that come and go, compared with an array. */
static void test_many_clients(void **state)
{
    enum { CLIENTS = 500, STEPS = 50000 };
    static size_t held[CLIENTS];
    struct client_share share = {0};
    uint32_t random = 7;
    for (int step = 0; step < STEPS; step++) {
        random = random * 1664525u + 1013904223u;
        unsigned i = (random >> 8) % CLIENTS;
        struct client_key key = {.bits = {1, i}};
        if ((random >> 30) < (step < STEPS / 2 ? 2u : 3u) && held[i] > 0) {
            client_share_give(&share, &key);
            held[i]--;
        } else if (step < STEPS / 2) {
            client_share_take(&share, &key);
            held[i]++;
        }
        assert_int_equal(client_share_held(&share, &key), held[i]);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct client_key key = {.bits = {1, i}};
        assert_int_equal(client_share_held(&share, &key), held[i]);
        while (held[i] > 0) {
            client_share_give(&share, &key);
            held[i]--;
        }
    }
    assert_int_equal(share.total, 0);
    assert_int_equal(share.clients, 0);
    assert_true(share.room <= 16); /* memory went back */
    client_share_clear(&share);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who_is_one_client),
        cmocka_unit_test(test_each_gets_half_of_the_rest),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_another_floor),
        cmocka_unit_test(test_many_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
