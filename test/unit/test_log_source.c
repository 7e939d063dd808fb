/* master/log_source: what a worker writes becomes lines of its own, and no more than its share. */
#include "master/log_source.h"

#include "common/fd.h"
#include "common/log.h"
#include "common/log_record.h"
#include "test/unit/log_capture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define PID 4711

static struct log_capture captured;

struct rig {
    uv_loop_t loop;
    struct log_source *source;
    int writer; /* the worker's end */
    bool closed;
};

static struct rig rig;

static int setup(void **state)
{
    int ends[2];
    rig = (struct rig){0};
    log_open(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_set_process("master");
    if (uv_loop_init(&rig.loop) != 0 || log_source_pipe(ends) != 0)
        return -1;
    rig.source = log_source_open(&rig.loop, &ends[0], "worker", PID);
    rig.writer = ends[1];
    log_capture_begin(&captured);
    return ends[0] == -1 ? 0 : -1;
}

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static void close_source(void)
{
    if (rig.source != NULL)
        log_source_close(rig.source, on_closed, &rig.closed);
    rig.source = NULL;
    (void)uv_run(&rig.loop, UV_RUN_DEFAULT);
}

static int teardown(void **state)
{
    close_source();
    fd_close(&rig.writer);
    log_capture_end(&captured);
    return rig.closed && uv_loop_close(&rig.loop) == 0 ? 0 : -1;
}

static void run(void)
{
    for (int i = 0; i < 100; i++)
        (void)uv_run(&rig.loop, UV_RUN_NOWAIT);
}

static ssize_t put(const char *bytes, size_t len)
{
    return write(rig.writer, bytes, len);
}

static void put_record(enum log_level level, const char *client, const char *text)
{
    char record[LOG_RECORD_MAX];
    size_t len = log_record_make(record, level, client, text);
    assert_int_equal(put(record, len), len);
    run();
}

static unsigned count(const char *words)
{
    return log_capture_count(&captured, words);
}

static void test_lines_of_its_process_and_camera(void **state)
{
    put_record(LOG_LEVEL_INFO, NULL, "first");
    log_source_set_camera(rig.source, "front-door");
    put_record(LOG_LEVEL_WARN, "192.0.2.7:1", "second");
    put_record(LOG_LEVEL_DEBUG, NULL, "third"); /* the log's level is info by now */
    (void)put("a library's warning\n", 20);
    run();
    assert_int_equal(count("info worker[4711]: first\n"), 1);
    assert_int_equal(count("warn worker[4711] camera=front-door client=192.0.2.7:1: second\n"), 1);
    assert_int_equal(count("third"), 0);
    assert_int_equal(count("warn worker[4711] camera=front-door: a library's warning\n"), 1);
}

/* A line of somebody else cannot be forged, by a record or by plain bytes. */
static void test_no_forged_lines(void **state)
{
    static const char forged[] = "2026-01-01T00:00:00.000Z error master[1]: forged";
    char text[256];
    (void)snprintf(text, sizeof(text), "x\n%s\n%s", forged, forged);
    put_record(LOG_LEVEL_INFO, "a: b\nc", text);
    (void)put(text, strlen(text));
    (void)put("\r\n", 2);
    run();
    for (const char *line = log_capture_text(&captured); *line != '\0';
         line = strchr(line, '\n') + 1) {
        const char *process = strstr(line, "worker[4711]");
        assert_non_null(strchr(line, '\n'));
        assert_true(process != NULL && process < strstr(line, ": "));
    }
    assert_int_equal(count("\n2026-01-01"), 0);
    assert_true(count("forged") > 0);
}

/* The pipe was full for a while: the worker tells how many lines that cost. */
static void test_dropped_lines_are_counted(void **state)
{
    uint64_t before = log_dropped();
    put_record(LOG_LEVEL_WARN, NULL, "17" LOG_RECORD_DROPPED);
    assert_int_equal(log_dropped() - before, 17);
    put_record(LOG_LEVEL_INFO, NULL, "17 apples");
    put_record(LOG_LEVEL_INFO, NULL, LOG_RECORD_DROPPED);
    put_record(LOG_LEVEL_INFO, NULL, "99999999999999999999" LOG_RECORD_DROPPED);
    assert_int_equal(log_dropped() - before, 17);
    put_record(LOG_LEVEL_INFO, NULL, "999999999999999999" LOG_RECORD_DROPPED); /* a lie */
    assert_int_equal(log_dropped() - before, 17 + 1000000);
}

/* Each byte costs the master a turn: few of them are a flood, too. */
static void test_single_bytes(void **state)
{
    static const char word[] = "writes more than its share";
    unsigned bytes = 0;
    while (count(word) == 0 && bytes < LOG_SOURCE_BURST) {
        assert_int_equal(put("x", 1), 1);
        bytes++;
        (void)uv_run(&rig.loop, UV_RUN_NOWAIT);
    }
    assert_in_range(bytes, 100, LOG_SOURCE_BURST / 32);
}

/* Write until the pipe is full. @return bytes that the master has taken meanwhile. */
static size_t flood(void)
{
    char line[1024];
    size_t total = 0;
    run();
    memset(line, 'x', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\n';
    ssize_t n;
    while ((n = put(line, sizeof(line))) > 0) {
        total += (size_t)n;
        run();
    }
    assert_int_equal(errno, EAGAIN);
    return total;
}

static void test_no_more_than_its_share(void **state)
{
    const size_t pipe_bytes = 65536, step = 8192;
    log_source_set_camera(rig.source, "front-door");
    size_t taken = flood();
    assert_true(taken > LOG_SOURCE_BURST / 2);
    assert_true(taken <= LOG_SOURCE_BURST + pipe_bytes + step);
    assert_int_equal(count("camera=front-door: worker 4711 writes more than its share"), 1);

    log_source_tick(rig.source); /* a second later: a little more, and no second notice */
    taken = flood();
    assert_true(taken > 0 && taken <= LOG_SOURCE_RATE + step);
    assert_int_equal(count("writes more than its share"), 1);

    for (int i = 0; i < 60; i++) /* what was not used does not add up without end */
        log_source_tick(rig.source);
    taken = flood();
    assert_true(taken <= LOG_SOURCE_BURST + pipe_bytes + step);
}

/* Short lines: what the master adds to each counts, too. */
static void test_short_lines(void **state)
{
    ssize_t n;
    do {
        n = put("\n\n\n\n\n\n\n\na\nb\nc\nd\n", 16);
        run();
    } while (n > 0);
    assert_true(strlen(log_capture_text(&captured)) < 2 * LOG_SOURCE_BURST);
    assert_int_equal(count("writes more than its share"), 1);
}

static void test_its_last_words(void **state)
{
    char record[LOG_RECORD_MAX];
    size_t len = log_record_make(record, LOG_LEVEL_ERROR, NULL, "killed by");
    (void)put(record, len - 1); /* it died within the record */
    fd_close(&rig.writer);
    close_source();
    assert_true(rig.closed);
    assert_int_equal(count("worker[4711]"), 1);
    assert_int_equal(count("killed by"), 1);
}

static void test_writer_that_leaves(void **state)
{
    put_record(LOG_LEVEL_INFO, NULL, "bye");
    fd_close(&rig.writer);
    run(); /* end of file: it is not read in circles */
    assert_int_equal(count("bye"), 1);
    log_source_tick(rig.source);
    run();
    assert_false(rig.closed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lines_of_its_process_and_camera, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_forged_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dropped_lines_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(test_single_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_more_than_its_share, setup, teardown),
        cmocka_unit_test_setup_teardown(test_short_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_its_last_words, setup, teardown),
        cmocka_unit_test_setup_teardown(test_writer_that_leaves, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
