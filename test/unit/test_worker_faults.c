/* master/worker_link: each fault for which a worker is killed. */
#include "test/unit/worker_rig.h"

#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>

static void test_another_version(void **state)
{
    const struct ipc_ready ready = {.version = IPC_VERSION + 1};
    say(IPC_READY, &ready);
    assert_int_equal(log_capture_count(&captured, "is its program of the same release?"), 1);
    assert_killed("broke the protocol of its channel");
}

static void test_state_that_is_none(void **state)
{
    get_busy();
    const struct ipc_state none = {.state = IPC_CAMERA_STATE_COUNT};
    say(IPC_STATE, &none);
    assert_int_equal(rig.states, 0);
    assert_null(worker_slot(rig.worker, 0)); /* it is not believed */
    assert_killed("broke the protocol of its channel");
    assert_int_equal(rig.gone, 1);
}

static void test_error_that_is_none(void **state)
{
    get_busy();
    const struct ipc_state none = {.error = HTTP_ERROR_COUNT};
    say(IPC_STATE, &none);
    assert_killed("broke the protocol of its channel");
}

static void return_connection(uint32_t len)
{
    struct ipc_return m = {.len = len};
    int fd = dup(STDOUT_FILENO);
    assert_int_equal(ipc_send(rig.theirs, IPC_RETURN, &m, &fd), 0);
    fd_close(&fd);
    run();
}

static void test_message_out_of_phase(void **state)
{
    get_busy();
    say_ready(); /* a second time */
    assert_killed("broke the protocol of its channel");
}

static void test_state_before_ready(void **state)
{
    const struct ipc_state streaming = {.state = IPC_CAMERA_STREAMING};
    say(IPC_STATE, &streaming);
    assert_int_equal(rig.states, 0);
    assert_killed("broke the protocol of its channel");
}

/* Whatever it says when it was told to leave, nobody hears it, and it does not get more time. */
static void test_messages_after_leave(void **state)
{
    const struct ipc_state streaming = {.state = IPC_CAMERA_STREAMING};
    const struct ipc_idle idle = {.clients_seen = UINT64_MAX};
    const struct ipc_left left = {.count = 3, .tickets = {0, 1, UINT32_MAX}};
    get_busy();
    worker_release(rig.worker);
    int64_t end_by_ms = rig.worker->end_by.at_ms;
    say(IPC_STATE, &streaming);
    say(IPC_IDLE, &idle);
    say(IPC_LEFT, &left);
    return_connection(0);
    assert_int_equal(rig.states + rig.left + rig.returned, 0);
    assert_int_equal(rig.worker->end_by.at_ms, end_by_ms);
    worker_check(rig.worker, end_by_ms + EXCUSED_MS);
    assert_killed("did not leave when told to");
}

static void test_masters_message(void **state)
{
    get_busy();
    const struct ipc_leave leave = {0};
    say(IPC_LEAVE, &leave);
    assert_killed("broke the protocol of its channel");
}

static void test_more_tickets_than_fit(void **state)
{
    get_busy();
    const struct ipc_left left = {.count = IPC_LEFT_MAX + 1};
    say(IPC_LEFT, &left);
    assert_int_equal(rig.left, 0);
    assert_killed("broke the protocol of its channel");
}

static void test_ticket_of_nobody(void **state)
{
    get_busy();
    rig.refuse = true;
    const struct ipc_left left = {.count = 1};
    say(IPC_LEFT, &left);
    assert_int_equal(rig.left, 1);
    assert_killed("broke the protocol of its channel");
}

static void test_more_bytes_than_fit(void **state)
{
    get_busy();
    return_connection(IPC_BYTES_MAX + 1);
    assert_int_equal(rig.returned, 0);
    assert_killed("broke the protocol of its channel");
}

static void test_connection_of_nobody(void **state)
{
    get_busy();
    rig.refuse = true;
    return_connection(0);
    assert_int_equal(rig.returned, 1);
    assert_killed("broke the protocol of its channel");
}

static void test_messages_without_end(void **state)
{
    get_busy();
    for (unsigned i = 0; i < WORKER_MESSAGES_MAX - 1 && !rig.worker->killed; i++)
        say_stats();
    assert_false(rig.worker->killed);     /* READY was one */
    worker_check(rig.worker, clock_ms()); /* the next second */
    for (unsigned i = 0; i < WORKER_MESSAGES_MAX + 1 && !rig.worker->killed; i++)
        say_stats();
    assert_killed("sends messages without end");
}

/* A client that polls quickly is no reason to kill its camera's worker. */
static void test_as_many_departures_as_clients(void **state)
{
    const struct ipc_left one = {.count = 1}, none = {0};
    get_busy();
    for (unsigned i = 0; i < WORKER_MESSAGES_MAX + 1; i++) {
        say(IPC_LEFT, &one);
        return_connection(0);
    }
    assert_false(rig.worker->killed);
    for (unsigned i = 0; i < WORKER_MESSAGES_MAX + 1 && !rig.worker->killed; i++)
        say(IPC_LEFT, &none);
    assert_killed("sends messages without end");
}

static void test_silence(void **state)
{
    get_busy();
    int64_t last_ms = rig.worker->heard.at_ms + WORKER_SILENCE_MS;
    worker_check(rig.worker, last_ms);
    assert_false(rig.worker->killed);
    worker_check(rig.worker, last_ms + EXCUSED_MS);
    assert_killed("has been silent for 10 s");
}

/* Its reading thread hangs, so it reports nothing; the rest of it goes on. */
static void test_talks_and_does_not_report(void **state)
{
    const struct ipc_state connecting = {.state = IPC_CAMERA_CONNECTING};
    const struct ipc_left left = {.count = 1};
    const struct ipc_idle idle = {0};
    get_busy();
    int64_t last_ms = rig.worker->heard.at_ms + WORKER_SILENCE_MS;
    rig.worker->heard.at_ms -= 1; /* the clock may be at the same millisecond */
    int64_t heard_ms = rig.worker->heard.at_ms;
    say(IPC_STATE, &connecting);
    say(IPC_LEFT, &left);
    say(IPC_IDLE, &idle);
    return_connection(0);
    assert_int_equal(rig.states + rig.left + rig.returned, 3);
    assert_int_equal(rig.worker->heard.at_ms, heard_ms);
    worker_check(rig.worker, last_ms + EXCUSED_MS);
    assert_killed("has been silent for 10 s");
}

static void test_spare_one_is_silent(void **state)
{
    worker_check(rig.worker, clock_ms() + WORKER_SILENCE_MS + EXCUSED_MS);
    assert_killed("has been silent for 10 s");
}

static void test_excused(void **state)
{
    get_busy();
    int64_t heard_ms = rig.worker->heard.at_ms;
    worker_excuse(rig.worker, WORKER_EXCUSED_MAX_MS);
    assert_int_equal(rig.worker->heard.at_ms, heard_ms + WORKER_EXCUSED_MAX_MS);
    worker_excuse(rig.worker, 1); /* no more than that */
    assert_int_equal(rig.worker->heard.at_ms, heard_ms + WORKER_EXCUSED_MAX_MS);
    say_stats();
    heard_ms = rig.worker->heard.at_ms;
    worker_excuse(rig.worker, 1); /* between two messages */
    assert_int_equal(rig.worker->heard.at_ms, heard_ms + 1);
}

/* It talks every second and always waits for a processor: a minute late, it must have left. */
static void test_excuses_end_while_it_talks(void **state)
{
    const struct ipc_leave leave = {0};
    get_busy();
    assert_int_equal(worker_send(rig.worker, IPC_LEAVE, &leave, NULL), 0);
    worker_release(rig.worker);
    int64_t read_ms = rig.worker->read.at_ms, end_by_ms = rig.worker->end_by.at_ms;
    for (int64_t ms = 0; ms < 2 * WORKER_EXCUSED_MAX_MS; ms += 900) {
        worker_excuse(rig.worker, 900);
        say_stats();
        assert_int_equal(rig.worker->heard.excused_ms, 0);
    }
    assert_int_equal(rig.worker->read.at_ms, read_ms + WORKER_EXCUSED_MAX_MS);
    assert_int_equal(rig.worker->end_by.at_ms, end_by_ms + WORKER_EXCUSED_MAX_MS);
    struct ipc_msg msg;
    assert_int_equal(ipc_recv(rig.theirs, IPC_PH_RUN, &msg), 1);
    worker_check(rig.worker, clock_ms()); /* it has read: that alone is excused anew */
    assert_true(rig.worker->read.excused_ms < WORKER_EXCUSED_MAX_MS);
    assert_int_equal(rig.worker->end_by.excused_ms, WORKER_EXCUSED_MAX_MS);
}

static void test_reads_nothing(void **state)
{
    get_busy();
    const struct ipc_leave leave = {0};
    assert_int_equal(worker_send(rig.worker, IPC_LEAVE, &leave, NULL), 0);
    int64_t now_ms = clock_ms();
    worker_check(rig.worker, now_ms);
    rig.worker->heard.at_ms = now_ms + 20 * WORKER_SILENCE_MS; /* it goes on talking */
    int64_t last_ms = rig.worker->read.at_ms + WORKER_SILENCE_MS;
    worker_check(rig.worker, last_ms);
    assert_false(rig.worker->killed);
    worker_check(rig.worker, last_ms + EXCUSED_MS);
    assert_killed("has read none of its messages for 10 s");
}

/* It shuts its end for reading alone: what the master sends is refused, and nothing is unread. */
static void test_reads_no_more(void **state)
{
    const struct ipc_drain drain = {.grace_ms = 1};
    get_busy();
    assert_int_equal(shutdown(rig.theirs, SHUT_RD), 0);
    assert_int_equal(worker_send(rig.worker, IPC_DRAIN, &drain, NULL), -EPIPE);
    say_stats();
    int64_t last_ms = rig.worker->shut.at_ms + WORKER_END_MS;
    rig.worker->heard.at_ms = last_ms + 2 * EXCUSED_MS; /* it goes on talking */
    worker_check(rig.worker, last_ms);
    assert_false(rig.worker->killed);
    worker_check(rig.worker, last_ms + EXCUSED_MS);
    assert_killed("reads no more messages and did not end");
    assert_int_equal(rig.gone, 1);
}

/* The same while messages wait: the master does not try to send them without end. */
static void test_reads_no_more_of_what_waits(void **state)
{
    const struct ipc_leave leave = {0};
    get_busy();
    while (outbox_is_empty(&rig.worker->outbox))
        assert_int_equal(worker_send(rig.worker, IPC_LEAVE, &leave, NULL), 0);
    assert_int_equal(shutdown(rig.theirs, SHUT_RD), 0);
    struct ipc_msg msg;
    while (ipc_recv(rig.theirs, IPC_PH_RUN, &msg) == 1) { /* there is room for what waits */
    }
    run();
    assert_true(outbox_is_empty(&rig.worker->outbox));
    assert_int_not_equal(rig.worker->shut.at_ms, 0);
    assert_int_equal(uv_run(&rig.loop, UV_RUN_NOWAIT), 1); /* it waits for what is said, and ... */
    assert_false(rig.worker->killed);
    say_stats();
    assert_int_equal(rig.stats, 1);
}

static void test_reads_slowly(void **state)
{
    get_busy();
    const struct ipc_leave leave = {0};
    struct ipc_msg msg;
    for (int i = 0; i < 4; i++)
        assert_int_equal(worker_send(rig.worker, IPC_LEAVE, &leave, NULL), 0);
    int64_t now_ms = clock_ms();
    rig.worker->heard.at_ms = now_ms + 10 * WORKER_SILENCE_MS;
    for (int i = 1; i <= 4; i++) { /* one message in 9 s */
        worker_check(rig.worker, now_ms + i * (WORKER_SILENCE_MS - 1000));
        assert_int_equal(ipc_recv(rig.theirs, IPC_PH_RUN, &msg), 1);
    }
    worker_check(rig.worker, now_ms + 5 * (WORKER_SILENCE_MS - 1000));
    assert_false(rig.worker->killed);
}

static void test_does_not_leave(void **state)
{
    get_busy();
    worker_release(rig.worker);
    int64_t last_ms = rig.worker->end_by.at_ms;
    worker_check(rig.worker, last_ms);
    assert_false(rig.worker->killed);
    worker_check(rig.worker, last_ms + EXCUSED_MS);
    assert_int_equal(rig.gone, 0); /* it was released */
    assert_killed("did not leave when told to");
}

static void test_does_not_end_after_its_channel(void **state)
{
    get_busy();
    fd_close(&rig.theirs);
    run();
    assert_int_equal(rig.gone, 0);
    int64_t last_ms = rig.worker->end_by.at_ms;
    worker_check(rig.worker, last_ms);
    assert_false(rig.worker->killed);
    worker_check(rig.worker, last_ms + EXCUSED_MS);
    assert_killed("closed its channel and did not end");
    assert_int_equal(rig.gone, 1);
}

static void *wait_in_a_thread(void *ctx)
{
    (void)pause();
    return ctx;
}

/* This process plays the worker's for a moment, because it is here that threads can be started. */
static void test_threads_without_end(void **state)
{
    pthread_t threads[WORKER_THREADS_MAX];
    pthread_attr_t small;
    int pipe_fds[2];
    char byte;
    (void)kill(rig.pid, SIGKILL);
    assert_int_equal(waitpid(rig.pid, NULL, 0), rig.pid);
    assert_int_equal(pipe(pipe_fds), 0);
    rig.pid = fork();
    if (rig.pid == 0) {
        (void)pthread_attr_init(&small);
        (void)pthread_attr_setstacksize(&small, 65536);
        for (int i = 0; i < WORKER_THREADS_MAX; i++)
            (void)pthread_create(&threads[i], &small, wait_in_a_thread, NULL);
        (void)!write(pipe_fds[1], "x", 1);
        wait_to_be_killed();
    }
    rig.worker->pid = rig.pid;
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
    fd_close(&pipe_fds[0]);
    fd_close(&pipe_fds[1]);
    worker_check(rig.worker, clock_ms());
    assert_killed("started more threads than any camera needs");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_another_version),
        CASE(test_state_that_is_none),
        CASE(test_error_that_is_none),
        CASE(test_message_out_of_phase),
        CASE(test_state_before_ready),
        CASE(test_messages_after_leave),
        CASE(test_masters_message),
        CASE(test_more_tickets_than_fit),
        CASE(test_ticket_of_nobody),
        CASE(test_more_bytes_than_fit),
        CASE(test_connection_of_nobody),
        CASE(test_messages_without_end),
        CASE(test_as_many_departures_as_clients),
        CASE(test_silence),
        CASE(test_talks_and_does_not_report),
        CASE(test_spare_one_is_silent),
        CASE(test_excused),
        CASE(test_excuses_end_while_it_talks),
        CASE(test_reads_nothing),
        CASE(test_reads_no_more),
        CASE(test_reads_no_more_of_what_waits),
        CASE(test_reads_slowly),
        CASE(test_does_not_leave),
        CASE(test_does_not_end_after_its_channel),
        CASE(test_threads_without_end),
    };
    log_open(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_set_process("master");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
