/* worker/flv/rtmp_path: application and stream of an RTMP URL. */
#include "worker/flv/rtmp_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void test_split(void **state)
{
    static const struct {
        const char *path;
        const char *app;
        const char *stream;
    } cases[] = {
        {"/live/cam", "live", "cam"},
        {"/live/cam?token=ab/cd=", "live", "cam?token=ab/cd="},
        {"/live/cam?token=/", "live", "cam?token=/"},
        {"/live/site/cam?token=ab/cd/ef=", "live/site", "cam?token=ab/cd/ef="},
        {"/live/site/door/cam?t=a/b", "live/site", "door/cam?t=a/b"},
        {"/ondemand/folder/cam?t=a/b", "ondemand", "folder/cam?t=a/b"},
        {"/ondemandlive/folder/cam?t=a/b", "ondemandlive/folder", "cam?t=a/b"},
        {"/live/mp4:folder/cam?t=a/b", "live", "mp4:folder/cam?t=a/b"},
        {"/live/cam?u=rtmp://10.0.0.9/x", "live", "cam?u=rtmp://10.0.0.9/x"},
        {"/live/cam?mslist=a", "live", "cam?mslist=a"},
        {"/live/site/cam?t=1&mslist=a/b", "live/site", "cam?t=1&mslist=a/b"},
        {"/live?vhost=demo.example/cam", "live?vhost=demo.example", "cam"}, /* SRS */
        {"/live?token=ab/cd=/cam", "live?token=ab/cd=", "cam"},
        {"/live?t=a/", "live?t=a/", ""},
        {"/live/?t=a/b", "live", "?t=a/b"},
        {"?t=a/b", "?t=a/b", ""},
        {"/", "", ""},
        {"", "", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rtmp_path out;
        rtmp_path_split(cases[i].path, &out);
        assert_string_equal(out.app, cases[i].app);
        assert_string_equal(out.stream, cases[i].stream);
        assert_int_equal(rtmp_path_needs_split(cases[i].path), strchr(cases[i].path, '?') != NULL);
    }
    assert_false(rtmp_path_needs_split("/live/cam?token=abcd"));
    assert_false(rtmp_path_needs_split("/live?slist=cam"));
    assert_false(rtmp_path_needs_split("/live?t=1&slist=site/cam"));
    assert_false(rtmp_path_needs_split("/slist=/cam"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
    };
    return cmocka_run_group_tests_name("rtmp_path", tests, NULL, NULL);
}
