#include "master/process_path.h"

#include "common/log.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>
#include <uv.h>

static const char *started_as(void)
{
    return (const char *)getauxval(AT_EXECFN); /* NOLINT(performance-no-int-to-ptr) */
}

int process_path_self(char *out, size_t size)
{
    char resolved[PATH_MAX];
    size_t len = size;
    if (uv_exepath(out, &len) == 0)
        return 0;
    const char *path = started_as();
    if (path != NULL && realpath(path, resolved) != NULL && strlen(resolved) < size) {
        memcpy(out, resolved, strlen(resolved) + 1);
        return 0;
    }
    log_errorx(NULL, "cannot find the folder of this program: is /proc mounted?");
    return -ENOENT;
}

int process_path_started(char *out, size_t size)
{
    char folder[PATH_MAX] = "";
    const char *path = started_as();
    if (path == NULL)
        return process_path_self(out, size);
    if (path[0] != '/' && getcwd(folder, sizeof(folder)) == NULL)
        return -errno;
    int n = snprintf(out, size, "%s%s%s", folder, path[0] != '/' ? "/" : "", path);
    return n > 0 && (size_t)n < size ? 0 : -ENAMETOOLONG;
}
