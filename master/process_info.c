#include "master/process_info.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 64

uint64_t process_resident_bytes(pid_t pid)
{
    char path[PATH_BYTES];
    unsigned long long size = 0, resident = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%llu %llu", &size, &resident) != 2) /* NOLINT(cert-err34-c) */
        resident = 0;
    (void)fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

size_t process_threads(pid_t pid)
{
    char path[PATH_BYTES];
    struct stat st;
    (void)snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    return stat(path, &st) == 0 && st.st_nlink > 2 ? st.st_nlink - 2 : 0; /* a link each */
}

/* Linux Documentation/scheduler/sched-stats.rst: time run, time waited (both ns), time slices. */
int64_t process_more_waited_ms(pid_t pid, int64_t *total_ms)
{
    int64_t before_ms = *total_ms;
    char path[PATH_BYTES];
    unsigned long long waited_ns = 0;
    (void)snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%*u %llu", &waited_ns) != 1) /* NOLINT(cert-err34-c) */
        waited_ns = 0;
    (void)fclose(file);
    *total_ms = (int64_t)(waited_ns / 1000000);
    return *total_ms - before_ms;
}
