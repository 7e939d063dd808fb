#include "worker/process/sandbox.h"

#include "common/ipc.h"
#include "common/log.h"
#include "common/memory_guard.h"
#include "common/sandbox_kernel.h"
#include "worker/process/sandbox_landlock.h"
#include "worker/process/sandbox_seccomp.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LINE_BYTES 512

static bool has_seccomp;
static bool has_landlock;

/* --- before the fork ------------------------------------------------------ */

/* Load the services of one nsswitch.conf(5) line, without the [actions]; libc has some built in. */
static void load_services(char *services)
{
    char *rest = NULL;
    for (char *name = strtok_r(services, " \t\n", &rest); name != NULL;
         name = strtok_r(NULL, " \t\n", &rest)) {
        char library[LINE_BYTES];
        if (!isalnum((unsigned char)*name))
            continue;
        (void)snprintf(library, sizeof(library), "libnss_%s.so.2", name);
        if (dlopen(library, RTLD_NOW | RTLD_LOCAL) == NULL) /* never closed */
            log_debug(NULL, "name service: no %s", library);
    }
}

static void load_name_service(void)
{
    char line[LINE_BYTES];
    FILE *file = fopen("/etc/nsswitch.conf", "re");
    if (file == NULL)
        return; /* libc's default needs no modules */
    while (fgets(line, sizeof(line), file) != NULL) {
        if (strncmp(line, "hosts:", 6) == 0)
            load_services(line + 6);
    }
    (void)fclose(file);
}

int sandbox_prepare(enum sandbox_mode mode)
{
    if (mode == SANDBOX_OFF) {
        log_warnx(NULL, "sandbox = off: a camera that takes over its worker can do what we can");
        return 0;
    }
    has_seccomp = sandbox_seccomp_prepare() == 0;
    has_landlock = sandbox_kernel_landlock_abi() > 0;
    const char *lacks = sandbox_kernel_lacks(has_seccomp, has_landlock);
    if (lacks != NULL) {
        if (mode == SANDBOX_REQUIRE) {
            log_errorx(NULL, "sandbox = require: this kernel has %s", lacks);
            return -ENOSYS;
        }
        log_warnx(NULL, "sandbox: this kernel has %s; workers go on without", lacks);
    }
    load_name_service();
    tzset();
    return 0;
}

/* --- after the fork ------------------------------------------------------- */

static int limit(int resource, rlim_t value)
{
    const struct rlimit both = {.rlim_cur = value, .rlim_max = value};
    struct rlimit old;
    if (getrlimit(resource, &old) == 0 && old.rlim_max <= value)
        return 0; /* the present limit is at least as strict */
    return setrlimit(resource, &both) == -1 ? -errno : 0;
}

/* The hard limit stays, so that the master can raise this one; seccomp forbids it here. */
static int limit_descriptors(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == -1)
        return -errno;
    if (files.rlim_cur <= IPC_WORKER_FILES)
        return 0;
    files.rlim_cur = IPC_WORKER_FILES;
    return setrlimit(RLIMIT_NOFILE, &files) == -1 ? -errno : 0;
}

/* There is no limit on processes (it would count all workers of the user, and seccomp forbids new
 * ones) or file size (stderr may be a file). */
static int set_limits(void)
{
    int rc = memory_guard();
    if (rc == 0)
        rc = limit_descriptors();
    if (rc == 0 && !SANDBOX_SANITIZER)
        rc = limit(RLIMIT_DATA, SANDBOX_DATA_BYTES);
    if (rc == 0 && !SANDBOX_SANITIZER)
        rc = limit(RLIMIT_AS, SANDBOX_ADDRESS_BYTES);
    return rc;
}

/* Matters when the server runs as root.  Without capabilities we skip the call, because it may be
 * forbidden: capset() is in systemd's @privileged group. */
static int drop_capabilities(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct held[_LINUX_CAPABILITY_U32S_3] = {0};
    const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
    if (syscall(SYS_capget, &header, held) == 0 && memcmp(held, none, sizeof(none)) == 0)
        return 0;
    return syscall(SYS_capset, &header, none) == -1 ? -errno : 0;
}

bool sandbox_is_outdated(void)
{
    return has_landlock && sandbox_landlock_is_outdated();
}

static int refuse_privileges(void)
{
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ? -errno : 0;
}

int sandbox_refuse_rings(enum sandbox_mode mode)
{
    if (mode == SANDBOX_OFF || !has_seccomp)
        return 0;
    int rc = refuse_privileges();
    if (rc == 0)
        rc = sandbox_seccomp_refuse_rings();
    if (rc != 0)
        log_errorx(NULL, "sandbox: io_uring: %s", strerrordesc_np(-rc));
    return rc;
}

int sandbox_enter(enum sandbox_mode mode)
{
    const char *what = "limits";
    int rc = 0;
    if (mode == SANDBOX_OFF)
        return 0;
    rc = set_limits();
    if (rc != 0)
        goto out;
    what = "capabilities";
    rc = drop_capabilities();
    if (rc != 0)
        goto out;
    what = "no new privileges";
    rc = refuse_privileges();
    if (rc != 0)
        goto out;
    what = "Landlock";
    if (has_landlock)
        rc = sandbox_landlock_enter();
    if (rc != 0)
        goto out;
    what = "seccomp";
    if (has_seccomp)
        rc = sandbox_seccomp_enter();
out:
    if (rc != 0)
        log_errorx(NULL, "sandbox: %s: %s", what, strerrordesc_np(-rc));
    return rc;
}
