/* common/log, common/refusal_log and common/escape: one whole line per call, whatever is in it. */
#include "common/escape.h"
#include "common/log.h"
#include "common/log_journal.h"
#include "common/refusal_log.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int capture[2];
static int saved_stderr;
static char line[4096];

static int setup(void **state)
{
    log_set_process("test");
    saved_stderr = dup(STDERR_FILENO);
    return pipe2(capture, O_CLOEXEC | O_NONBLOCK);
}

static int teardown(void **state)
{
    (void)close(capture[0]);
    (void)close(capture[1]);
    (void)close(saved_stderr);
    return 0;
}

static void begin(void)
{
    assert_true(dup2(capture[1], STDERR_FILENO) >= 0);
}

/* @return bytes written since begin(), in line */
static size_t end(void)
{
    assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
    ssize_t n = read(capture[0], line, sizeof(line) - 1);
    if (n < 0)
        n = 0;
    line[n] = '\0';
    return (size_t)n;
}

static void test_text(void **state)
{
    struct log_context ctx = {.camera = "front-door", .client = "[::1]:5 #7"};
    char expected[128];
    log_open(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    begin();
    log_info(&ctx, "hello %d", 42);
    end();
    (void)snprintf(expected, sizeof(expected),
                   "Z info test[%d] camera=front-door client=[::1]:5 #7: hello 42\n",
                   (int)getpid());
    assert_string_equal(line + strlen("2026-01-01T00:00:00.000"), expected);

    begin();
    errno = ENOENT;
    log_warn(NULL, "open");
    log_warnx(NULL, "closed");
    end();
    assert_non_null(strstr(line, ": open: No such file or directory\n"));
    assert_non_null(strstr(line, ": closed\n"));
    assert_null(strstr(line, "camera="));
}

/* Also when the line cannot be written. */
static void test_errno_is_kept(void **state)
{
    log_open(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    (void)close(STDERR_FILENO);
    errno = ENOENT;
    log_warn(NULL, "open");
    int kept = errno;
    assert_true(dup2(saved_stderr, STDERR_FILENO) >= 0);
    assert_int_equal(kept, ENOENT);
}

static void test_levels(void **state)
{
    enum log_level level;
    static const char *const names[] = {"error", "warn", "info", "debug", "trace"};
    for (int i = 0; i < 5; i++) {
        assert_int_equal(log_level_parse(names[i], &level), 0);
        assert_int_equal(level, i);
        log_open(level, LOG_FORMAT_TEXT);
        begin();
        log_errorx(NULL, "m");
        log_warnx(NULL, "m");
        log_info(NULL, "m");
        log_debug(NULL, "m");
        log_trace(NULL, "m");
        end();
        int lines = 0;
        for (const char *c = line; *c != '\0'; c++)
            lines += *c == '\n';
        assert_int_equal(lines, i + 1);
    }
    assert_int_equal(log_level_parse("loud", &level), -EINVAL);
    assert_int_equal(log_level_parse("", &level), -EINVAL);
}

static json_t *log_json(const char *camera, const char *message)
{
    struct log_context ctx = {.camera = camera};
    json_error_t problem;
    begin();
    log_info(&ctx, "%s", message);
    size_t n = end();
    assert_true(n <= 1024);
    assert_int_equal(line[n - 1], '\n');
    assert_ptr_equal(strchr(line, '\n'), line + n - 1); /* one line */
    json_t *root = json_loads(line, 0, &problem);
    if (root == NULL)
        print_error("%s: %s", problem.text, line);
    assert_non_null(root);
    return root;
}

static void test_json(void **state)
{
    log_open(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    json_t *root = log_json("a\"b", "line\nforged \\ \x1b[31m \xff \xc3\xbc");
    assert_string_equal(json_string_value(json_object_get(root, "camera")), "a\"b");
    assert_string_equal(json_string_value(json_object_get(root, "message")),
                        "line\nforged \\ \x1b[31m \xef\xbf\xbd \xc3\xbc");
    assert_string_equal(json_string_value(json_object_get(root, "level")), "info");
    assert_string_equal(json_string_value(json_object_get(root, "process")), "test");
    json_decref(root);

    /* cut anywhere, it is JSON still */
    static char text[1100];
    for (size_t len = 800; len < sizeof(text) - 1; len++) {
        memset(text, len % 3 == 0 ? '"' : len % 3 == 1 ? '\n' : 'a', len);
        text[len] = '\0';
        root = log_json("c", text);
        json_decref(root);
        root = log_json(text, "m"); /* then the message may be missing, never half there */
        json_decref(root);
    }
    log_open(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    begin();
    log_info(NULL, "%s", text);
    assert_true(end() <= 1024);
    assert_int_equal(line[strlen(line) - 1], '\n');
}

static void test_text_cannot_forge_a_line(void **state)
{
    log_open(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    begin();
    log_info(NULL, "%s",
             "x\n2026 error "
             "forged\r\x1b[2J\xc2\x80\xc2\x9f\xe2\x80\xae\xe2\x81\xa6\xe2\x80\xa8\xe2\x82\xac");
    size_t n = end();
    assert_ptr_equal(strchr(line, '\n'), line + n - 1);
    assert_non_null(
        strstr(line, ": x\\u000a2026 error "
                     "forged\\u000d\\u001b[2J\\u0080\\u009f\\u202e\\u2066\\u2028\xe2\x82\xac\n"));
}

static void test_escape(void **state)
{
    char out[8];
    assert_int_equal(escape_text(out, sizeof(out), "ab\"c", false), 4);
    assert_string_equal(out, "ab\"c");
    assert_int_equal(escape_text(out, sizeof(out), "ab\"c", true), 5);
    assert_string_equal(out, "ab\\\"c");
    /* whole or not at all */
    assert_int_equal(escape_text(out, sizeof(out), "ab\n", true), 2);
    assert_string_equal(out, "ab");
    assert_int_equal(escape_text(out, sizeof(out), "abcdef\xc3\xbc", true), 6);
    assert_int_equal(escape_text(out, 1, "abc", true), 0);
    assert_string_equal(out, "");
}

static void test_limit(void **state)
{
    struct log_limit limit = {0};
    unsigned suppressed = 99;
    for (int i = 0; i < 2; i++) {
        assert_true(log_limit_pass(&limit, 2, 100000, &suppressed));
        assert_int_equal(suppressed, 0);
    }
    for (int i = 0; i < 3; i++)
        assert_false(log_limit_pass(&limit, 2, 100000, &suppressed));
    assert_true(log_limit_pass(&limit, 2, 0, &suppressed));
    assert_int_equal(suppressed, 3);
    assert_true(log_limit_pass(&limit, 2, 0, &suppressed));
    assert_int_equal(suppressed, 0);
}

/* JOURNAL_STREAM, systemd.exec(5): a priority in place of the time. */
static void test_journal(void **state)
{
    static const char *const prefixes[] = {"<3>", "<4>", "<6>", "<7>", "<7>"};
    struct stat status;
    char stream[64];
    char expected[64];
    assert_int_equal(fstat(capture[1], &status), 0);
    (void)snprintf(stream, sizeof(stream), "%ju:%ju", (uintmax_t)status.st_dev,
                   (uintmax_t)status.st_ino);
    log_journal_detect(capture[1], stream);
    assert_true(log_journal_reads());
    log_open(LOG_LEVEL_TRACE, LOG_FORMAT_TEXT);
    for (int i = 0; i < LOG_LEVEL_COUNT; i++) {
        begin();
        log_write((enum log_level)i, NULL, 0, "<1>hello");
        end();
        (void)snprintf(expected, sizeof(expected), "%s%s test[%d]: <1>hello\n", prefixes[i],
                       log_level_name((enum log_level)i), (int)getpid());
        assert_string_equal(line, expected);
    }
    log_open(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    begin();
    log_info(NULL, "hello");
    end();
    assert_memory_equal(line, "<6>{\"time\":", 11);

    static const char *const others[] = {"", ":", "1", "1:", ":1", "1:1", "x:y", NULL};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        log_journal_detect(capture[1], others[i]);
        assert_false(log_journal_reads());
    }
    (void)snprintf(stream, sizeof(stream), "%ju:%ju ", (uintmax_t)status.st_dev,
                   (uintmax_t)status.st_ino);
    log_journal_detect(capture[1], stream);
    assert_false(log_journal_reads());
    assert_string_equal(log_journal_prefix(LOG_LEVEL_ERROR), "");
}

static unsigned count(const char *text)
{
    unsigned n = 0;
    for (const char *at = line; (at = strstr(at, text)) != NULL; at++)
        n++;
    return n;
}

static void test_refusals(void **state)
{
    struct log_context ctx = {.client = "10.0.0.1:5"};
    struct refusal_log log = {0};
    log_open(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    begin();
    for (int i = 0; i < 1000; i++)
        refusal_log_write(&log, &ctx, "refused", HTTP_ERROR_UNAUTHORIZED, "no token");
    refusal_log_write(&log, &ctx, "refused", HTTP_ERROR_NOT_FOUND, "no path"); /* another kind */
    end();
    unsigned written = count("client=10.0.0.1:5: refused: unauthorized: no token\n");
    assert_in_range(written, 1, 3 * REFUSAL_LOG_LINES); /* a slow machine may need some seconds */
    assert_int_equal(count("refused: not_found: no path\n"), 1);

    begin();
    log.limits[HTTP_ERROR_UNAUTHORIZED].since_ms -= REFUSAL_LOG_INTERVAL_MS; /* a second later */
    refusal_log_write(&log, &ctx, "refused", HTTP_ERROR_UNAUTHORIZED, "no token");
    end();
    assert_int_equal(count(" more before)\n"), 1);

    begin(); /* its owner ends */
    log.limits[HTTP_ERROR_UNAUTHORIZED].suppressed = 7;
    refusal_log_flush(&log, "viewer refused");
    refusal_log_flush(&log, "viewer refused");
    end();
    assert_string_equal(strstr(line, ": ") + 2, "viewer refused: unauthorized: 7 more\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_errno_is_kept),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_text_cannot_forge_a_line),
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_journal),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
