#include "master/sandbox_check.h"

#include "common/log.h"
#include "common/sandbox_kernel.h"
#include "master/conf.h"

#include <errno.h>
#include <stddef.h>

int sandbox_check(const struct conf *conf)
{
    if (conf->server.sandbox != SANDBOX_REQUIRE)
        return 0;
    const char *lacks =
        sandbox_kernel_lacks(sandbox_kernel_has_seccomp(), sandbox_kernel_landlock_abi() > 0);
    if (lacks == NULL)
        return 0;
    log_errorx(NULL, "[server] sandbox = require: this kernel has %s; `on` goes on without", lacks);
    return -ENOSYS;
}
