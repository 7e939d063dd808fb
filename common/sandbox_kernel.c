#include "common/sandbox_kernel.h"

#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

bool sandbox_kernel_has_seccomp(void)
{
    const uint32_t action = SECCOMP_RET_KILL_PROCESS;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0;
}

int sandbox_kernel_landlock_abi(void)
{
    return (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

const char *sandbox_kernel_lacks(bool has_seccomp, bool has_landlock)
{
    if (has_seccomp && has_landlock)
        return NULL;
    if (has_seccomp)
        return "no Landlock";
    return has_landlock ? "no seccomp filters" : "neither seccomp filters nor Landlock";
}
