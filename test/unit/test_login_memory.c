/* master/login_memory: what is remembered of logins, and what is dropped when there is no room. */
#include "test/unit/login_rig.h"

#include <stdio.h>

static void test_more_hosts_than_room(void **state)
{
    try_password("rtsp://u:wrong@10.0.0.9/a", false);
    for (int i = 0; i < LOGIN_MAX; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "rtsp://u:wrong@host-%d.lan/", i);
        now_ms++;
        try_password(text, false);
    }
    assert_int_equal(logins.count, LOGIN_MAX);
    assert_int_equal(ask("rtsp://u:wrong@10.0.0.9/a"), LOGIN_ALLOWED); /* the oldest went */
    assert_int_equal(ask("rtsp://u:wrong@host-0.lan/"), LOGIN_REFUSED);
}

/* Somebody who may not guess yet uses other names until his guesses would be forgotten. */
static void test_guesses_are_not_pushed_out(void **state)
{
    for (int i = 0; i < LOGIN_FREE; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "rtsp://u:%d@10.0.0.9/a", i);
        try_password(text, false);
    }
    for (int i = 0; i < 4 * LOGIN_MAX; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "rtsp://u%d:x@10.0.0.9/", i);
        now_ms++;
        try_password(text, i % 2 == 0);
    }
    assert_int_equal(ask("rtsp://u:next@10.0.0.9/a"), LOGIN_WAIT);
    now_ms += LOGIN_FORGIVEN_MS;
    for (int i = 0; i < LOGIN_MAX; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "rtsp://v%d:x@10.0.0.9/", i);
        try_password(text, false);
    }
    assert_int_equal(logins.count, LOGIN_MAX); /* what is forgiven makes room */
    assert_int_equal(ask("rtsp://v0:x@10.0.0.9/"), LOGIN_REFUSED);
}

/* @return may it be tried?  If so, it was, and is wrong. */
static bool guess(const char *user, int number, int password, const char *host)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "rtsp://%s%d:%d@%s/", user, number, password, host);
    now_ms += 60000 / 600; /* as often as a client may start a camera */
    if (ask(text) != LOGIN_ALLOWED)
        return false;
    try_password(text, false);
    return true;
}

/* Somebody fills the memory with users of a host of his own, two wrong passwords of each: one of
 * the victim's user is worth less than any of those. */
static void test_own_users_do_not_push_out_others(void **state)
{
    int64_t filled_ms = now_ms + LOGIN_FORGIVEN_MS;
    unsigned guesses = 0;
    for (int n = 0; now_ms < filled_ms; n++)
        (void)guess("own", n / 2, n % 2, "10.6.6.6");
    for (int n = 0; n < 100; n++) {
        guesses += guess("admin", 0, n, "10.0.0.9");
        (void)guess("more", n, 0, "10.6.6.6");
    }
    assert_int_equal(guesses, LOGIN_FREE);
}

static enum login_verdict ask_channel(const char *kind, unsigned i)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "rtsp://u:p@10.0.0.9/%s/%u", kind, i);
    return ask(text);
}

static void try_channel(const char *kind, unsigned i, bool right)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "rtsp://u:p@10.0.0.9/%s/%u", kind, i);
    try_password(text, right);
}

#define RECORDER_CHANNELS 1024

/* None of those without rights is taken for one that was open, however many there are. */
static void test_many_channels_and_some_without_rights(void **state)
{
    for (unsigned i = 0; i < RECORDER_CHANNELS; i++)
        try_channel("mine", i, true);
    for (unsigned i = 0; i < 64; i++) {
        try_channel("secret", i, false);
        now_ms += LOGIN_WAIT_MAX_MS;
    }
    for (unsigned i = 0; i < RECORDER_CHANNELS; i++)
        assert_int_equal(ask_channel("mine", i), LOGIN_ALLOWED);
}

/* Each has its turn before any has another. */
static void test_a_wrong_password_of_many_channels(void **state)
{
    for (unsigned i = 0; i < RECORDER_CHANNELS; i++) {
        try_channel("any", i, false);
        now_ms += LOGIN_REFUSED_MS;
        assert_int_equal(ask_channel("any", 0), i == 0 ? LOGIN_ALLOWED : LOGIN_REFUSED);
    }
    now_ms += LOGIN_WAIT_MS;
    assert_int_equal(ask_channel("any", 0), LOGIN_ALLOWED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_more_hosts_than_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_guesses_are_not_pushed_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_users_do_not_push_out_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_channels_and_some_without_rights, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_wrong_password_of_many_channels, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
