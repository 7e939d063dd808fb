/* common/handover and master/visit: what the master believes of a slot, and that nobody can shrink
 * the memory under it. */
#include "common/fd.h"
#include "common/handover.h"
#include "master/visit.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void test_both_sides_see_the_same(void **state)
{
    (void)state;
    struct handover *ours = NULL, *theirs = NULL;
    int fd = -1;
    assert_int_equal(handover_new(&ours, &fd), 0);
    assert_int_equal(handover_open(fd, &theirs), 0);
    handover_slot(theirs, 7)->bytes = 42;
    handover_set(handover_slot(theirs, 7), HANDOVER_WHOLE);
    assert_int_equal(handover_get(handover_slot(ours, 7)), HANDOVER_WHOLE);
    assert_int_equal(handover_slot(ours, 7)->bytes, 42);
    assert_int_equal(handover_get(handover_slot(ours, 8)), HANDOVER_UNANSWERED);
    assert_non_null(handover_slot(ours, HANDOVER_SLOTS - 1));
    assert_null(handover_slot(ours, HANDOVER_SLOTS));
    assert_null(handover_slot(NULL, 0));
    handover_free(&ours);
    handover_free(&theirs);
    fd_close(&fd);
}

static void test_another_master_adopts_it(void **state)
{
    (void)state;
    struct handover *old = NULL, *next = NULL, *worker = NULL;
    int fd = -1;
    assert_int_equal(handover_new(&old, &fd), 0);
    assert_int_equal(handover_open(fd, &worker), 0);
    assert_int_equal(handover_descriptor(worker), -1); /* it needs none */
    assert_int_equal(handover_descriptor(NULL), -1);
    fd_close(&fd);
    fd = dup(handover_descriptor(old));
    handover_free(&old);
    assert_int_equal(handover_adopt(&fd, &next), 0);
    assert_int_equal(fd, -1);
    handover_set(handover_slot(worker, 9), HANDOVER_KEPT);
    assert_int_equal(handover_get(handover_slot(next, 9)), HANDOVER_KEPT);
    handover_free(&worker);
    int kept = handover_descriptor(next);
    handover_free(&next);
    assert_int_equal(fcntl(kept, F_GETFD), -1);
    fd = memfd_create("other", MFD_CLOEXEC);
    assert_int_equal(handover_adopt(&fd, &next), -EPROTO);
    assert_true(fd > 0); /* still the caller's */
    fd_close(&fd);
}

static void test_its_size_is_sealed(void **state)
{
    (void)state;
    struct handover *h = NULL;
    int fd = -1;
    assert_int_equal(handover_new(&h, &fd), 0);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(ftruncate(fd, 1 << 30), -1);
    assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
    handover_free(&h);
    fd_close(&fd);
}

static void test_other_memory_is_refused(void **state)
{
    (void)state;
    struct handover *h = NULL, *again = NULL;
    int fd = memfd_create("other", MFD_CLOEXEC);
    assert_int_equal(handover_open(fd, &h), -EPROTO); /* its size */
    assert_null(h);
    fd_close(&fd);

    assert_int_equal(handover_new(&h, &fd), 0);
    const uint32_t version = HANDOVER_VERSION + 1;
    assert_int_equal(pwrite(fd, &version, sizeof(version), 0), sizeof(version));
    assert_int_equal(handover_open(fd, &again), -EPROTO);
    assert_null(again);
    handover_free(&h);
    fd_close(&fd);
}

static struct handover_slot whole(int64_t video_ms, int64_t audio_ms)
{
    return (struct handover_slot){.mark = HANDOVER_WHOLE, .last_ms = {video_ms, audio_ms}};
}

static void test_what_may_go_on(void **state)
{
    (void)state;
    struct handover_slot slot = whole(0, -1);
    assert_true(handover_may_go_on(&slot));
    atomic_store(&slot.reading, 1);
    assert_false(handover_may_go_on(&slot));
    atomic_store(&slot.reading, 0xffffffff);
    assert_false(handover_may_go_on(&slot));
    static const int64_t nonsense[] = {-2, INT64_MIN, INT64_MAX, HANDOVER_TIME_MAX_MS + INT64_C(1)};
    for (size_t i = 0; i < sizeof(nonsense) / sizeof(nonsense[0]); i++) {
        slot = whole(nonsense[i], 0);
        assert_false(handover_may_go_on(&slot));
        slot = whole(0, nonsense[i]);
        assert_false(handover_may_go_on(&slot));
    }
    for (uint32_t mark = 0; mark < 20; mark++) {
        slot = whole(0, 0);
        atomic_store(&slot.mark, mark);
        assert_int_equal(handover_may_go_on(&slot), mark == HANDOVER_WHOLE);
    }
}

/* --- visits --------------------------------------------------------------- */

/* @return what becomes of a client of this kind whose slot has this mark. */
static enum visit_fate fate_of(enum ipc_client_kind kind, uint32_t mark, bool here, bool reading)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    const struct ipc_client request = {.kind = (uint32_t)kind, .keep = 1};
    struct visit *v = visit_new(&request, ends[0]);
    assert_non_null(v);
    if (!here)
        fd_close(&ends[1]);
    struct handover_slot slot = whole(5, 5);
    atomic_store(&slot.mark, mark);
    handover_set_reading(&slot, reading);
    enum visit_fate f = visit_judge(v, &slot);
    visit_free(&v);
    assert_null(v);
    fd_close(&ends[0]);
    fd_close(&ends[1]);
    return f;
}

static enum visit_fate fate(enum ipc_client_kind kind, uint32_t mark, bool here)
{
    return fate_of(kind, mark, here, false);
}

static void test_what_becomes_of_clients(void **state)
{
    (void)state;
    static const struct {
        uint32_t mark;
        enum visit_fate stream, mjpeg, snapshot;
    } rows[] = {
        {HANDOVER_UNANSWERED, VISIT_GOES_ON, VISIT_GOES_ON, VISIT_GOES_ON},
        {HANDOVER_AGAIN, VISIT_ENDS, VISIT_ENDS, VISIT_GOES_ON},
        {HANDOVER_WHOLE, VISIT_GOES_ON, VISIT_GOES_ON, VISIT_ENDS},
        {HANDOVER_KEPT, VISIT_ENDS, VISIT_ENDS, VISIT_RETURNS},
        {HANDOVER_WITHIN, VISIT_ENDS, VISIT_ENDS, VISIT_ENDS},
        {HANDOVER_MARKS, VISIT_ENDS, VISIT_ENDS, VISIT_ENDS},
        {UINT32_MAX, VISIT_ENDS, VISIT_ENDS, VISIT_ENDS},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(fate(IPC_CLIENT_STREAM, rows[i].mark, true), rows[i].stream);
        assert_int_equal(fate(IPC_CLIENT_MJPEG, rows[i].mark, true), rows[i].mjpeg);
        assert_int_equal(fate(IPC_CLIENT_SNAPSHOT, rows[i].mark, true), rows[i].snapshot);
        assert_int_equal(fate(IPC_CLIENT_STREAM, rows[i].mark, false), VISIT_ENDS);
    }
}

/* A WebSocket that waits for its camera may be within a frame of its own. */
static void test_within_a_frame(void **state)
{
    (void)state;
    assert_int_equal(fate_of(IPC_CLIENT_STREAM, HANDOVER_UNANSWERED, true, true), VISIT_ENDS);
    assert_int_equal(fate_of(IPC_CLIENT_STREAM, HANDOVER_WHOLE, true, true), VISIT_ENDS);
}

/* What the next worker gets, and the one after it if that has written nothing. */
static void test_a_visit_goes_on_twice(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    struct ipc_client request = {.kind = IPC_CLIENT_STREAM, .conn_id = 9, .head_bytes = 3};
    memcpy(request.bytes, "abcdef", 6);
    struct visit *v = visit_new(&request, ends[0]);
    struct handover_slot slot = {0}, next = whole(1, 1);
    assert_int_equal(visit_judge(v, &slot), VISIT_GOES_ON);
    visit_fill_slot(v, &next);
    assert_int_equal(handover_get(&next), HANDOVER_UNANSWERED);
    struct ipc_client message;
    visit_request(v, &message);
    assert_int_equal(message.resumed, 0);
    assert_int_equal(message.conn_id, 9);
    assert_memory_equal(message.bytes, "abc\0", 4);

    slot = whole(1000, 990);
    slot.bytes = 77;
    assert_int_equal(visit_judge(v, &slot), VISIT_GOES_ON);
    for (int i = 0; i < 2; i++) {
        visit_fill_slot(v, &next);
        visit_request(v, &message);
        assert_int_equal(message.resumed, 1);
        assert_int_equal(next.last_ms[HANDOVER_AUDIO], 990);
        assert_int_equal(next.bytes, 77);
        assert_int_equal(visit_judge(v, &next), VISIT_GOES_ON);
    }
    handover_reset(&next, 0); /* a lie: the answer has begun */
    assert_int_equal(visit_judge(v, &next), VISIT_ENDS);
    visit_free(&v);
    fd_close(&ends[0]);
    fd_close(&ends[1]);
}

/* A client that no worker will answer: a WebSocket's handshake was answered, and is no HTTP. */
static void test_refused_websocket(void **state)
{
    (void)state;
    int ends[2];
    char got[1024] = "";
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    const struct ipc_client request = {.kind = IPC_CLIENT_STREAM, .websocket = 1, .camera = "gate"};
    struct visit *v = visit_new(&request, ends[0]);
    visit_refuse(v, HTTP_ERROR_OVERLOADED, "rtsp://10.0.0.9/", "later");
    assert_true(read(ends[1], got, sizeof(got) - 1) > 0);
    assert_int_equal((unsigned char)got[0], 0x81);
    assert_non_null(strstr(got, "\"camera\":\"gate\""));
    assert_null(strstr(got, "10.0.0.9"));
    visit_free(&v);
    fd_close(&ends[0]);
    fd_close(&ends[1]);
}

static void test_no_slot_no_belief(void **state)
{
    (void)state;
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    const struct ipc_client request = {.kind = IPC_CLIENT_STREAM};
    struct visit *v = visit_new(&request, ends[0]);
    assert_int_equal(visit_judge(v, NULL), VISIT_ENDS);
    visit_free(&v);
    fd_close(&ends[0]);
    fd_close(&ends[1]);
}

/* Its worker has ended, and no other has it yet. */
static void test_a_client_that_goes_meanwhile(void **state)
{
    (void)state;
    struct ipc_client request = {.kind = IPC_CLIENT_STREAM};
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    struct visit *v = visit_new(&request, ends[0]);
    fd_close(&ends[0]);
    assert_true(visit_is_connected(v));
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_true(visit_is_connected(v));
    assert_true(visit_is_connected(v)); /* the byte is still there */
    fd_close(&ends[1]);
    int fd = visit_socket(v);
    char byte;
    assert_int_equal(read(fd, &byte, 1), 1);
    assert_false(visit_is_connected(v));
    fd_close(&fd);
    visit_free(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_sides_see_the_same),
        cmocka_unit_test(test_another_master_adopts_it),
        cmocka_unit_test(test_its_size_is_sealed),
        cmocka_unit_test(test_other_memory_is_refused),
        cmocka_unit_test(test_what_may_go_on),
        cmocka_unit_test(test_what_becomes_of_clients),
        cmocka_unit_test(test_within_a_frame),
        cmocka_unit_test(test_a_visit_goes_on_twice),
        cmocka_unit_test(test_refused_websocket),
        cmocka_unit_test(test_no_slot_no_belief),
        cmocka_unit_test(test_a_client_that_goes_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
