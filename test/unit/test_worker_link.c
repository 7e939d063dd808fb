/* master/worker_link: a worker's states, and each fault for which it is killed. */
#include "master/worker_link.h"

#include "common/clock.h"
#include "common/fd.h"
#include "common/http_reply.h"
#include "common/log.h"
#include "test/unit/log_capture.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cmocka.h>

/* On a busy machine its process may have waited for a processor: later than that it is killed. */
#define EXCUSED_MS (WORKER_EXCUSED_MAX_MS + 1)

static struct log_capture captured;

/* A worker whose process only waits, and the worker's end of the channel, played by the test. */
static struct rig {
    uv_loop_t loop;
    struct worker_env env;
    struct worker *worker;
    int theirs;
    int log; /* the write end of its log */
    pid_t pid;
    unsigned ready, ending, freed, states, stats, gone, left, returned;
    bool refuse; /* what on_left and on_return say */
} rig;

static void on_ready(void *table)
{
    ((struct rig *)table)->ready++;
}

static void on_ending(void *table, const struct worker *w)
{
    ((struct rig *)table)->ending++;
}

static void on_freed(void *table)
{
    ((struct rig *)table)->freed++;
}

static void on_state(void *owner, const struct ipc_state *state)
{
    ((struct rig *)owner)->states++;
}

static void on_stats(void *owner, const struct ipc_stats *stats)
{
    ((struct rig *)owner)->stats++;
}

static void on_idle(void *owner, const struct ipc_idle *idle)
{
}

static bool on_left(void *owner, const struct ipc_left *left)
{
    ((struct rig *)owner)->left++;
    return !((struct rig *)owner)->refuse;
}

static bool on_return(void *owner, const struct ipc_return *connection, int *fd)
{
    ((struct rig *)owner)->returned++;
    return !((struct rig *)owner)->refuse;
}

static void on_gone(void *owner)
{
    ((struct rig *)owner)->gone++;
}

static const struct worker_events events = {on_state, on_stats,  on_idle,
                                            on_left,  on_return, on_gone};

/* It must not outlive a test that failed, nor hold its output. */
static _Noreturn void wait_to_be_killed(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    closefrom(STDOUT_FILENO);
    (void)alarm(60);
    (void)pause();
    _exit(0);
}

static pid_t start_process(void)
{
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0)
        wait_to_be_killed();
    fd_close(&ends[1]);
    assert_int_equal(read(ends[0], &byte, 1), 0); /* it has closed what it inherited */
    fd_close(&ends[0]);
    return pid;
}

static void announce(void)
{
    int log[2];
    assert_int_equal(log_source_pipe(log), 0);
    rig.pid = start_process();
    rig.log = log[1];
    worker_announce(rig.worker, rig.pid, &log[0]);
}

static int setup(void **state)
{
    int channel;
    struct handover *handover = NULL;
    rig = (struct rig){.log = -1};
    rig.env = (struct worker_env){.loop = &rig.loop,
                                  .events = &events,
                                  .on_ready = on_ready,
                                  .on_ending = on_ending,
                                  .on_freed = on_freed,
                                  .table = &rig};
    int memory;
    if (uv_loop_init(&rig.loop) != 0 || fd_seqpacket_pair(&channel, &rig.theirs) != 0 ||
        handover_new(&handover, &memory) != 0)
        return -1;
    fd_close(&memory);
    log_capture_begin(&captured);
    int theirs = -1; /* the nursery was asked */
    rig.worker = worker_open(&rig.env, 7, &channel, &theirs, &handover);
    /* as in workers.c, which has the list */
    rig.worker->link.le_next = NULL;
    rig.worker->link.le_prev = &rig.worker;
    announce();
    return 0;
}

static void run(void)
{
    for (int i = 0; i < 20; i++)
        (void)uv_run(&rig.loop, UV_RUN_NOWAIT);
}

/* Its process ends, if need be by our hand, and is reaped. @return the signal that ended it. */
static int reap(void)
{
    int status = 0;
    if (!rig.worker->killed)
        (void)kill(rig.pid, SIGTERM);
    assert_int_equal(waitpid(rig.pid, &status, 0), rig.pid);
    worker_ended(rig.worker);
    run();
    rig.worker = NULL;
    return WTERMSIG(status);
}

static int teardown(void **state)
{
    if (rig.worker != NULL)
        (void)reap();
    fd_close(&rig.theirs);
    fd_close(&rig.log);
    log_capture_end(&captured);
    return rig.freed == 1 && uv_loop_close(&rig.loop) == 0 ? 0 : -1;
}

static void say(enum ipc_type type, const void *payload)
{
    assert_int_equal(ipc_send(rig.theirs, type, payload, NULL), 0);
    run();
}

static void say_ready(void)
{
    const struct ipc_ready ready = {.version = IPC_VERSION};
    say(IPC_READY, &ready);
}

static void say_stats(void)
{
    const struct ipc_stats stats = {0};
    say(IPC_STATS, &stats);
}

static void get_busy(void)
{
    say_ready();
    worker_take(rig.worker, &rig, "front-door");
}

/* It was killed, by SIGKILL, and the log says why. */
static void assert_killed(const char *why)
{
    char words[160];
    assert_true(rig.worker->killed);
    assert_int_equal(rig.worker->state, WORKER_ENDING);
    (void)snprintf(words, sizeof(words), "error master[%d]: worker 7 (pid %d) %s: it is killed",
                   (int)getpid(), (int)rig.pid, why);
    assert_int_equal(log_capture_count(&captured, words), 1);
    assert_int_equal(reap(), SIGKILL);
}

/* --- an honest one ---------------------------------------------------------- */

static void test_life(void **state)
{
    assert_int_equal(rig.worker->state, WORKER_STARTING);
    say_ready();
    assert_int_equal(rig.worker->state, WORKER_SPARE);
    assert_int_equal(rig.ready, 1);
    worker_take(rig.worker, &rig, "front-door");
    say_stats();
    const struct ipc_state streaming = {.state = IPC_CAMERA_STREAMING};
    say(IPC_STATE, &streaming);
    assert_int_equal(rig.stats, 1);
    assert_int_equal(rig.states, 1);
    worker_release(rig.worker);
    assert_int_equal(rig.worker->state, WORKER_LEAVING);
    say_stats(); /* no owner hears it */
    assert_int_equal(rig.stats, 1);
    fd_close(&rig.theirs);
    run();
    assert_int_equal(rig.worker->state, WORKER_ENDING);
    assert_int_equal(rig.ending, 1);
    assert_int_equal(rig.freed, 0); /* its process has not ended */
    assert_int_equal(reap(), SIGTERM);
    assert_int_equal(rig.gone, 0);
}

static void test_taken_before_it_is_ready(void **state)
{
    worker_take(rig.worker, &rig, "front-door");
    say_ready();
    assert_int_equal(rig.worker->state, WORKER_BUSY);
    say_stats();
    assert_int_equal(rig.stats, 1);
}

static void test_dies(void **state)
{
    get_busy();
    fd_close(&rig.theirs);
    run();
    assert_int_equal(rig.gone, 0); /* it may still write to its clients */
    assert_non_null(worker_slot(rig.worker, 0));
    (void)reap();
    assert_int_equal(rig.gone, 1);
}

/* The kernel keeps it, and it may still write: then nothing of it is believed. */
static void test_is_killed_and_does_not_end(void **state)
{
    get_busy();
    worker_kill(rig.worker, "is in the way");
    int64_t last_ms = rig.worker->end_by.at_ms;
    worker_check(rig.worker, last_ms);
    assert_int_equal(rig.gone, 0);
    worker_check(rig.worker, last_ms + 1);
    assert_int_equal(rig.gone, 1);
    assert_null(worker_slot(rig.worker, 0));
    assert_killed("is in the way");
    assert_int_equal(rig.gone, 1);
}

/* It makes way, or is killed; time that it waits for a processor does not begin the deadline. */
static void test_makes_way(void **state)
{
    get_busy();
    worker_excuse(rig.worker, 10);
    worker_check(rig.worker, clock_ms());
    assert_false(rig.worker->killed);
    assert_int_equal(worker_yield(rig.worker), 0);
    int64_t last_ms = rig.worker->end_by.at_ms;
    worker_check(rig.worker, last_ms);
    assert_false(rig.worker->killed);
    worker_check(rig.worker, last_ms + EXCUSED_MS);
    assert_non_null(worker_slot(rig.worker, 0)); /* it is believed */
    assert_killed("did not make way when told to");
}

/* What is sent to it before it is reaped is lost. */
static void test_is_sent_a_message_at_its_end(void **state)
{
    const struct ipc_client client = {.kind = IPC_CLIENT_STREAM};
    int ends[2];
    get_busy();
    fd_close(&rig.theirs);
    run();
    assert_int_equal(fd_seqpacket_pair(&ends[0], &ends[1]), 0);
    assert_int_equal(worker_send(rig.worker, IPC_CLIENT, &client, &ends[0]), 0);
    assert_int_equal(ends[0], -1);
    fd_close(&ends[1]);
}

static void test_messages_before_its_end_count(void **state)
{
    get_busy();
    const struct ipc_stats stats = {0};
    assert_int_equal(ipc_send(rig.theirs, IPC_STATS, &stats, NULL), 0);
    const struct ipc_leave unread = {0};
    assert_int_equal(worker_send(rig.worker, IPC_LEAVE, &unread, NULL), 0);
    fd_close(&rig.theirs); /* with a message unread: the kernel says ECONNRESET */
    run();
    assert_int_equal(rig.stats, 1);
    assert_int_equal(rig.worker->state, WORKER_ENDING);
}

/* --- faults ----------------------------------------------------------------- */

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

static void test_message_out_of_phase(void **state)
{
    get_busy();
    say_ready(); /* a second time */
    assert_killed("broke the protocol of its channel");
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

static void return_connection(uint32_t len)
{
    struct ipc_return m = {.len = len};
    int fd = dup(STDOUT_FILENO);
    assert_int_equal(ipc_send(rig.theirs, IPC_RETURN, &m, &fd), 0);
    fd_close(&fd);
    run();
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

/* --- before its process is known -------------------------------------------- */

static int setup_unannounced(void **state)
{
    int rc = setup(state);
    if (rc != 0)
        return rc;
    (void)kill(rig.pid, SIGKILL);
    (void)waitpid(rig.pid, NULL, 0);
    worker_ended(rig.worker);
    fd_close(&rig.theirs);
    fd_close(&rig.log);
    run();
    int channel;
    struct handover *handover = NULL;
    rig.freed = rig.ending = 0;
    if (fd_seqpacket_pair(&channel, &rig.theirs) != 0)
        return -1;
    rig.worker = worker_open(&rig.env, 7, &channel, &rig.theirs, &handover);
    rig.worker->link.le_prev = &rig.worker;
    return 0;
}

static void test_no_process(void **state)
{
    worker_check(rig.worker, clock_ms() + 10 * WORKER_SILENCE_MS); /* the nursery's deadline */
    assert_false(rig.worker->killed);
    worker_fail(rig.worker);
    run();
    rig.worker = NULL;
    assert_int_equal(rig.ending, 1);
    assert_int_equal(rig.freed, 1);
}

/* Its turn may come late: its times begin when the nursery is asked. */
static void test_times_begin_when_it_is_asked_for(void **state)
{
    rig.worker->asked.at_ms -= 10 * WORKER_SILENCE_MS;
    rig.worker->heard = rig.worker->read = rig.worker->asked;
    assert_int_equal(rig.theirs, -1); /* moved */
    rig.theirs = fd_take(&rig.worker->unforked);
    worker_asked(rig.worker);
    announce();
    worker_check(rig.worker, clock_ms());
    assert_false(rig.worker->killed);
    assert_int_equal(reap(), SIGTERM);
}

static void test_told_to_leave_before_it_is_announced(void **state)
{
    int owner;
    worker_take(rig.worker, &owner, "door");
    worker_release(rig.worker);
    rig.worker->end_by.at_ms -= 10 * WORKER_END_MS;
    announce();
    worker_check(rig.worker, clock_ms());
    assert_false(rig.worker->killed);
    assert_int_equal(reap(), SIGTERM);
}

static void test_killed_before_it_is_announced(void **state)
{
    worker_kill(rig.worker, "is in the way");
    run();
    assert_int_equal(rig.freed, 0);
    announce();
    assert_int_equal(reap(), SIGKILL);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_life),
        CASE(test_taken_before_it_is_ready),
        CASE(test_dies),
        CASE(test_is_killed_and_does_not_end),
        CASE(test_makes_way),
        CASE(test_is_sent_a_message_at_its_end),
        CASE(test_messages_before_its_end_count),
        CASE(test_another_version),
        CASE(test_state_that_is_none),
        CASE(test_error_that_is_none),
        CASE(test_message_out_of_phase),
        CASE(test_masters_message),
        CASE(test_more_tickets_than_fit),
        CASE(test_ticket_of_nobody),
        CASE(test_more_bytes_than_fit),
        CASE(test_connection_of_nobody),
        CASE(test_messages_without_end),
        CASE(test_as_many_departures_as_clients),
        CASE(test_silence),
        CASE(test_spare_one_is_silent),
        CASE(test_excused),
        CASE(test_excuses_end_while_it_talks),
        CASE(test_reads_nothing),
        CASE(test_reads_slowly),
        CASE(test_does_not_leave),
        CASE(test_does_not_end_after_its_channel),
        CASE(test_threads_without_end),
        cmocka_unit_test_setup_teardown(test_no_process, setup_unannounced, teardown),
        cmocka_unit_test_setup_teardown(test_times_begin_when_it_is_asked_for, setup_unannounced,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_told_to_leave_before_it_is_announced,
                                        setup_unannounced, teardown),
        cmocka_unit_test_setup_teardown(test_killed_before_it_is_announced, setup_unannounced,
                                        teardown),
    };
    log_open(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_set_process("master");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
