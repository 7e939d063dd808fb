/* master/process_info: how long a process waited for a processor. */
#include "master/process_info.h"

#include "common/clock.h"

#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINE_MS 30000

/* A child on the first processor that we may use.  It spins, or sleeps for ever. */
static pid_t start_child(bool spins)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    cpu_set_t allowed, one;
    int cpu = 0;
    CPU_ZERO(&one);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0)
        _exit(1);
    while (!CPU_ISSET(cpu, &allowed))
        cpu++;
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof(one), &one) != 0)
        _exit(1);
    while (spins)
        (void)getppid();
    for (;;)
        (void)pause();
}

static void end_child(pid_t pid)
{
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_waiting_for_a_processor_is_told(void **state)
{
    (void)state;
    pid_t a = start_child(true), b = start_child(true);
    int64_t total_ms = 0, told_ms = 0, begun_ms = clock_ms();
    while (told_ms < 200 && clock_ms() - begun_ms < DEADLINE_MS) {
        told_ms += process_more_waited_ms(a, &total_ms);
        (void)usleep(10000);
    }
    end_child(a);
    end_child(b);
    assert_in_range(told_ms, 200, DEADLINE_MS);
    assert_int_equal(told_ms, total_ms);
}

static void test_sleeping_is_no_waiting(void **state)
{
    (void)state;
    pid_t rival = start_child(true), sleeper = start_child(false);
    int64_t total_ms = 0, more_ms = 1, begun_ms = clock_ms();
    while (more_ms != 0 && clock_ms() - begun_ms < DEADLINE_MS) { /* until it has fallen asleep */
        (void)process_more_waited_ms(sleeper, &total_ms);
        (void)usleep(300000);
        more_ms = process_more_waited_ms(sleeper, &total_ms);
    }
    end_child(rival);
    end_child(sleeper);
    assert_int_equal(more_ms, 0);
}

static void test_nothing_is_known_of_no_process(void **state)
{
    (void)state;
    int64_t total_ms = 0;
    assert_int_equal(process_more_waited_ms(-1, &total_ms), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_waiting_for_a_processor_is_told),
        cmocka_unit_test(test_sleeping_is_no_waiting),
        cmocka_unit_test(test_nothing_is_known_of_no_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
