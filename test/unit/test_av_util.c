/* worker/media/av_util: what libav writes to the log holds no password. */
#include "worker/media/av_util.h"

#include "common/log.h"

#include <libavutil/log.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* What is kept of a line that libav logs while this camera's password is hidden. */
__attribute__((format(printf, 2, 3))) static const char *logged(const char *camera, const char *fmt,
                                                                ...)
{
    static char kept[1024];
    struct camera_url url;
    const char *reason;
    char line[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, args);
    va_end(args);
    assert_int_equal(url_parse(&url, camera, strlen(camera), &reason), 0);
    av_util_log_hide(&url);
    av_util_log_capture(kept, sizeof(kept));
    av_log(NULL, AV_LOG_ERROR, "%s\n", line);
    av_util_log_capture(NULL, 0);
    av_util_log_hide(NULL);
    return kept;
}

static void test_whole_password(void **state)
{
    const char *camera = "rtmp://admin:p@ss#1@10.0.0.9/live";
    assert_string_equal(logged(camera, "host ss#1@10.0.0.9, password p@ss#1, p%%40ss%%231."),
                        "host ***@10.0.0.9, password ***, ***.");
    assert_string_equal(logged(camera, "rtmp://admin:p@ss%%231@10.0.0.9/live: gone"),
                        "rtmp://***@10.0.0.9/live: gone");
    assert_string_equal(logged(camera, "p@ss#1p@ss#1"), "******");
}

static void test_spaces_and_quotes(void **state)
{
    const char *camera = "http://admin:pa ss'\"wd@10.0.0.9/x.flv";
    assert_string_equal(logged(camera, "http://admin:pa ss'\"wd@10.0.0.9/x.flv: gone"),
                        "http://***@10.0.0.9/x.flv: gone");
    assert_string_equal(logged(camera, "auth pa%%20ss%%27%%22wd, pa%%20ss'%%22wd"),
                        "auth pa%20ss%27%22wd, ***"); /* as url_format() writes it */
}

static void test_other_credentials(void **state)
{
    const char *camera = "rtmp://10.0.0.9/live";
    assert_string_equal(logged(camera, "moved to 'http://u:secret@10.0.0.8/'"),
                        "moved to 'http://***@10.0.0.8/'");
    /* a password of two characters is a part of too many words */
    assert_string_equal(logged("rtmp://u:ab@h/l", "about rtmp://u:ab@h/l"), "about rtmp://***@h/l");
}

/* The end of a long line is cut, perhaps within the password. */
static void test_cut(void **state)
{
    char start[600];
    for (size_t n = 490; n < 520; n++) {
        memset(start, 'x', n);
        start[n] = '\0';
        const char *kept = logged("rtmp://u:secret-word@h/l", "%s secret-word", start);
        assert_null(strstr(kept, "sec"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_password),
        cmocka_unit_test(test_spaces_and_quotes),
        cmocka_unit_test(test_other_credentials),
        cmocka_unit_test(test_cut),
    };
    av_util_log_open();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
