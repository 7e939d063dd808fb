/* common/log_queue: a reader that stops reading stops nobody; what is missing is told. */
#include "common/log_queue.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define LINE_BYTES 100u
#define LINES 20000u /* far more than queue and pipe hold */

static int ends[2];

static int setup(void **state)
{
    (void)signal(SIGPIPE, SIG_IGN);
    return pipe2(ends, O_CLOEXEC);
}

static size_t notice(char *out, size_t size, uint64_t dropped)
{
    return (size_t)snprintf(out, size, "dropped %" PRIu64 "\n", dropped);
}

static void add_lines(struct log_queue *q, unsigned count)
{
    char line[LINE_BYTES + 1];
    for (unsigned i = 0; i < count; i++) {
        (void)snprintf(line, sizeof(line), "line %-*u\n", (int)LINE_BYTES - 6, i);
        log_queue_add(q, line, LINE_BYTES);
    }
}

/* Reads until there is nothing for 200 ms.  @return lines; *told: what the notices say. */
static uint64_t read_lines(uint64_t *told)
{
    static char text[1 << 20];
    size_t len = 0;
    struct pollfd polled = {.fd = ends[0], .events = POLLIN};
    while (len < sizeof(text) - 1 && poll(&polled, 1, 200) == 1) {
        ssize_t n = read(ends[0], text + len, sizeof(text) - 1 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    text[len] = '\0';
    uint64_t lines = 0;
    char *rest = NULL;
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "dropped ", 8) == 0)
            *told += strtoull(line + 8, NULL, 10);
        else
            lines++;
    }
    return lines;
}

static void test_order(void **state)
{
    struct log_queue *q = log_queue_open(ends[1], notice);
    assert_non_null(q);
    uint64_t told = 0;
    add_lines(q, 300);
    assert_int_equal(read_lines(&told), 300);
    assert_int_equal(told, 0);
    assert_int_equal(log_queue_dropped(q), 0);
    log_queue_close(&q, 5000);
}

static void test_nobody_reads(void **state)
{
    struct log_queue *q = log_queue_open(ends[1], notice);
    assert_non_null(q);
    uint64_t told = 0;
    add_lines(q, LINES); /* returns */
    assert_in_range(log_queue_dropped(q), LINES / 2, LINES);
    uint64_t lines = read_lines(&told);
    assert_int_equal(told, log_queue_dropped(q)); /* without another line to bring it along */
    assert_int_equal(lines + told, LINES);
    add_lines(q, 10);
    assert_int_equal(read_lines(&told), 10);
    log_queue_close(&q, 5000);
}

/* The process ends, whoever does not read. */
static void test_close_does_not_wait(void **state)
{
    struct log_queue *q = log_queue_open(ends[1], notice);
    assert_non_null(q);
    add_lines(q, LINES);
    log_queue_close(&q, 50);
    assert_null(q);
    uint64_t told = 0;
    (void)read_lines(&told); /* lets the thread end */
}

static void test_reader_gone(void **state)
{
    struct log_queue *q = log_queue_open(ends[1], notice);
    assert_non_null(q);
    (void)close(ends[0]);
    add_lines(q, 10);
    log_queue_close(&q, 5000);
}

static off_t size_of(int fd)
{
    struct stat status;
    assert_int_equal(fstat(fd, &status), 0);
    return status.st_size;
}

static void wait_for_size(int fd, off_t size)
{
    for (int i = 0; i < 30000 && size_of(fd) < size; i++)
        (void)usleep(1000);
    assert_int_equal(size_of(fd), size);
}

/* A file on a disk that fills up in the middle of a line, as the limit of a file's size does.  With
 * room again, what follows begins with a line of its own. */
static void test_disk_full(void **state)
{
    char path[] = "/tmp/test_log_queue.XXXXXX", text[4096] = "";
    int fd = mkstemp(path);
    struct rlimit old, low;
    assert_int_not_equal(fd, -1);
    (void)unlink(path);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    low = old;
    low.rlim_cur = LINE_BYTES + LINE_BYTES / 2;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    struct log_queue *q = log_queue_open(fd, notice);
    assert_non_null(q);
    add_lines(q, 300); /* more than are written at once */
    wait_for_size(fd, (off_t)low.rlim_cur);
    for (int i = 0; i < 30000 && log_queue_dropped(q) < 299; i++)
        (void)usleep(1000);
    assert_int_equal(log_queue_dropped(q), 299);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    log_queue_add(q, "after\n", 6);
    log_queue_close(&q, 30000);
    assert_true(pread(fd, text, sizeof(text) - 1, 0) > 0);
    assert_memory_equal(text, "line 0 ", 7);
    assert_string_equal(text + low.rlim_cur, "\ndropped 299\nafter\n");
    assert_int_equal(close(fd), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_order, setup),
        cmocka_unit_test_setup(test_nobody_reads, setup),
        cmocka_unit_test_setup(test_close_does_not_wait, setup),
        cmocka_unit_test_setup(test_reader_gone, setup),
        cmocka_unit_test(test_disk_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
