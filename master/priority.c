#include "master/priority.h"

#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Twice the share of a worker: more, and a flood of connections would starve viewers. */
#define NICE (-3)
#define TURN_NS 500000 /* the kernel's own is about 3 ms */

/* sched_setattr(2); glibc has its struct since 2.41. */
struct attributes {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime;
    uint64_t deadline;
    uint64_t period;
};

static int set(int nice)
{
    const struct attributes wanted = {
        .size = sizeof(wanted),
        .policy = SCHED_OTHER,
        .flags = 1, /* SCHED_FLAG_RESET_ON_FORK */
        .nice = nice,
        .runtime = TURN_NS,
    };
    return syscall(SYS_sched_setattr, 0, &wanted, 0) == -1 ? -errno : 0;
}

void priority_raise(void)
{
    int nice = getpriority(PRIO_PROCESS, 0);
    if (nice == 0 && set(NICE) == 0)
        return;
    if (nice <= 0) /* the reset would give children the nice value 0 */
        (void)set(nice);
}
