/* common/log_record: records in pieces of any size; what is no record is text. */
#include "common/log_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char seen[8192]; /* one line for each event */

static void on_record(void *ctx, enum log_level level, const char *client, const char *text)
{
    size_t len = strlen(seen);
    (void)snprintf(seen + len, sizeof(seen) - len, "%s <%s> %s\n", log_level_name(level), client,
                   text);
}

static void on_text(void *ctx, const char *text)
{
    size_t len = strlen(seen);
    (void)snprintf(seen + len, sizeof(seen) - len, "text %s\n", text);
}

static const struct log_record_events events = {on_record, on_text, NULL};

static size_t add(char *out, size_t at, enum log_level level, const char *client, const char *text)
{
    return at + log_record_make(out + at, level, client, text);
}

static void test_pieces(void **state)
{
    char bytes[4 * LOG_RECORD_MAX];
    size_t len = add(bytes, 0, LOG_LEVEL_INFO, NULL, "hello");
    len = add(bytes, len, LOG_LEVEL_ERROR, "[::1]:5 #7", "two\nlines");
    len += (size_t)sprintf(bytes + len, "a library's word\n\nand more\n");
    len = add(bytes, len, LOG_LEVEL_TRACE, "", "");
    for (size_t piece = 1; piece <= len; piece++) {
        struct log_record_reader reader = {0};
        seen[0] = '\0';
        for (size_t at = 0; at < len; at += piece)
            log_record_push(&reader, bytes + at, piece < len - at ? piece : len - at, &events);
        log_record_finish(&reader, &events);
        assert_string_equal(seen, "info <> hello\nerror <[::1]:5 #7> two\nlines\n"
                                  "text a library's word\ntext and more\ntrace <> \n");
    }
}

/* Cut by its end, by the next one, by a level or a client that cannot be. */
static void test_broken_records(void **state)
{
    static const char bytes[] = "\x1e"
                                "9c\x1ftext\0"
                                "\x1e"
                                "2no separator\0"
                                "\x1e"
                                "2c\x1f"
                                "cut\x1e"
                                "1c\x1fwhole\0"
                                "the end";
    struct log_record_reader reader = {0};
    seen[0] = '\0';
    log_record_push(&reader, bytes, sizeof(bytes) - 1, &events);
    log_record_finish(&reader, &events);
    assert_string_equal(seen, "text 9c\x1ftext\ntext 2no separator\ninfo <c> cut\nwarn <c> whole\n"
                              "text the end\n");
}

static void test_long_ones_are_cut(void **state)
{
    static char text[3 * LOG_RECORD_MAX];
    char record[LOG_RECORD_MAX];
    struct log_record_reader reader = {0};
    memset(text, 'x', sizeof(text) - 1);
    assert_int_equal(log_record_make(record, LOG_LEVEL_WARN, text, text), LOG_RECORD_MAX);
    seen[0] = '\0';
    log_record_push(&reader, record, sizeof(record), &events);
    assert_memory_equal(seen, "warn <xxx", 9);
    assert_int_equal(strchr(seen, '\n') - seen, strlen(seen) - 1);

    seen[0] = '\0';
    log_record_push(&reader, text, sizeof(text) - 1, &events); /* no end of line at all */
    log_record_push(&reader, "\n", 1, &events);
    size_t total = 0;
    for (const char *c = seen; *c != '\0'; c++)
        total += *c == 'x' && c[1] != 't';
    assert_int_equal(total, sizeof(text) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_broken_records),
        cmocka_unit_test(test_long_ones_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
