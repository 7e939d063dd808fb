/*
 * A worker_link whose process only waits: the test plays the worker's end of the channel.  For the
 * unit tests of master/worker_link.
 */
#ifndef TEST_WORKER_RIG_H
#define TEST_WORKER_RIG_H

#include "common/clock.h"
#include "common/fd.h"
#include "common/http_reply.h"
#include "common/log.h"
#include "master/worker_link.h"
#include "test/unit/log_capture.h"

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

static inline void on_ready(void *table)
{
    ((struct rig *)table)->ready++;
}

static inline void on_ending(void *table, const struct worker *w)
{
    ((struct rig *)table)->ending++;
}

static inline void on_freed(void *table)
{
    ((struct rig *)table)->freed++;
}

static inline void on_state(void *owner, const struct ipc_state *state)
{
    ((struct rig *)owner)->states++;
}

static inline void on_stats(void *owner, const struct ipc_stats *stats)
{
    ((struct rig *)owner)->stats++;
}

static inline void on_idle(void *owner, const struct ipc_idle *idle)
{
}

static inline bool on_left(void *owner, const struct ipc_left *left)
{
    ((struct rig *)owner)->left++;
    return !((struct rig *)owner)->refuse;
}

static inline bool on_return(void *owner, const struct ipc_return *connection, int *fd)
{
    ((struct rig *)owner)->returned++;
    return !((struct rig *)owner)->refuse;
}

static inline void on_gone(void *owner)
{
    ((struct rig *)owner)->gone++;
}

static const struct worker_events events = {on_state, on_stats,  on_idle,
                                            on_left,  on_return, on_gone};

/* It must not outlive a test that failed, nor hold its output. */
static inline _Noreturn void wait_to_be_killed(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    closefrom(STDOUT_FILENO);
    (void)alarm(60);
    (void)pause();
    _exit(0);
}

static inline pid_t start_process(void)
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

static inline void announce(void)
{
    int log[2];
    assert_int_equal(log_source_pipe(log), 0);
    rig.pid = start_process();
    rig.log = log[1];
    worker_announce(rig.worker, rig.pid, &log[0]);
}

static inline int setup(void **state)
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

static inline void run(void)
{
    for (int i = 0; i < 20; i++)
        (void)uv_run(&rig.loop, UV_RUN_NOWAIT);
}

/* Its process ends, if need be by our hand, and is reaped. @return the signal that ended it. */
static inline int reap(void)
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

static inline int teardown(void **state)
{
    if (rig.worker != NULL)
        (void)reap();
    fd_close(&rig.theirs);
    fd_close(&rig.log);
    log_capture_end(&captured);
    return rig.freed == 1 && uv_loop_close(&rig.loop) == 0 ? 0 : -1;
}

static inline void say(enum ipc_type type, const void *payload)
{
    assert_int_equal(ipc_send(rig.theirs, type, payload, NULL), 0);
    run();
}

static inline void say_ready(void)
{
    const struct ipc_ready ready = {.version = IPC_VERSION};
    say(IPC_READY, &ready);
}

static inline void say_stats(void)
{
    const struct ipc_stats stats = {0};
    say(IPC_STATS, &stats);
}

static inline void get_busy(void)
{
    say_ready();
    worker_take(rig.worker, &rig, "front-door");
}

/* It was killed, by SIGKILL, and the log says why. */
static inline void assert_killed(const char *why)
{
    char words[160];
    assert_true(rig.worker->killed);
    assert_int_equal(rig.worker->state, WORKER_ENDING);
    (void)snprintf(words, sizeof(words), "error master[%d]: worker 7 (pid %d) %s: it is killed",
                   (int)getpid(), (int)rig.pid, why);
    assert_int_equal(log_capture_count(&captured, words), 1);
    assert_int_equal(reap(), SIGKILL);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif /* TEST_WORKER_RIG_H */
