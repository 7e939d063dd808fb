/* Test help: attempts from inside the sandbox, as a worker enters it. */
#ifndef TEST_UNIT_SANDBOX_RIG_H
#define TEST_UNIT_SANDBOX_RIG_H

#include "common/fd.h"
#include "worker/process/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* @return 0 as expected, errno of what failed, or 255. */
typedef int (*attempt_fn)(void);

/* @return the wait status of a worker-like process in which the attempt was made. */
static inline int run_inside(attempt_fn attempt)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (sandbox_enter(SANDBOX_ON) != 0)
            _exit(254);
        _exit(attempt());
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static inline void assert_exit(attempt_fn attempt, int expected)
{
    int status = run_inside(attempt);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), expected);
}

static inline int error_of(long result)
{
    return result == -1 ? errno : 0;
}

static inline int open_for(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    int error = error_of(fd);
    fd_close(&fd);
    return error;
}

#endif /* TEST_UNIT_SANDBOX_RIG_H */
