#include "common/log_journal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

static bool reads;

/* The priorities of syslog(3): err, warning, info, debug. */
static const char *const prefixes[LOG_LEVEL_COUNT] = {
    [LOG_LEVEL_ERROR] = "<3>", [LOG_LEVEL_WARN] = "<4>",  [LOG_LEVEL_INFO] = "<6>",
    [LOG_LEVEL_DEBUG] = "<7>", [LOG_LEVEL_TRACE] = "<7>",
};

void log_journal_detect(int fd, const char *stream)
{
    struct stat status;
    char *end = NULL;
    reads = false;
    if (stream == NULL || fstat(fd, &status) == -1)
        return;
    uintmax_t device = strtoumax(stream, &end, 10);
    if (end == stream || *end != ':')
        return;
    const char *second = end + 1;
    uintmax_t inode = strtoumax(second, &end, 10);
    reads = end != second && *end == '\0' && device == status.st_dev && inode == status.st_ino;
}

bool log_journal_reads(void)
{
    return reads;
}

const char *log_journal_prefix(enum log_level level)
{
    assert(level < LOG_LEVEL_COUNT);
    return reads ? prefixes[level] : "";
}
