#include "common/memory_guard.h"

#include <errno.h>
#include <sys/prctl.h>
#include <sys/resource.h>

int memory_guard(void)
{
    const struct rlimit none = {0};
    if (setrlimit(RLIMIT_CORE, &none) == -1 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1)
        return -errno;
    return 0;
}
