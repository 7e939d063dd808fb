/* master/fd_parcel: what goes in comes out, in another process with other numbers; and what may be
 * in the place of one. */
#include "master/fd_parcel.h"

#include "common/clock.h"
#include "common/fd.h"
#include "master/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY 1000 /* more than one message takes */

static const int no_listeners[TAKEOVER_LISTENERS] = {-1, -1};

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) != -1;
}

/* The lowest number that is free: what is open below it stays open by the end of a test. */
static int first_free(void)
{
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int found = fd;
    fd_close(&fd);
    return found;
}

static bool is_same(int one, int other)
{
    char byte = 'x';
    return write(one, &byte, 1) == 1 && read(other, &byte, 1) == 1;
}

/* A writer's descriptors: the write ends of so many pipes. */
static void make_pipes(int (*pipes)[2], size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_int_equal(pipe2(pipes[i], O_CLOEXEC | O_NONBLOCK), 0);
}

static void close_pipes(int (*pipes)[2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fd_close(&pipes[i][0]);
        fd_close(&pipes[i][1]);
    }
}

/* As a start that succeeds. */
static enum takeover_news unpack(int parcel, struct takeover **t)
{
    enum takeover_news news = fd_parcel_read(parcel, t);
    fd_parcel_empty(parcel);
    fd_close(&parcel);
    return news;
}

static void test_all_comes_out(void **state)
{
    (void)state;
    static int pipes[MANY][2];
    int32_t numbers[MANY];
    struct takeover_writer w = {.way = TAKEOVER_AT_END};
    struct takeover_record r;
    struct takeover *t;
    size_t left_out = 99;
    int free_before = first_free(), listeners[2];
    make_pipes(pipes, MANY);
    assert_int_equal(pipe2(listeners, O_CLOEXEC), 0);
    for (size_t i = 0; i < MANY; i++)
        numbers[i] = takeover_pass(&w, pipes[i][1]);
    takeover_put(&w, TAKEOVER_CAMERA, &free_before, sizeof(free_before), "tail", 4);
    int parcel = fd_parcel_pack(&w, listeners, &left_out);
    assert_true(parcel > 0);
    assert_int_equal(left_out, 0);
    takeover_writer_free(&w, false);
    for (size_t i = 0; i < MANY; i++)
        fd_close(&pipes[i][1]); /* as if the writer had ended */
    assert_int_equal(fcntl(parcel, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);

    assert_int_equal(unpack(parcel, &t), TAKEOVER_THERE);
    assert_true(takeover_next(t, &r));
    assert_int_equal(r.type, TAKEOVER_CAMERA);
    assert_memory_equal(r.tail, "tail", 4);
    for (size_t i = 0; i < MANY; i += 2) {
        int fd = takeover_claim(t, numbers[i]);
        assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        assert_true(is_same(fd, pipes[i][0]));
        assert_int_equal(takeover_claim(t, numbers[i]), -1);
        fd_close(&fd);
    }
    int listener = takeover_listener(t, 1);
    assert_true(is_same(listener, listeners[0]));
    fd_close(&listener);
    takeover_close(&t); /* the others */
    char byte;
    assert_int_equal(read(pipes[1][0], &byte, 1), 0);
    close_pipes(pipes, MANY);
    fd_close(&listeners[0]);
    fd_close(&listeners[1]);
    assert_int_equal(first_free(), free_before);
}

/* A start that fails leaves all to the next one; a start that succeeds leaves nothing, even if
 * systemd does not hear of it. */
static void test_until_a_start_succeeds(void **state)
{
    (void)state;
    static int pipes[MANY][2];
    int32_t numbers[MANY];
    struct takeover_writer w = {.way = TAKEOVER_AT_END};
    struct takeover *t;
    size_t left_out;
    int free_before = first_free();
    make_pipes(pipes, MANY);
    for (size_t i = 0; i < MANY; i++)
        numbers[i] = takeover_pass(&w, pipes[i][1]);
    int parcel = fd_parcel_pack(&w, no_listeners, &left_out);
    takeover_writer_free(&w, false);
    for (size_t i = 0; i < MANY; i++)
        fd_close(&pipes[i][1]);
    for (int start = 0; start < 3; start++) {
        assert_int_equal(fd_parcel_read(parcel, &t), TAKEOVER_THERE);
        for (size_t i = 0; i < MANY; i++) {
            int fd = takeover_claim(t, numbers[i]);
            assert_true(is_same(fd, pipes[i][0]));
            fd_close(&fd);
        }
        takeover_close(&t);
    }
    fd_parcel_empty(parcel);
    assert_int_equal(fd_parcel_read(parcel, &t), TAKEOVER_NONE);
    assert_null(t);
    char byte;
    assert_int_equal(read(pipes[1][0], &byte, 1), 0);
    fd_close(&parcel);
    close_pipes(pipes, MANY);
    assert_int_equal(first_free(), free_before);
}

/* The kernel bounds a queue.  Memory, listeners, and what many are worth nothing without find room,
 * whatever does not. */
/* Whichever descriptor of it a program has got from systemd. */
static void test_attempts_are_counted(void **state)
{
    (void)state;
    struct takeover_writer w = {.way = TAKEOVER_AT_END};
    struct takeover *t;
    size_t left_out;
    takeover_put(&w, TAKEOVER_CAMERA, "fixed", 5, "tail", 4);
    int parcel = fd_parcel_pack(&w, no_listeners, &left_out);
    takeover_writer_free(&w, false);
    for (unsigned i = 1; i < 10; i++) {
        int copy = dup(parcel);
        assert_int_equal(fd_parcel_count_attempt(copy), i);
        assert_int_equal(fd_parcel_read(copy, &t), TAKEOVER_THERE);
        takeover_close(&t);
        fd_close(&copy);
    }
    fd_close(&parcel);
}

static void test_what_finds_no_room_is_left_out(void **state)
{
    (void)state;
    const size_t count = 1 << 21;
    struct takeover_writer w = {.way = TAKEOVER_AT_END};
    struct takeover *t;
    size_t left_out = 0;
    int free_before = first_free(), ends[2], shared[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(pipe2(shared, O_CLOEXEC), 0);
    int32_t numbers[2] = {takeover_pass_last(&w, shared[0]), takeover_pass_last(&w, shared[1])};
    for (size_t i = 0; i < count; i++)
        (void)takeover_pass(&w, ends[0]);
    int parcel = fd_parcel_pack(&w, (const int[]){ends[1], -1}, &left_out);
    assert_true(parcel > 0);
    assert_in_range(left_out, 1, count - 1);
    takeover_writer_free(&w, false);
    assert_int_equal(unpack(parcel, &t), TAKEOVER_THERE);
    int listener = takeover_listener(t, 0);
    assert_true(is_same(listener, ends[0]));
    fd_close(&listener);
    for (int i = 0; i < 2; i++) {
        int fd = takeover_claim(t, numbers[i]);
        assert_true(i == 0 ? is_same(shared[1], fd) : is_same(fd, shared[0]));
        fd_close(&fd);
    }
    close_pipes(&shared, 1);
    takeover_close(&t);
    fd_close(&ends[0]);
    fd_close(&ends[1]);
    assert_int_equal(first_free(), free_before);
}

/* The reader has fewer descriptors to spare than the writer had. */
static void test_a_reader_without_descriptors(void **state)
{
    (void)state;
    static int pipes[MANY][2];
    struct takeover_writer w = {.way = TAKEOVER_AT_END};
    struct takeover *t;
    struct rlimit before;
    size_t left_out, taken = 0;
    make_pipes(pipes, MANY);
    int free_before = first_free();
    for (size_t i = 0; i < MANY; i++)
        (void)takeover_pass(&w, pipes[i][1]);
    int parcel = fd_parcel_pack(&w, no_listeners, &left_out);
    takeover_writer_free(&w, false);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    const struct rlimit low = {(rlim_t)free_before + 300, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_int_equal(unpack(parcel, &t), TAKEOVER_THERE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (size_t i = 0; i < MANY; i++) {
        int fd = takeover_claim(t, pipes[i][1]);
        taken += fd != -1;
        assert_true(fd == -1 || is_same(fd, pipes[i][0]));
        fd_close(&fd);
    }
    assert_in_range(taken, 250, 300);
    takeover_close(&t);
    assert_int_equal(first_free(), free_before);
    close_pipes(pipes, MANY);
}

/* Of a program whose records we cannot read: the ports stay open, the clients are disconnected. */
static void test_another_version(void **state)
{
    (void)state;
    struct takeover_head head = {
        .magic = TAKEOVER_MAGIC, .version = TAKEOVER_VERSION + 1, .listeners = {200, -1}};
    int ends[2], queue[2], free_before = first_free();
    struct takeover_record r;
    struct takeover *t;
    head.highest = 200;
    int memory = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(write(memory, &head, sizeof(head)), sizeof(head));
    assert_int_equal(
        fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL), 0);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    const int fds[] = {memory, ends[1], ends[0], ends[0]};
    const int32_t numbers[] = {7, 200, 199, -3};
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, queue), 0);
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(fds))] = {0};
    struct iovec part = {(void *)(uintptr_t)numbers, sizeof(numbers)};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    *CMSG_FIRSTHDR(&m) = (struct cmsghdr){
        .cmsg_len = CMSG_LEN(sizeof(fds)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), fds, sizeof(fds));
    assert_int_equal(sendmsg(queue[0], &m, 0), sizeof(numbers));
    fd_close(&queue[0]);
    fd_close(&memory);

    assert_int_equal(unpack(queue[1], &t), TAKEOVER_UNKNOWN);
    assert_false(takeover_next(t, &r));
    int listener = takeover_listener(t, 0);
    assert_true(is_same(listener, ends[0]));
    fd_close(&listener);
    takeover_close(&t);
    fd_close(&ends[0]);
    fd_close(&ends[1]);
    assert_int_equal(first_free(), free_before);
}

static int queue_with(const void *bytes, size_t len, int passed)
{
    int queue[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, queue), 0);
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec part = {(void *)(uintptr_t)bytes, len};
    struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
    if (passed != -1) {
        m.msg_control = control;
        m.msg_controllen = sizeof(control);
        *CMSG_FIRSTHDR(&m) = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &passed, sizeof(passed));
    }
    assert_int_equal(sendmsg(queue[0], &m, 0), len);
    fd_close(&queue[0]);
    return queue[1];
}

static void test_what_is_no_parcel(void **state)
{
    (void)state;
    struct takeover *t;
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC), free_before = first_free();
    int fd = dup(null);
    assert_int_equal(unpack(fd, &t), TAKEOVER_BROKEN);
    assert_false(is_open(fd));
    assert_int_equal(unpack(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), &t), TAKEOVER_BROKEN);
    assert_int_equal(unpack(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), &t), TAKEOVER_BROKEN);
    assert_int_equal(unpack(queue_with("nonsense", 8, null), &t), TAKEOVER_BROKEN);
    assert_int_equal(unpack(queue_with("n", 1, null), &t), TAKEOVER_BROKEN);
    assert_null(t);
    /* Nothing is in it: another start has emptied it, and ended before systemd dropped it. */
    assert_int_equal(unpack(queue_with("nonsense", 8, -1), &t), TAKEOVER_NONE);
    assert_int_equal(unpack(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), &t), TAKEOVER_NONE);
    assert_null(t);
    assert_int_equal(first_free(), free_before);
    fd_close(&null);
}

/* --- a worker that ended with its master ------------------------------------------ */

/* As the next master finds them: the worker's log is closed, or somebody still writes to it. */
static struct worker_remains remains_of(const struct worker *w, int64_t by_ms)
{
    struct takeover_writer writer = {.way = TAKEOVER_IF_KILLED};
    struct worker_remains remains = {.there = false};
    struct takeover_record r;
    struct takeover *t;
    size_t left_out;
    assert_true(worker_save_remains(w, &writer));
    int parcel = fd_parcel_pack(&writer, no_listeners, &left_out);
    takeover_writer_free(&writer, false);
    assert_int_equal(unpack(parcel, &t), TAKEOVER_THERE);
    assert_true(takeover_next(t, &r));
    assert_int_equal(r.type, TAKEOVER_REMAINS);
    worker_restore_remains(&r, t, by_ms, &remains);
    takeover_close(&t);
    assert_true(remains.there);
    return remains;
}

static void test_what_is_left_of_a_worker(void **state)
{
    (void)state;
    uv_loop_t loop;
    struct worker w = {.pid = 4321, .channel = -1};
    struct takeover_writer writer = {.way = TAKEOVER_IF_KILLED};
    int log[2], memory, free_before = first_free();
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(handover_new(&w.handover, &memory), 0);
    fd_close(&memory);
    assert_false(worker_save_remains(&w, &writer)); /* it ends before it was announced */
    assert_int_equal(log_source_pipe(log), 0);
    w.log = log_source_open(&loop, &log[0], "worker", w.pid);
    handover_reset(handover_slot(w.handover, 5), 99);
    handover_set(handover_slot(w.handover, 5), HANDOVER_WHOLE);

    struct worker_remains remains = remains_of(&w, clock_ms() + 20);
    assert_null(remains.slots); /* it may still write to its clients */
    worker_remains_clear(&remains);
    fd_close(&log[1]);
    remains = remains_of(&w, clock_ms() + 20000);
    assert_int_equal(handover_get(handover_slot(remains.slots, 5)), HANDOVER_WHOLE);
    assert_int_equal(handover_slot(remains.slots, 5)->client, 99);
    worker_remains_clear(&remains);
    assert_false(remains.there);

    log_source_close(w.log, NULL, NULL);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    handover_free(&w.handover);
    assert_int_equal(first_free(), free_before);
}

/* It has its clients before its process is known, and may begin to write to them at any time. */
static void test_what_is_left_of_a_worker_that_was_not_announced(void **state)
{
    (void)state;
    struct worker w = {.pid = 0};
    int theirs, memory, free_before = first_free();
    assert_int_equal(fd_seqpacket_pair(&w.channel, &theirs), 0);
    assert_int_equal(handover_new(&w.handover, &memory), 0);
    fd_close(&memory);
    handover_reset(handover_slot(w.handover, 7), 98);
    struct worker_remains remains = remains_of(&w, clock_ms() + 20);
    assert_null(remains.slots);
    worker_remains_clear(&remains);
    fd_close(&theirs); /* it has ended, or was never forked */
    remains = remains_of(&w, clock_ms() + 20000);
    assert_int_equal(handover_get(handover_slot(remains.slots, 7)), HANDOVER_UNANSWERED);
    assert_int_equal(handover_slot(remains.slots, 7)->client, 98);
    worker_remains_clear(&remains);
    fd_close(&w.channel);
    handover_free(&w.handover);
    assert_int_equal(first_free(), free_before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_comes_out),
        cmocka_unit_test(test_until_a_start_succeeds),
        cmocka_unit_test(test_attempts_are_counted),
        cmocka_unit_test(test_what_finds_no_room_is_left_out),
        cmocka_unit_test(test_a_reader_without_descriptors),
        cmocka_unit_test(test_another_version),
        cmocka_unit_test(test_what_is_no_parcel),
        cmocka_unit_test(test_what_is_left_of_a_worker),
        cmocka_unit_test(test_what_is_left_of_a_worker_that_was_not_announced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
