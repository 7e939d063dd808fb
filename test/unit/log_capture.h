/* Catches what the log writes to stderr.  For the unit tests of code that logs. */
#ifndef TEST_LOG_CAPTURE_H
#define TEST_LOG_CAPTURE_H

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct log_capture {
    FILE *file;
    int stderr_fd; /* the real one */
    char text[1 << 20];
};

static inline void log_capture_begin(struct log_capture *c)
{
    c->file = tmpfile();
    c->stderr_fd = dup(STDERR_FILENO);
    if (c->file == NULL || dup2(fileno(c->file), STDERR_FILENO) == -1)
        abort();
}

/** @return all that was written since the beginning.  Borrowed. */
static inline const char *log_capture_text(struct log_capture *c)
{
    ssize_t n = pread(fileno(c->file), c->text, sizeof(c->text) - 1, 0);
    c->text[n > 0 ? n : 0] = '\0';
    return c->text;
}

/** @return how often the words occur in it. */
static inline unsigned log_capture_count(struct log_capture *c, const char *words)
{
    unsigned count = 0;
    for (const char *at = log_capture_text(c); (at = strstr(at, words)) != NULL; at++)
        count++;
    return count;
}

static inline void log_capture_end(struct log_capture *c)
{
    (void)dup2(c->stderr_fd, STDERR_FILENO);
    (void)close(c->stderr_fd);
    (void)fclose(c->file);
}

#endif /* TEST_LOG_CAPTURE_H */
