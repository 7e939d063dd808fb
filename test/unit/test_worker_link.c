/* master/worker_link: the life of a worker, and a worker whose process is not known yet. */
#include "test/unit/worker_rig.h"

#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

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

/* systemd may keep a duplicate of the channel for the next start. */
static void test_its_channel_ends_with_it(void **state)
{
    char byte;
    get_busy();
    int kept = dup(rig.worker->channel);
    worker_close(rig.worker);
    assert_int_equal(recv(rig.theirs, &byte, sizeof(byte), MSG_DONTWAIT), 0);
    fd_close(&kept);
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

static rlim_t files_of_process(void)
{
    struct rlimit limit;
    assert_int_equal(prlimit(rig.pid, RLIMIT_NOFILE, NULL, &limit), 0);
    return limit.rlim_cur;
}

/* As its sandbox does. @return what it could be at most. */
static rlim_t lower_limit(void)
{
    struct rlimit limit;
    assert_int_equal(prlimit(rig.pid, RLIMIT_NOFILE, NULL, &limit), 0);
    limit.rlim_cur = limit.rlim_max < IPC_WORKER_FILES ? limit.rlim_max : IPC_WORKER_FILES;
    assert_int_equal(prlimit(rig.pid, RLIMIT_NOFILE, &limit, NULL), 0);
    return limit.rlim_max;
}

static void test_descriptors_for_its_clients(void **state)
{
    rlim_t most = lower_limit();
    rlim_t wanted = IPC_WORKER_FILES + 2 * 5000 < most ? IPC_WORKER_FILES + 2 * 5000 : most;
    worker_expect_clients(rig.worker, 1);
    worker_expect_clients(rig.worker, 512);
    assert_true(files_of_process() <= IPC_WORKER_FILES);
    worker_expect_clients(rig.worker, 5000);
    assert_int_equal(files_of_process(), wanted);
    (void)lower_limit(); /* it enters its sandbox only now */
    say_ready();
    assert_int_equal(files_of_process(), wanted);
    worker_expect_clients(rig.worker, 5100); /* there is room */
    assert_int_equal(files_of_process(), wanted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_life),
        CASE(test_taken_before_it_is_ready),
        CASE(test_dies),
        CASE(test_is_killed_and_does_not_end),
        CASE(test_makes_way),
        CASE(test_its_channel_ends_with_it),
        CASE(test_is_sent_a_message_at_its_end),
        CASE(test_messages_before_its_end_count),
        CASE(test_descriptors_for_its_clients),
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
