/* master/priority: the master alone is raised; a nice value that somebody chose stays. */
#include "master/priority.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define RAISED (-3)
#define CHOSEN 7

static int nice_value(void)
{
    return getpriority(PRIO_PROCESS, 0);
}

/* In a process of its own: an unprivileged one cannot undo it. @return its exit status. */
static int in_child(int (*body)(void))
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(body());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int is_not_raised(void)
{
    return nice_value() != 0;
}

static int raise_it(void)
{
    int permitted = setpriority(PRIO_PROCESS, 0, -1) == 0 && setpriority(PRIO_PROCESS, 0, 0) == 0;
    if (nice_value() != 0)
        return 0; /* the tests run with another nice value */
    priority_raise();
    if (nice_value() != (permitted ? RAISED : 0))
        return 1;
    return in_child(is_not_raised) == 0 ? 0 : 2;
}

static int keep_chosen(void)
{
    if (nice_value() > CHOSEN || setpriority(PRIO_PROCESS, 0, CHOSEN) != 0)
        return 0;
    priority_raise();
    return nice_value() == CHOSEN ? 0 : 1;
}

static void test_this_process_alone_is_raised(void **state)
{
    (void)state;
    assert_int_equal(in_child(raise_it), 0);
}

static void test_a_chosen_nice_value_stays(void **state)
{
    (void)state;
    assert_int_equal(in_child(keep_chosen), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_this_process_alone_is_raised),
        cmocka_unit_test(test_a_chosen_nice_value_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
