/* master/takeover, client_fields, and what visits and passwords become in the next program. */
#include "master/takeover.h"

#include "common/clock.h"
#include "common/fd.h"
#include "master/client_fields.h"
#include "master/login_guard.h"
#include "master/login_takeover.h"
#include "master/visit.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static const int no_listeners[TAKEOVER_LISTENERS] = {-1, -1};

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) != -1;
}

static bool survives(int fd)
{
    return (fcntl(fd, F_GETFD) & FD_CLOEXEC) == 0;
}

/* Finish, as if execve() had followed. */
static struct takeover *hand_over(struct takeover_writer *w, const int *listeners)
{
    struct takeover *t = NULL;
    int memory = takeover_finish(w, listeners);
    assert_true(memory > 0);
    assert_true(survives(memory));
    takeover_writer_free(w, true);
    assert_int_equal(takeover_read(memory, &t), TAKEOVER_THERE);
    assert_false(is_open(memory));
    return t;
}

static void test_records_come_in_order(void **state)
{
    (void)state;
    struct takeover_writer w = {0};
    struct takeover_record r;
    uint64_t number = 7, longer[2];
    for (uint64_t i = 0; i < 1000; i++)
        takeover_put(&w, TAKEOVER_CAMERA, &i, sizeof(i), "tail", i % 5);
    takeover_put(&w, TAKEOVER_SERVER, NULL, 0, NULL, 0);
    struct takeover *t = hand_over(&w, no_listeners);
    for (uint64_t i = 0; i < 1000; i++) {
        assert_true(takeover_next(t, &r));
        assert_int_equal(r.type, TAKEOVER_CAMERA);
        takeover_get(&r, &number, sizeof(number));
        assert_int_equal(number, i);
        takeover_get(&r, longer, sizeof(longer)); /* of a version that knows more */
        assert_int_equal(longer[0], i);
        assert_int_equal(longer[1], 0);
        assert_int_equal(r.tail_len, i % 5);
        assert_memory_equal(r.tail, "tail", r.tail_len);
    }
    assert_true(takeover_next(t, &r));
    assert_int_equal(r.type, TAKEOVER_SERVER);
    assert_false(takeover_next(t, &r));
    assert_int_equal(takeover_listener(t, 0), -1);
    takeover_close(&t);
}

static void test_descriptors_survive_once(void **state)
{
    (void)state;
    struct takeover_writer w = {0};
    int claimed[2], unclaimed[2], listeners[2];
    assert_int_equal(pipe2(claimed, O_CLOEXEC), 0);
    assert_int_equal(pipe2(unclaimed, O_CLOEXEC), 0);
    assert_int_equal(pipe2(listeners, O_CLOEXEC), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(takeover_pass(&w, claimed[i]), claimed[i]);
        (void)takeover_pass(&w, unclaimed[i]);
    }
    int memory = takeover_finish(&w, listeners);
    assert_true(survives(claimed[0]) && survives(unclaimed[1]) && survives(listeners[0]));
    takeover_writer_free(&w, true);

    struct takeover *t;
    assert_int_equal(takeover_read(memory, &t), TAKEOVER_THERE);
    assert_false(survives(claimed[0]) || survives(unclaimed[1]) || survives(listeners[0]));
    assert_int_equal(takeover_claim(t, claimed[0]), claimed[0]);
    assert_int_equal(takeover_claim(t, claimed[0]), -1);
    assert_int_equal(takeover_claim(t, claimed[1]), claimed[1]);
    assert_int_equal(takeover_claim(t, -1), -1);
    assert_int_equal(takeover_claim(t, 1 << 20), -1);
    assert_int_equal(takeover_claim(t, STDERR_FILENO), -1);
    assert_int_equal(takeover_listener(t, 0), listeners[0]);
    takeover_close(&t);
    assert_true(is_open(claimed[0]) && is_open(claimed[1]) && is_open(listeners[0]));
    assert_false(is_open(unclaimed[0]) || is_open(unclaimed[1]) || is_open(listeners[1]));
    fd_close(&claimed[0]);
    fd_close(&claimed[1]);
    fd_close(&listeners[0]);
}

static void test_a_failure_leaves_nothing_open(void **state)
{
    (void)state;
    struct takeover_writer w = {0};
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    (void)takeover_pass(&w, ends[0]);
    int memory = takeover_finish(&w, no_listeners);
    assert_true(survives(ends[0]) && survives(memory));
    takeover_writer_free(&w, false); /* execve() has failed */
    assert_false(survives(ends[0]) || survives(memory));
    fd_close(&memory);
    fd_close(&ends[0]);
    fd_close(&ends[1]);
}

/* A memory with this head and nothing else. */
static int memory_of(const struct takeover_head *head, size_t len, bool sealed)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(write(fd, head, len), len);
    if (sealed)
        assert_int_equal(
            fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL), 0);
    return fd;
}

static void test_another_version_keeps_the_listeners(void **state)
{
    (void)state;
    struct takeover_head head = {.version = TAKEOVER_VERSION + 1};
    struct takeover *t;
    struct takeover_record r;
    int fds[2];
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    memcpy(head.magic, TAKEOVER_MAGIC, sizeof(head.magic));
    head.listeners[0] = fds[0];
    head.listeners[1] = -1;
    head.highest = fds[1];
    int memory = memory_of(&head, sizeof(head), true);
    assert_int_equal(takeover_read(memory, &t), TAKEOVER_UNKNOWN);
    assert_false(takeover_next(t, &r));
    assert_int_equal(takeover_listener(t, 0), fds[0]);
    assert_int_equal(takeover_listener(t, 1), -1);
    takeover_close(&t);
    assert_false(is_open(fds[1])); /* a client, perhaps: nobody can serve it */
    fd_close(&fds[0]);
}

static void test_other_memory_is_not_believed(void **state)
{
    (void)state;
    struct takeover_head head = {.version = TAKEOVER_VERSION, .listeners = {-1, -1}};
    struct takeover *t;
    int fd = memory_of(&head, sizeof(head), true);
    assert_int_equal(takeover_read(fd, &t), TAKEOVER_BROKEN); /* no magic */
    assert_null(t);
    fd_close(&fd);
    memcpy(head.magic, TAKEOVER_MAGIC, sizeof(head.magic));
    fd = memory_of(&head, sizeof(head), false); /* somebody may still write to it */
    assert_int_equal(takeover_read(fd, &t), TAKEOVER_BROKEN);
    assert_true(is_open(fd)); /* whose it is, nobody knows */
    fd_close(&fd);
    fd = memory_of(&head, sizeof(head) - 1, true);
    assert_int_equal(takeover_read(fd, &t), TAKEOVER_BROKEN);
    fd_close(&fd);
    head.highest = INT32_MAX;
    fd = memory_of(&head, sizeof(head), true);
    assert_int_equal(takeover_read(fd, &t), TAKEOVER_BROKEN);
    assert_int_equal(takeover_read(STDERR_FILENO, &t), TAKEOVER_BROKEN);
    assert_int_equal(takeover_read(1 << 20, &t), TAKEOVER_BROKEN);
}

static void test_lengths_that_lie_end_the_records(void **state)
{
    (void)state;
    struct {
        struct takeover_head head;
        uint32_t prefix[4];
    } memory = {{.version = TAKEOVER_VERSION, .listeners = {-1, -1}},
                {TAKEOVER_CAMERA, UINT32_MAX, UINT32_MAX, 0}};
    struct takeover *t;
    struct takeover_record r;
    memcpy(memory.head.magic, TAKEOVER_MAGIC, sizeof(memory.head.magic));
    int fd = memory_of(&memory.head, sizeof(memory), true);
    assert_int_equal(takeover_read(fd, &t), TAKEOVER_THERE);
    assert_false(takeover_next(t, &r));
    assert_false(takeover_next(t, &r));
    takeover_close(&t);
}

static void test_the_variable_is_used_once(void **state)
{
    (void)state;
    struct takeover *t;
    char number[16];
    struct takeover_writer w = {0};
    assert_int_equal(takeover_open(&t), TAKEOVER_NONE);
    (void)setenv(TAKEOVER_VARIABLE, "nonsense", 1);
    assert_int_equal(takeover_open(&t), TAKEOVER_BROKEN);
    assert_int_equal(takeover_open(&t), TAKEOVER_NONE);
    int memory = takeover_finish(&w, no_listeners);
    takeover_writer_free(&w, true);
    (void)snprintf(number, sizeof(number), "%d", memory);
    (void)setenv(TAKEOVER_VARIABLE, number, 1);
    assert_int_equal(takeover_open(&t), TAKEOVER_THERE);
    assert_null(getenv(TAKEOVER_VARIABLE));
    takeover_close(&t);
}

/* --- requests ---------------------------------------------------------------- */

static void fill(struct ipc_client *client)
{
    memset(client, 0, sizeof(*client));
    client->conn_id = UINT64_C(0x1122334455667788);
    client->accepted_us = -1;
    client->kind = IPC_CLIENT_SNAPSHOT;
    client->quality = 0x01000000; /* only its last byte is set */
    client->keep = 1;
    client->head_bytes = 3;
    client->rest_bytes = 2;
    (void)snprintf(client->peer, sizeof(client->peer), "[::1]:5");
    memset(client->camera, 'c', sizeof(client->camera) - 1);
    memcpy(client->bytes, "GET..", 5);
}

static void test_a_request_is_the_same_again(void **state)
{
    (void)state;
    struct ipc_client before, after;
    uint8_t bytes[CLIENT_FIELDS_MAX];
    fill(&before);
    size_t len = client_fields_write(&before, bytes);
    assert_true(client_fields_read(bytes, len, &after));
    assert_memory_equal(&before, &after, sizeof(before));
    memset(&before, 0xff, sizeof(before));
    assert_true(client_fields_write(&before, bytes) <= CLIENT_FIELDS_MAX);
    assert_false(client_fields_read(bytes, 4, &after));
}

/* Fails when struct ipc_client has a member that client_fields.c does not name. */
static void test_no_member_is_forgotten(void **state)
{
    (void)state;
    struct ipc_client before, after;
    uint8_t bytes[CLIENT_FIELDS_MAX];
    memset(&before, 1, sizeof(before));
    before.kind = IPC_CLIENT_SNAPSHOT;
    before.head_bytes = 1000;
    before.rest_bytes = sizeof(before.bytes) - before.head_bytes;
    assert_true(client_fields_read(bytes, client_fields_write(&before, bytes), &after));
    before.ticket = before.resumed = 0; /* the next worker's */
    assert_memory_equal(&before, &after, sizeof(before));
}

static void test_any_cut_of_a_request_is_refused_or_read(void **state)
{
    (void)state;
    struct ipc_client before, after;
    uint8_t bytes[CLIENT_FIELDS_MAX];
    fill(&before);
    size_t len = client_fields_write(&before, bytes), whole = 0;
    for (size_t cut = 0; cut < len; cut++)
        whole += client_fields_read(bytes, cut, &after);
    assert_in_range(whole, 1, 30); /* between two members only */
}

static void test_members_of_another_version(void **state)
{
    (void)state;
    struct ipc_client client;
    static const uint8_t later[] = {0x39, 0x30, 2, 0, 1, 2, /* number 12345: not known */
                                    10,   0,    1, 0, 9};   /* width 9 */
    static const uint8_t longer[] = {10, 0, 5, 0, 1, 2, 3, 4, 5};
    static const uint8_t kind[] = {3, 0, 1, 0, IPC_CLIENT_MJPEG + 1};
    static const uint8_t head[] = {23, 0, 2, 0, 0x01, 0x08};
    assert_true(client_fields_read(later, sizeof(later), &client));
    assert_int_equal(client.width, 9);
    assert_false(client_fields_read(longer, sizeof(longer), &client));
    assert_false(client_fields_read(kind, sizeof(kind), &client));
    assert_false(client_fields_read(head, sizeof(head), &client)); /* 2049 bytes of head */
}

/* --- visits and passwords ------------------------------------------------------ */

static void test_a_visit_goes_on(void **state)
{
    (void)state;
    struct ipc_client request, message;
    struct handover_slot slot, after;
    struct takeover_writer w = {0};
    struct visit_record record;
    uint8_t fields[CLIENT_FIELDS_MAX];
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    fill(&request);
    request.kind = IPC_CLIENT_STREAM;
    struct visit *v = visit_new(&request, ends[0]);
    handover_reset(&slot, request.conn_id);
    slot.last_ms[HANDOVER_VIDEO] = 123;
    slot.last_ms[HANDOVER_AUDIO] = -1;
    slot.told[HANDOVER_VIDEO] = 77;
    slot.bytes = 5000;
    slot.codec = 0x61766331;
    handover_set(&slot, HANDOVER_WHOLE);
    assert_int_equal(visit_judge(v, &slot), VISIT_GOES_ON);
    size_t len = visit_save(v, &w, &record, fields);

    int fd = dup(record.fd);
    struct visit *next = visit_restore(&record, fields, len, &fd);
    assert_int_equal(fd, -1);
    assert_string_equal(visit_name(next), request.camera);
    visit_request(next, &message);
    assert_int_equal(message.resumed, 1);
    message.resumed = 0;
    assert_memory_equal(&message, &request, sizeof(message));
    visit_fill_slot(next, &after);
    assert_int_equal(handover_get(&after), HANDOVER_WHOLE);
    assert_int_equal(after.last_ms[HANDOVER_VIDEO], 123);
    assert_int_equal(after.last_ms[HANDOVER_AUDIO], -1);
    assert_int_equal(after.told[HANDOVER_VIDEO], 77);
    assert_int_equal(after.bytes, 5000);
    assert_int_equal(after.codec, 0x61766331);
    memset(request.camera, 'x', sizeof(request.camera)); /* no end */
    len = client_fields_write(&request, fields);
    fd = dup(ends[0]);
    assert_null(visit_restore(&record, fields, len, &fd));
    assert_true(is_open(fd));
    fd_close(&fd);
    visit_free(&next);
    visit_free(&v);
    takeover_writer_free(&w, false);
    fd_close(&ends[0]);
    fd_close(&ends[1]);
}

/* The slot may be that of a client who came later, if the records are older. */
static void test_whose_worker_ended_with_the_master(void **state)
{
    (void)state;
    static const struct {
        enum handover_mark mark;
        uint64_t client;
        bool goes_on;
    } rows[] = {{HANDOVER_WHOLE, 7, true},       {HANDOVER_UNANSWERED, 7, true},
                {HANDOVER_WITHIN, 7, false},     {HANDOVER_WHOLE, 8, false},
                {HANDOVER_UNANSWERED, 8, false}, {HANDOVER_KEPT, 7, false}};
    int ends[2];
    const struct ipc_client request = {.kind = IPC_CLIENT_STREAM, .conn_id = 7};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct handover_slot slot;
        struct visit *v = visit_new(&request, ends[0]);
        handover_reset(&slot, rows[i].client);
        handover_set(&slot, rows[i].mark);
        assert_int_equal(visit_outlived_master(v, &slot), rows[i].goes_on);
        assert_false(visit_outlived_master(v, NULL));
        visit_free(&v);
    }
    struct handover_slot slot;
    struct visit *v = visit_new(&request, ends[0]);
    handover_reset(&slot, 7);
    visit_disconnect(v); /* whatever other descriptors of it there are */
    char byte;
    assert_int_equal(recv(ends[1], &byte, 1, MSG_DONTWAIT), 0);
    assert_false(visit_outlived_master(v, &slot));
    visit_free(&v);
    fd_close(&ends[0]);
    fd_close(&ends[1]);
}

/* Tens of thousands of viewers wait in the master's memory for their worker's death. */
static void test_a_visit_is_small(void **state)
{
    (void)state;
    struct ipc_client request = {.conn_id = 123456,
                                 .accepted_us = 98765432109,
                                 .hevc = IPC_HEVC_ENHANCED,
                                 .audio = 1,
                                 .allow_h265 = 1,
                                 .requests = 1,
                                 .camera = "front-door",
                                 .peer = "[2001:db8::1234]:54321",
                                 .origin = "https://cameras.example.com"};
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    struct visit *v = visit_new(&request, ends[0]);
    assert_in_range(malloc_usable_size(v), 1, 320);
    visit_free(&v);
    fd_close(&ends[0]);
    fd_close(&ends[1]);
}

static struct camera_url url_with(const char *password)
{
    struct camera_url url;
    const char *reason;
    char text[64];
    int n = snprintf(text, sizeof(text), "rtsp://user:%s@10.0.0.1/1", password);
    assert_int_equal(url_parse(&url, text, (size_t)n, &reason), 0);
    return url;
}

static void test_rejected_passwords_stay_rejected(void **state)
{
    (void)state;
    static struct login_memory before, after;
    struct takeover_writer w = {0};
    struct takeover_record r;
    const struct camera_url wrong = url_with("wrong"), right = url_with("right");
    struct camera_url other = right;
    (void)snprintf(other.path, sizeof(other.path), "/other");
    int64_t now = clock_ms();
    before.seed = 42;
    login_guard_begin(&before, &wrong, now);
    login_guard_rejected(&before, &wrong, now);
    login_guard_begin(&before, &right, now);
    login_guard_accepted(&before, &right, now);
    for (int i = 0; i < LOGIN_FREE; i++) { /* no rights for some */
        struct camera_url path = right;
        (void)snprintf(path.path, sizeof(path.path), "/secret%d", i);
        login_guard_rejected(&before, &path, now);
    }
    login_takeover_save(&before, &w);
    struct takeover *t = hand_over(&w, no_listeners);
    while (takeover_next(t, &r))
        login_takeover_restore(&after, &r);
    takeover_close(&t);
    assert_int_equal(login_guard_ask(&after, &wrong, now + 1), LOGIN_REFUSED);
    assert_int_equal(login_guard_ask(&after, &right, now + 1), LOGIN_ALLOWED);
    assert_int_equal(login_guard_ask(&after, &other, now + 1), LOGIN_REFUSED);
    assert_false(login_guard_is_awaited(&after, &right, now + 1));
    assert_int_equal(login_guard_ask(&after, &wrong, now + LOGIN_REFUSED_MS), LOGIN_ALLOWED);
    login_memory_clear(&before);
    login_memory_clear(&after);
}

static struct camera_url channel(const char *kind, unsigned i)
{
    struct camera_url url = url_with("right");
    (void)snprintf(url.path, sizeof(url.path), "/%s/%u", kind, i);
    return url;
}

/* What its channels answer is known in the next program. */
static void hand_over_recorder(struct login_memory *before, struct login_memory *after)
{
    struct takeover_writer w = {0};
    struct takeover_record r;
    login_takeover_save(before, &w);
    struct takeover *t = hand_over(&w, no_listeners);
    while (takeover_next(t, &r))
        login_takeover_restore(after, &r);
    takeover_close(&t);
}

#define RECORDER_CHANNELS 1024

static void fill_recorder(struct login_memory *logins, unsigned open, int64_t now)
{
    logins->seed = 42;
    for (unsigned i = 0; i < open; i++) {
        const struct camera_url url = channel("mine", i);
        login_guard_accepted(logins, &url, now);
    }
    for (unsigned i = 0; i < LOGIN_FREE; i++) {
        const struct camera_url url = channel("secret", i);
        login_guard_rejected(logins, &url, now);
    }
}

static unsigned count_allowed(const struct login_memory *logins, const char *kind, unsigned count,
                              int64_t now)
{
    unsigned allowed = 0;
    for (unsigned i = 0; i < count; i++) {
        const struct camera_url url = channel(kind, i);
        allowed += login_guard_ask(logins, &url, now) == LOGIN_ALLOWED;
    }
    return allowed;
}

static void test_channels_stay_open(void **state)
{
    (void)state;
    static struct login_memory before, after;
    int64_t now = clock_ms();
    fill_recorder(&before, RECORDER_CHANNELS, now);
    hand_over_recorder(&before, &after);
    assert_int_equal(count_allowed(&after, "mine", RECORDER_CHANNELS, now), RECORDER_CHANNELS);
    assert_int_equal(count_allowed(&after, "other", RECORDER_CHANNELS, now), 0);
    login_memory_clear(&before);
    login_memory_clear(&after);
}

/* It never happens; it must not be read beyond its end. */
static void test_paths_that_lie(void **state)
{
    (void)state;
    static struct login_memory before, after;
    int64_t now = clock_ms();
    struct takeover_writer w = {0};
    struct takeover_record r;
    fill_recorder(&before, 4, now);
    login_takeover_save(&before, &w);
    struct takeover *t = hand_over(&w, no_listeners);
    while (takeover_next(t, &r)) {
        struct takeover_record lie = r;
        uint32_t fixed[4];
        login_takeover_restore(&after, &r);
        if (r.type != TAKEOVER_LOGIN_PATHS)
            continue;
        memcpy(fixed, r.fixed, sizeof(fixed));
        lie.fixed = (const uint8_t *)fixed;
        for (size_t cut = 0; cut <= r.tail_len; cut++) {
            lie.tail_len = cut;
            login_takeover_restore(&after, &lie);
        }
        fixed[2] = fixed[3] = UINT32_MAX;
        login_takeover_restore(&after, &lie);
        fixed[0] = fixed[1] = 0; /* an unused password's hash */
        login_takeover_restore(&after, &lie);
    }
    takeover_close(&t);
    assert_int_equal(count_allowed(&after, "mine", 4, now), 4);
    login_memory_clear(&before);
    login_memory_clear(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_records_come_in_order),
        cmocka_unit_test(test_descriptors_survive_once),
        cmocka_unit_test(test_a_failure_leaves_nothing_open),
        cmocka_unit_test(test_another_version_keeps_the_listeners),
        cmocka_unit_test(test_other_memory_is_not_believed),
        cmocka_unit_test(test_lengths_that_lie_end_the_records),
        cmocka_unit_test(test_the_variable_is_used_once),
        cmocka_unit_test(test_a_request_is_the_same_again),
        cmocka_unit_test(test_no_member_is_forgotten),
        cmocka_unit_test(test_any_cut_of_a_request_is_refused_or_read),
        cmocka_unit_test(test_members_of_another_version),
        cmocka_unit_test(test_a_visit_goes_on),
        cmocka_unit_test(test_whose_worker_ended_with_the_master),
        cmocka_unit_test(test_a_visit_is_small),
        cmocka_unit_test(test_rejected_passwords_stay_rejected),
        cmocka_unit_test(test_channels_stay_open),
        cmocka_unit_test(test_paths_that_lie),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
