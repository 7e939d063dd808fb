/* master/login_guard: which passwords may be tried at a camera, and when. */
#include "test/unit/login_rig.h"

#include <stdio.h>

static void test_a_wrong_password_is_not_sent_again(void **state)
{
    try_password("rtsp://u:wrong@10.0.0.9/a", false);
    assert_int_equal(ask("rtsp://u:wrong@10.0.0.9/a"), LOGIN_REFUSED);
    assert_int_equal(ask("rtsp://u:wrong@10.0.0.9/b?c"), LOGIN_REFUSED); /* nor for another path */
    assert_int_equal(ask("rtsp://u:wrong@10.0.0.8/a"), LOGIN_ALLOWED);
    assert_int_equal(ask("rtsp://v:wrong@10.0.0.9/a"), LOGIN_ALLOWED);
    assert_int_equal(ask("rtsp://10.0.0.9/a"), LOGIN_ALLOWED);
    now_ms += LOGIN_REFUSED_MS - 1;
    assert_int_equal(ask("rtsp://u:wrong@10.0.0.9/a"), LOGIN_REFUSED);
    now_ms++;
    assert_int_equal(ask("rtsp://u:wrong@10.0.0.9/a"), LOGIN_ALLOWED);
}

/* Who mistypes it can try again at once; who guesses cannot. */
static void test_others_have_to_wait(void **state)
{
    for (int i = 0; i < LOGIN_FREE; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "rtsp://u:%d@10.0.0.9/a", i);
        try_password(text, false);
    }
    for (int64_t wait = LOGIN_WAIT_MS; wait <= LOGIN_WAIT_MAX_MS; wait *= 2) {
        char text[64];
        (void)snprintf(text, sizeof(text), "rtsp://u:next-%lld@10.0.0.9/a", (long long)wait);
        assert_int_equal(ask(text), LOGIN_WAIT);
        now_ms += wait - 1;
        assert_int_equal(ask(text), LOGIN_WAIT);
        now_ms++;
        try_password(text, false);
    }
    now_ms += LOGIN_FORGIVEN_MS;
    for (int i = 0; i < LOGIN_FREE; i++)
        assert_int_equal(ask("rtsp://u:again@10.0.0.9/a"), LOGIN_ALLOWED);
}

/* Of one host. */
static void test_spellings_of_an_address(void **state)
{
    static const char *const hosts[] = {"10.0.0.9", "[::ffff:10.0.0.9]", "[::ffff:a00:9]",
                                        "[0::FFFF:A00:9]"};
    static const char *const names[] = {"nvr.lan", "NVR.lan", "nvr.lan."};
    char text[64];
    for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
        (void)snprintf(text, sizeof(text), "rtsp://u:%zu@%s/a", i, hosts[i]);
        assert_int_equal(ask(text), i < LOGIN_FREE ? LOGIN_ALLOWED : LOGIN_WAIT);
        if (i < LOGIN_FREE)
            try_password(text, false);
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(text, sizeof(text), "rtsp://u:%zu@%s/a", i, names[i]);
        try_password(text, false);
    }
    assert_int_equal(ask("rtsp://u:4@nvr.lan/a"), LOGIN_WAIT);
    assert_int_equal(ask("rtsp://u:4@[2001:db8::9]/a"), LOGIN_ALLOWED);
    try_password("rtsp://u:4@[2001:db8::9]/a", false);
    assert_int_equal(ask("rtsp://u:4@[2001:DB8:0::9]/a"), LOGIN_REFUSED);
}

/* All at once, before the camera has answered. */
static void test_those_being_tried_count(void **state)
{
    static const char *const texts[] = {"rtsp://u:1@h.lan/", "rtsp://u:2@h.lan/",
                                        "rtsp://u:3@h.lan/"};
    struct camera_url urls[LOGIN_FREE];
    for (int i = 0; i < LOGIN_FREE; i++) {
        urls[i] = url_of(texts[i]);
        assert_int_equal(ask(texts[i]), LOGIN_ALLOWED);
        login_guard_begin(&logins, &urls[i], now_ms);
    }
    assert_int_equal(ask("rtsp://u:4@h.lan/"), LOGIN_WAIT);
    assert_int_equal(ask("rtsp://u:1@h.lan/other"), LOGIN_ALLOWED); /* a channel of the same */
    login_guard_end(&logins, &urls[0]);                             /* left without an answer */
    assert_int_equal(ask("rtsp://u:4@h.lan/"), LOGIN_ALLOWED);
}

/* A recorder with many channels and one password. */
static void test_a_right_password_is_never_held_up(void **state)
{
    try_password("rtsp://u:right@10.0.0.9/1", true);
    for (int i = 0; i < LOGIN_FREE; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "rtsp://u:%d@10.0.0.9/a", i);
        try_password(text, false);
    }
    assert_int_equal(ask("rtsp://u:guess@10.0.0.9/a"), LOGIN_WAIT);
    for (int i = 0; i < 100; i++)
        assert_int_equal(ask("rtsp://u:right@10.0.0.9/2"), LOGIN_ALLOWED);
    /* no rights for one channel: the others go on */
    try_password("rtsp://u:right@10.0.0.9/secret", false);
    assert_int_equal(ask("rtsp://u:right@10.0.0.9/2"), LOGIN_ALLOWED);
}

static void begin(const char *text)
{
    struct camera_url url = url_of(text);
    login_guard_begin(&logins, &url, now_ms);
}

static void end(const char *text)
{
    struct camera_url url = url_of(text);
    login_guard_end(&logins, &url);
}

static bool is_awaited(const char *text)
{
    struct camera_url url = url_of(text);
    return login_guard_is_awaited(&logins, &url, now_ms);
}

/* Twelve cameras of a recorder with the same password. */
static void test_one_of_many_asks(void **state)
{
    struct camera_url first = url_of("rtsp://u:p@10.0.0.9/1");
    assert_false(is_awaited("rtsp://u:p@10.0.0.9/1"));
    begin("rtsp://u:p@10.0.0.9/1");
    assert_true(is_awaited("rtsp://u:p@10.0.0.9/2"));
    assert_false(is_awaited("rtsp://u:other@10.0.0.9/2"));
    assert_false(is_awaited("rtsp://v:p@10.0.0.9/2"));
    assert_false(is_awaited("rtsp://u:p@10.0.0.8/2"));
    now_ms += 2 * LOGIN_TURN_MS; /* its worker is slow to start, the camera has not been asked */
    assert_true(is_awaited("rtsp://u:p@10.0.0.9/2"));
    login_guard_connects(&logins, &first, now_ms);
    now_ms += LOGIN_TURN_MS - 1;
    assert_true(is_awaited("rtsp://u:p@10.0.0.9/2"));
    now_ms++; /* a silent camera */
    assert_false(is_awaited("rtsp://u:p@10.0.0.9/2"));
    begin("rtsp://u:p@10.0.0.9/2"); /* has its turn */
    assert_true(is_awaited("rtsp://u:p@10.0.0.9/3"));
    end("rtsp://u:p@10.0.0.9/1");
    end("rtsp://u:p@10.0.0.9/2"); /* an answer about something else */
    assert_false(is_awaited("rtsp://u:p@10.0.0.9/3"));
}

/* It may be slow to reject a password: some hosts are, on purpose. */
static void test_a_silent_host_has_three_to_answer(void **state)
{
    for (int i = 0; i < LOGIN_FREE; i++) {
        struct camera_url url = url_of("rtsp://u:p@10.0.0.9/1");
        assert_false(is_awaited("rtsp://u:p@10.0.0.9/1"));
        begin("rtsp://u:p@10.0.0.9/1");
        login_guard_connects(&logins, &url, now_ms);
        now_ms += LOGIN_TURN_MS;
    }
    assert_true(is_awaited("rtsp://u:p@10.0.0.9/1"));
    end("rtsp://u:p@10.0.0.9/1");
    assert_false(is_awaited("rtsp://u:p@10.0.0.9/1"));
}

static void test_nobody_waits_when_it_is_right(void **state)
{
    begin("rtsp://10.0.0.9/1");
    assert_false(is_awaited("rtsp://10.0.0.9/2")); /* no password */
    try_password("rtsp://u:p@10.0.0.9/1", true);
    begin("rtsp://u:p@10.0.0.9/1");
    assert_false(is_awaited("rtsp://u:p@10.0.0.9/2"));
    try_password("rtsp://u:p@10.0.0.9/3", false); /* rejected since */
    assert_true(is_awaited("rtsp://u:p@10.0.0.9/2"));
}

/* Not one of its paths is opened any more: it is not the rights. */
static void test_many_paths_after_the_password_was_changed(void **state)
{
    unsigned sent = 0;
    char text[64];
    for (int i = 0; i < 64; i++) {
        (void)snprintf(text, sizeof(text), "rtsp://u:p@10.0.0.9/%d", i);
        try_password(text, true);
    }
    for (int i = 0; i < 64; i++) {
        (void)snprintf(text, sizeof(text), "rtsp://u:p@10.0.0.9/%d", i);
        if (ask(text) != LOGIN_ALLOWED)
            continue;
        try_password(text, false);
        sent++;
    }
    assert_int_equal(sent, LOGIN_FREE);
    assert_int_equal(ask("rtsp://u:p@10.0.0.9/new"), LOGIN_REFUSED);
    now_ms += LOGIN_REFUSED_MS;
    try_password("rtsp://u:p@10.0.0.9/9", true); /* changed back */
    assert_int_equal(ask("rtsp://u:p@10.0.0.9/new"), LOGIN_ALLOWED);
}

/* The user has no rights for some: those that it has stay open, however many are tried. */
static void test_many_paths_without_rights(void **state)
{
    unsigned sent = 0;
    char text[64];
    try_password("rtsp://u:p@10.0.0.9/mine", true);
    for (int i = 0; i < 32; i++) {
        (void)snprintf(text, sizeof(text), "rtsp://u:p@10.0.0.9/%d", i);
        if (ask(text) != LOGIN_ALLOWED)
            continue;
        try_password(text, false);
        sent++;
    }
    assert_int_equal(sent, LOGIN_FREE);
    assert_int_equal(ask("rtsp://u:p@10.0.0.9/31"), LOGIN_REFUSED);
    assert_int_equal(ask("rtsp://u:p@10.0.0.9/mine"), LOGIN_ALLOWED);
    now_ms += LOGIN_WAIT_MS; /* as another password */
    assert_int_equal(ask("rtsp://u:p@10.0.0.9/31"), LOGIN_ALLOWED);
    try_password("rtsp://u:p@10.0.0.9/30", false);
    assert_int_equal(ask("rtsp://u:p@10.0.0.9/31"), LOGIN_REFUSED);
    try_password("rtsp://u:p@10.0.0.9/mine", true);
    assert_int_equal(ask("rtsp://u:p@10.0.0.9/31"), LOGIN_ALLOWED);
}

/* Somebody guesses meanwhile: that delays no path of a password that was accepted. */
static void test_guesses_and_paths_without_rights(void **state)
{
    char text[64];
    try_password("rtsp://u:p@10.0.0.9/mine", true);
    for (int i = 0; i < LOGIN_FREE; i++) {
        (void)snprintf(text, sizeof(text), "rtsp://u:p@10.0.0.9/%d", i);
        try_password(text, false);
    }
    now_ms += LOGIN_WAIT_MS;
    try_password("rtsp://u:guess@10.0.0.9/", false);
    struct camera_url url = url_of("rtsp://u:another@10.0.0.9/");
    login_guard_begin(&logins, &url, now_ms);
    assert_int_equal(ask("rtsp://u:p@10.0.0.9/new"), LOGIN_ALLOWED);
    try_password("rtsp://u:p@10.0.0.9/new", false);
    assert_int_equal(ask("rtsp://u:p@10.0.0.9/0"), LOGIN_REFUSED);
}

/* There is room for LOGIN_PASSWORDS: the right one stays. */
static void test_many_guesses_and_a_right_password(void **state)
{
    char text[64];
    try_password("rtsp://u:right@10.0.0.9/1", true);
    for (int i = 0; i < 3 * LOGIN_PASSWORDS; i++) {
        (void)snprintf(text, sizeof(text), "rtsp://u:guess-%d@10.0.0.9/", i);
        if (ask(text) != LOGIN_ALLOWED)
            now_ms += LOGIN_WAIT_MAX_MS;
        try_password(text, false);
    }
    assert_int_equal(ask("rtsp://u:another@10.0.0.9/"), LOGIN_WAIT);
    assert_int_equal(ask("rtsp://u:right@10.0.0.9/2"), LOGIN_ALLOWED);
}

/* An operator's program ends connections before a slow camera has answered. */
static void test_left_without_an_answer(void **state)
{
    struct camera_url url = url_of("rtsp://u:p@10.0.0.9/1");
    for (int i = 0; i < LOGIN_FREE; i++) {
        assert_int_equal(ask("rtsp://u:p@10.0.0.9/1"), LOGIN_ALLOWED);
        login_guard_begin(&logins, &url, now_ms);
        login_guard_left(&logins, &url, now_ms);
        login_guard_end(&logins, &url);
    }
    assert_int_equal(ask("rtsp://u:p@10.0.0.9/2"), LOGIN_REFUSED);
    assert_int_equal(ask("rtsp://u:another@10.0.0.9/1"), LOGIN_WAIT);
    now_ms += LOGIN_WAIT_MS;
    try_password("rtsp://u:p@10.0.0.9/2", true);
    login_guard_left(&logins, &url, now_ms);
    assert_int_equal(ask("rtsp://u:p@10.0.0.9/1"), LOGIN_ALLOWED);
}

/* The first camera of a wall that is asked lacks rights: another one tries after a minute. */
static void test_one_without_rights_asks_first(void **state)
{
    try_password("rtsp://u:p@10.0.0.9/secret", false);
    assert_int_equal(ask("rtsp://u:p@10.0.0.9/2"), LOGIN_REFUSED);
    now_ms += LOGIN_WAIT_MS - 1;
    assert_int_equal(ask("rtsp://u:p@10.0.0.9/2"), LOGIN_REFUSED);
    now_ms++;
    assert_int_equal(ask("rtsp://u:p@10.0.0.9/secret"), LOGIN_REFUSED);
    try_password("rtsp://u:p@10.0.0.9/2", true);
    assert_int_equal(ask("rtsp://u:p@10.0.0.9/3"), LOGIN_ALLOWED);
}

#define CHANNELS 24

struct sent {
    unsigned at_once; /* within LOGIN_REFUSED_MS */
    unsigned all;
    unsigned of_each[CHANNELS];
};

/* All channels of a recorder ask every second, always in the same order. */
static struct sent ask_for(int64_t ms)
{
    struct sent sent = {0};
    for (int64_t end_ms = now_ms + ms, start_ms = now_ms; now_ms < end_ms; now_ms += 1000) {
        for (int i = 0; i < CHANNELS; i++) {
            char text[64];
            (void)snprintf(text, sizeof(text), "rtsp://u:wrong@10.0.0.9/%d", i);
            if (ask(text) != LOGIN_ALLOWED)
                continue;
            try_password(text, false);
            sent.at_once += now_ms - start_ms < LOGIN_REFUSED_MS;
            sent.all++;
            sent.of_each[i]++;
        }
    }
    return sent;
}

static void test_a_wrong_password_of_many_paths(void **state)
{
    int64_t ms = 2 * CHANNELS * LOGIN_REFUSED_MS;
    struct sent sent = ask_for(ms);
    assert_int_equal(sent.at_once, LOGIN_FREE);
    assert_in_range(sent.all, CHANNELS, LOGIN_FREE + ms / LOGIN_REFUSED_MS);
    for (int i = 0; i < CHANNELS; i++)
        assert_in_range(sent.of_each[i], 1, 3);
}

/* Somebody guesses at the same time: that is an attempt, too. */
static void test_guesses_and_a_wrong_password(void **state)
{
    try_password("rtsp://u:guess-1@10.0.0.9/0", false);
    try_password("rtsp://u:guess-2@10.0.0.9/0", false);
    assert_int_equal(ask_for(LOGIN_REFUSED_MS).all, 1);
}

static int64_t refused_for(const char *text)
{
    struct camera_url url = url_of(text);
    int64_t until_ms = login_guard_refused_until_ms(&logins, &url);
    return until_ms == 0 ? 0 : until_ms - now_ms;
}

static void test_until_when(void **state)
{
    assert_int_equal(refused_for("rtsp://u:p@10.0.0.9/1"), 0);
    assert_int_equal(refused_for("rtsp://10.0.0.9/1"), 0);
    try_password("rtsp://u:p@10.0.0.9/1", false);
    assert_int_equal(refused_for("rtsp://u:p@10.0.0.9/1"), LOGIN_REFUSED_MS);
    assert_int_equal(refused_for("rtsp://u:p@10.0.0.9/2"), LOGIN_WAIT_MS);
    now_ms += LOGIN_WAIT_MS;
    try_password("rtsp://u:p@10.0.0.9/2", false);
    assert_int_equal(refused_for("rtsp://u:p@10.0.0.9/1"), LOGIN_REFUSED_MS + LOGIN_WAIT_MS);
    now_ms += LOGIN_WAIT_MS;
    try_password("rtsp://u:p@10.0.0.9/3", true);
    assert_int_equal(refused_for("rtsp://u:p@10.0.0.9/4"), 0);
    for (const char *path = "567"; *path != '\0'; path++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "rtsp://u:p@10.0.0.9/%c", *path);
        try_password(text, false);
    }
    assert_int_equal(ask("rtsp://u:p@10.0.0.9/4"), LOGIN_REFUSED);
    now_ms += refused_for("rtsp://u:p@10.0.0.9/4") - 1;
    assert_int_equal(ask("rtsp://u:p@10.0.0.9/4"), LOGIN_REFUSED);
    now_ms++;
    assert_int_equal(ask("rtsp://u:p@10.0.0.9/4"), LOGIN_ALLOWED);
}

static void test_forgive(void **state)
{
    struct camera_url url = url_of("rtsp://u:0@10.0.0.9/a");
    for (int i = 0; i < LOGIN_FREE; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "rtsp://u:%d@10.0.0.9/a", i);
        try_password(text, false);
    }
    assert_int_equal(ask("rtsp://u:0@10.0.0.9/a"), LOGIN_REFUSED);
    assert_false(login_guard_forgive(&logins, &url, false, now_ms));
    assert_int_equal(ask("rtsp://u:0@10.0.0.9/a"), LOGIN_REFUSED);
    now_ms += LOGIN_WAIT_MS;
    assert_true(login_guard_forgive(&logins, &url, false, now_ms));
    assert_int_equal(ask("rtsp://u:1@10.0.0.9/a"), LOGIN_REFUSED); /* that was about one */
    try_password("rtsp://u:0@10.0.0.9/a", false);
    assert_int_equal(ask("rtsp://u:new@10.0.0.9/a"), LOGIN_WAIT);
}

/* However often an operator's program asks, the camera hears of three, then of one in minutes. */
static void test_forgiven_again_and_again(void **state)
{
    struct camera_url url = url_of("rtsp://u:wrong@10.0.0.9/a");
    unsigned tried = 0;
    int64_t end_ms = now_ms + LOGIN_FORGIVEN_MS;
    for (; now_ms < end_ms; now_ms += 1000) {
        if (!login_guard_forgive(&logins, &url, false, now_ms))
            continue;
        try_password("rtsp://u:wrong@10.0.0.9/a", false);
        tried++;
    }
    assert_int_equal(tried, LOGIN_FREE + 3); /* after 1, 2 and 4 minutes */
    url = url_of("rtsp://10.0.0.9/a");       /* no account that could be locked */
    assert_true(login_guard_forgive(&logins, &url, false, now_ms));
}

/* A password that was right until somebody changed it. */
static void test_right_before_forgiven_again_and_again(void **state)
{
    struct camera_url url = url_of("rtsp://u:before@10.0.0.9/a");
    unsigned tried = 0;
    int64_t end_ms = now_ms + LOGIN_FORGIVEN_MS;
    try_password("rtsp://u:before@10.0.0.9/a", true);
    for (; now_ms < end_ms; now_ms += 1000) {
        if (!login_guard_forgive(&logins, &url, tried > 0, now_ms))
            continue;
        try_password("rtsp://u:before@10.0.0.9/a", false);
        tried++;
    }
    assert_int_equal(tried, LOGIN_FREE + 3); /* as one that was always wrong */
    assert_true(login_guard_forgive(&logins, &url, false, now_ms));
}

/* When a recorder's password was changed, those that wait are found by this. */
static void test_same_login(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"rtsp://u:p@nvr.lan/1", "rtsp://u:p@NVR.lan./2", true},
        {"rtsp://u:p@10.0.0.9/1", "rtsp://u:p@[::ffff:a00:9]/2", true},
        {"rtsp://u:p@[2001:db8::9]/1", "rtsp://u:p@[2001:DB8:0::9]/2", true},
        {"rtsp://u:p@nvr.lan/1", "rtsp://u:q@nvr.lan./1", false},
        {"rtsp://u:p@nvr.lan/1", "rtsp://v:p@nvr.lan/1", false},
        {"rtsp://u:p@nvr.lan/1", "rtsp://u:p@nvr.lan:555/1", false},
        {"rtsp://u:p@nvr.lan/1", "rtsp://u:p@nvr2.lan/1", false},
        {"rtsp://nvr.lan/1", "rtsp://nvr.lan/1", false}, /* no password */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct camera_url a = url_of(cases[i].a), b = url_of(cases[i].b);
        assert_int_equal(login_is_same(&a, &b), cases[i].same);
        assert_int_equal(login_is_same(&b, &a), cases[i].same);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_wrong_password_is_not_sent_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_others_have_to_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(test_spellings_of_an_address, setup, teardown),
        cmocka_unit_test_setup_teardown(test_those_being_tried_count, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_right_password_is_never_held_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_of_many_asks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_silent_host_has_three_to_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_waits_when_it_is_right, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_paths_after_the_password_was_changed, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_many_paths_without_rights, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_without_rights_asks_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_wrong_password_of_many_paths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_guesses_and_a_wrong_password, setup, teardown),
        cmocka_unit_test_setup_teardown(test_until_when, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forgive, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forgiven_again_and_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_right_before_forgiven_again_and_again, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_guesses_and_paths_without_rights, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_guesses_and_a_right_password, setup, teardown),
        cmocka_unit_test_setup_teardown(test_left_without_an_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_same_login, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
