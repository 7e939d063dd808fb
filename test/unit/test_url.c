/* common/url: how a camera URL is read, written, redacted and named. */
#include "common/url.h"
#include "common/url_host.h"
#include "common/url_redact.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct camera_url parse_ok(const char *text)
{
    struct camera_url u;
    const char *reason = "";
    int rc = url_parse(&u, text, strlen(text), &reason);
    if (rc != 0)
        print_error("%s: %d %s\n", text, rc, reason);
    assert_int_equal(rc, 0);
    return u;
}

static int parse_fails(const char *text)
{
    struct camera_url u;
    const char *reason = NULL;
    int rc = url_parse(&u, text, strlen(text), &reason);
    if (rc == 0)
        print_error("%s: accepted as host %s\n", text, u.host);
    assert_int_not_equal(rc, 0);
    assert_non_null(reason);
    return rc;
}

static void assert_format(const char *text, const char *expected)
{
    char out[IPC_URL_MAX];
    struct camera_url u = parse_ok(text);
    assert_int_equal(url_format(&u, out), strlen(expected));
    assert_string_equal(out, expected);
}

static void assert_redacted(const char *text, const char *expected)
{
    char out[IPC_URL_MAX];
    struct camera_url u = parse_ok(text);
    assert_int_equal(url_redact(&u, out), strlen(expected));
    assert_string_equal(out, expected);
}

/* user NULL: none */
static const struct {
    const char *url, *user, *password, *host;
    unsigned port;
    const char *path;
} splits[] = {
    {"rtsp://10.0.0.9/cam", NULL, "", "10.0.0.9", 554, "/cam"},
    {"RTSP://Cam.Example:8554/Cam", NULL, "", "cam.example", 8554, "/Cam"},
    {"rtsps://h/x", NULL, "", "h", 322, "/x"},
    {"rtmp://h/app/x", NULL, "", "h", 1935, "/app/x"},
    {"rtmps://h/app/x", NULL, "", "h", 443, "/app/x"},
    {"http://h/x.flv", NULL, "", "h", 80, "/x.flv"},
    {"https://h/x.flv", NULL, "", "h", 443, "/x.flv"},
    {"rtsp://10.0.0.9", NULL, "", "10.0.0.9", 554, ""},
    {"rtsp://10.0.0.9:/cam", NULL, "", "10.0.0.9", 554, "/cam"},
    {"rtsp://10.0.0.9?channel=1", NULL, "", "10.0.0.9", 554, "?channel=1"},
    {"  rtsp://10.0.0.9/cam ", NULL, "", "10.0.0.9", 554, "/cam"},
    {"rtsp://cam_1.my-lan./x", NULL, "", "cam_1.my-lan.", 554, "/x"},
    {"rtsp://123abc/x", NULL, "", "123abc", 554, "/x"},
    /* address literals, RFC 4291 */
    {"rtsp://[::1]/x", NULL, "", "::1", 554, "/x"},
    {"rtsp://u:p@[2001:DB8:0::9]:8554/x", "u", "p", "2001:db8::9", 8554, "/x"},
    /* the credentials that people paste */
    {"rtsp://admin:secret@10.0.0.9/s", "admin", "secret", "10.0.0.9", 554, "/s"},
    {"rtsp://admin:p@ss@10.0.0.9/s", "admin", "p@ss", "10.0.0.9", 554, "/s"},
    {"rtsp://admin:p@ss#1@10.0.0.9:554/cam?channel=1&subtype=0", "admin", "p@ss#1", "10.0.0.9", 554,
     "/cam?channel=1&subtype=0"},
    {"rtsp://admin:#1@cam/s", "admin", "#1", "cam", 554, "/s"},
    {"rtsp://admin:a:b:c@10.0.0.9/s", "admin", "a:b:c", "10.0.0.9", 554, "/s"},
    {"rtsp://admin:a+b&c=d@10.0.0.9/s", "admin", "a+b&c=d", "10.0.0.9", 554, "/s"},
    {"rtsp://admin:pa/ss@10.0.0.9/s", "admin", "pa/ss", "10.0.0.9", 554, "/s"},
    {"rtsp://admin:pa?ss@10.0.0.9/s", "admin", "pa?ss", "10.0.0.9", 554, "/s"},
    {"rtsp://admin:a/b?c/d@cam.example/s", "admin", "a/b?c/d", "cam.example", 554, "/s"},
    {"rtsp://admin:pa/ss@10.0.0.9", "admin", "pa/ss", "10.0.0.9", 554, ""},
    {"rtsp://admin:99999/x@10.0.0.9/s", "admin", "99999/x", "10.0.0.9", 554, "/s"},
    {"rtsp://admin:p@1/x@10.0.0.9/s", "admin", "p@1/x", "10.0.0.9", 554, "/s"},
    {"rtsp://admin:p@ss/w@10.0.0.9/s", "admin", "p@ss/w", "10.0.0.9", 554, "/s"},
    {"rtsp://admin:@p@ss/w@10.0.0.9/s", "admin", "@p@ss/w", "10.0.0.9", 554, "/s"},
    {"rtsp://admin:%40p@ss/w@10.0.0.9/s", "admin", "@p@ss/w", "10.0.0.9", 554, "/s"},
    {"rtsp://admin:@host/w@10.0.0.9/s", "admin", "", "host", 554, "/w@10.0.0.9/s"},
    {"rtsp://admin:p@ss?w@[::1]:99/s", "admin", "p@ss?w", "::1", 99, "/s"},
    {"rtsp://admin@10.0.0.9/s", "admin", "", "10.0.0.9", 554, "/s"},
    {"rtsp://admin:@10.0.0.9/s", "admin", "", "10.0.0.9", 554, "/s"},
    {"rtsp://:secret@10.0.0.9/s", "", "secret", "10.0.0.9", 554, "/s"},
    {"rtsp://:@10.0.0.9/s", NULL, "", "10.0.0.9", 554, "/s"},
    {"rtsp://@10.0.0.9/s", NULL, "", "10.0.0.9", 554, "/s"},
    /* already encoded; a `%` that begins no escape is itself */
    {"rtsp://admin:p%40ss%23%2F%3F%25@10.0.0.9/s", "admin", "p@ss#/?%", "10.0.0.9", 554, "/s"},
    {"rtsp://us%3Aer:100%@10.0.0.9/s", "us:er", "100%", "10.0.0.9", 554, "/s"},
    {"rtsp://admin:50%zz%4@10.0.0.9/s", "admin", "50%zz%4", "10.0.0.9", 554, "/s"},
    {"rtsp://admin:%2541@10.0.0.9/s", "admin", "%41", "10.0.0.9", 554, "/s"},
    {"rtsp://\xc3\xbc:\xc3\x9f@10.0.0.9/s", "\xc3\xbc", "\xc3\x9f", "10.0.0.9", 554, "/s"},
    /* a standard URL is read as the standard says */
    {"rtsp://10.0.0.9/cam?mail=a@b.com", NULL, "", "10.0.0.9", 554, "/cam?mail=a@b.com"},
    {"rtsp://u:p@10.0.0.9/cam?mail=a@b.com", "u", "p", "10.0.0.9", 554, "/cam?mail=a@b.com"},
    {"rtsp://u:p@cam/x@y", "u", "p", "cam", 554, "/x@y"},
    {"rtsp://u:p@cam/x@b.com/y", "u", "p", "cam", 554, "/x@b.com/y"},
    {"rtsp://gw:8554/proxy@10.0.0.9/s", NULL, "", "gw", 8554, "/proxy@10.0.0.9/s"},
    {"rtsp://gw/proxy@10.0.0.9/s", NULL, "", "gw", 554, "/proxy@10.0.0.9/s"},
    {"rtsp://u:p@localhost/x@10.0.0.9/s", "u", "p", "localhost", 554, "/x@10.0.0.9/s"},
    {"rtsp://u:p@gw/?src=rtsp://a:b@10.0.0.9/s", "u", "p", "gw", 554,
     "/?src=rtsp://a:b@10.0.0.9/s"},
    {"rtsp://u@gw/x@10.0.0.9/s", "u", "", "gw", 554, "/x@10.0.0.9/s"},
    {"http://u:p@gw/x@10.0.0.9/s", "u", "p", "gw", 80, "/x@10.0.0.9/s"},
    {"http://gw:8005/?cam_url=rtsp://a:b@10.0.0.9/s", NULL, "", "gw", 8005,
     "/?cam_url=rtsp://a:b@10.0.0.9/s"},
    /* bytes that a request line cannot hold */
    {"rtsp://h/my cam\"\\<\xc3\xbc>?a=%20%zz#f", NULL, "", "h", 554,
     "/my%20cam%22%5C%3C%C3%BC%3E?a=%20%zz#f"},
};

static void test_split(void **state)
{
    for (size_t i = 0; i < sizeof(splits) / sizeof(splits[0]); i++) {
        struct camera_url u = parse_ok(splits[i].url);
        assert_int_equal(u.has_user, splits[i].user != NULL);
        assert_string_equal(u.user, splits[i].user != NULL ? splits[i].user : "");
        assert_string_equal(u.password, splits[i].password);
        assert_string_equal(u.host, splits[i].host);
        assert_int_equal(u.port, splits[i].port);
        assert_string_equal(u.path, splits[i].path);

        /* What is written is read back as the same parts. */
        char text[IPC_URL_MAX];
        size_t len = url_format(&u, text);
        struct camera_url again;
        const char *reason;
        assert_int_equal(url_parse(&again, text, len, &reason), 0);
        assert_memory_equal(&u, &again, sizeof(u));
    }
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "cam",
        "10.0.0.9/cam",
        "rtsp:/10.0.0.9/x",
        "rtsp:10.0.0.9",
        "rtsp://",
        "rtsp:///x",
        "rtsp://?x",
        "rtsp://u:p@/x",
        "rtsp://h:0/x",
        "rtsp://h:65536/x",
        "rtsp://h:123456/x",
        "rtsp://h:5x4/x",
        "rtsp://h:-1/x",
        "rtsp://h h/x",
        "rtsp://h%41/x",
        "rtsp://.h/x",
        "rtsp://a..b/x",
        "rtsp://-h/x",
        "rtsp://10.0.0/x",
        "rtsp://10.0.0.256/x",
        "rtsp://0x7f.1/x",
        "rtsp://2130706433/x",
        "rtsp://h#f/x",
        "rtsp://[::1/x",
        "rtsp://[::1]x/x",
        "rtsp://[10.0.0.9]/x",
        "rtsp://::1/x",
        "rtsp://[fe80::1%25eth0]/x",
        "rtsp://h/\r\nX: y",
        "rtsp://h/\x7f",
        "rtsp://h/\t",
        "rtsp://u:%0d%0a@h/x",
        "rtsp://u:%00@h/x",
        "rtsp://\xc3\xbc/x",
        /* a mistyped address is not a password */
        "rtsp://10.0.0.300:554/cam?user=a@b.com",
        "rtsp://10.0.0.300/cam?user=a@b.com",
        "rtsp://bad host/x?a=b@c.com",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(parse_fails(bad[i]), -EINVAL);

    assert_int_equal(parse_fails("file:///etc/passwd"), -EPROTONOSUPPORT);
    assert_int_equal(parse_fails("concat:http://a|http://b"), -EPROTONOSUPPORT);
    assert_int_equal(parse_fails("rtspx://h/x"), -EPROTONOSUPPORT);
    assert_int_equal(parse_fails("rts://h/x"), -EPROTONOSUPPORT);
    assert_int_equal(parse_fails("udp://h:1"), -EPROTONOSUPPORT);

    struct camera_url u;
    const char *reason;
    assert_int_equal(url_parse(&u, "rtsp://h/\0x", 11, &reason), -EINVAL);
    assert_int_equal(url_parse(&u, "rtsp://host/xyz", 11, &reason), 0); /* not terminated */
    assert_string_equal(u.host, "host");
}

static void test_too_long(void **state)
{
    char url[IPC_URL_MAX + 16];
    struct camera_url u;
    const char *reason;

    memset(url, 'a', sizeof(url));
    memcpy(url, "rtsp://h/", 9);
    assert_int_equal(url_parse(&u, url, 9 + URL_PATH_MAX - 2, &reason), 0);
    assert_int_equal(strlen(u.path), URL_PATH_MAX - 1);
    assert_int_equal(url_parse(&u, url, 9 + URL_PATH_MAX - 1, &reason), -ENAMETOOLONG);
    assert_int_equal(url_parse(&u, url, IPC_URL_MAX, &reason), -ENAMETOOLONG);

    /* user:password, encoded, up to 127 bytes */
    memcpy(url, "rtsp://", 7);
    memset(url + 7, 'a', 126);
    url[7 + 60] = ':';
    memcpy(url + 7 + 127, "@h", 2);
    url[7 + 126] = 'a';
    assert_int_equal(url_parse(&u, url, 7 + 129, &reason), 0);
    assert_int_equal(strlen(u.user) + strlen(u.password), 126);
    url[8] = '!';
    assert_int_equal(url_parse(&u, url, 7 + 129, &reason), 0);
    url[8] = '|';
    assert_int_equal(url_parse(&u, url, 7 + 129, &reason), -ENAMETOOLONG);
    memset(url + 7, 'a', 200);
    memcpy(url + 200, ":p@h", 4);
    assert_int_equal(url_parse(&u, url, 204, &reason), -ENAMETOOLONG);

    /* host names: 253 */
    memset(url + 7, 'a', 260);
    assert_int_equal(url_parse(&u, url, 7 + 253, &reason), 0);
    assert_int_equal(url_parse(&u, url, 7 + 254, &reason), -EINVAL);
}

static void test_format(void **state)
{
    assert_format("RTSP://u:p@HOST:554/X", "rtsp://u:p@host/X");
    assert_format("rtsp://u:p@host:0554/X", "rtsp://u:p@host/X");
    assert_format("rtsp://u:p@host:555", "rtsp://u:p@host:555");
    assert_format("rtsp://a@h/x", "rtsp://a:@h/x");
    assert_format("rtsp://u:p@ss#/?%:1@h/x", "rtsp://u:p%40ss%23%2F%3F%25%3A1@h/x");
    assert_format("rtsp://u:a!$&'()*+,;=-._~z@h/x", "rtsp://u:a!$&'()*+,;=-._~z@h/x");
    assert_format("rtsp://[2001:0DB8::0001]:554/x", "rtsp://[2001:db8::1]/x");
    assert_format("https://h:443/x?y", "https://h/x?y");
}

/* libavformat decodes the credentials of RTSP, and sends those of RTMP as they are. */
static void test_format_libav(void **state)
{
    char out[IPC_URL_MAX];
    struct camera_url u = parse_ok("rtsp://u:p@s%25s@h/x");
    url_format_libav(&u, out);
    assert_string_equal(out, "rtsp://u:p%40s%25s@h/x");
    u = parse_ok("rtmp://u:p@s:%25+%23@h:99/x");
    assert_int_equal(url_format_libav(&u, out), strlen("rtmp://u:p@s:%+%23@h:99/x"));
    assert_string_equal(out, "rtmp://u:p@s:%+%23@h:99/x");
    u = parse_ok("rtmps://h/x");
    url_format_libav(&u, out);
    assert_string_equal(out, "rtmps://h/x");
}

static void test_redact(void **state)
{
    assert_redacted("rtsp://10.0.0.9/cam?channel=1&subtype=0",
                    "rtsp://10.0.0.9/cam?channel=1&subtype=0");
    assert_redacted("rtsp://admin:p@ss#1@10.0.0.9:555/cam", "rtsp://***@10.0.0.9:555/cam");
    assert_redacted("rtsp://admin@10.0.0.9/", "rtsp://***@10.0.0.9/");
    assert_redacted("rtsp://u:p@[::1]", "rtsp://***@[::1]");
    assert_redacted("rtsp://h/x?user=a&PassWord=b&c=d", "rtsp://h/x?user=a&PassWord=***&c=d");
    assert_redacted("rtsp://h/x?pwd=a;c=d", "rtsp://h/x?pwd=***;c=d");
    assert_redacted("rtsp://h/x?loginuse=a&loginpas=b", "rtsp://h/x?loginuse=a&loginpas=***");
    assert_redacted("rtmp://h/live/x?auth_key=1-2-3&t=4", "rtmp://h/live/x?auth_key=***&t=4");
    assert_redacted("rtmp://h/live/x?txSecret=a/b", "rtmp://h/live/x?txSecret=***");
    assert_redacted("rtsp://h/x?token=&b=c", "rtsp://h/x?token=***&b=c");
    assert_redacted("rtsp://h/x?token=a=b&c=d", "rtsp://h/x?token=***&c=d");
    assert_redacted("rtsp://h/user=admin_password=tlJw_pbo6_channel=1_stream=0.sdp?real_stream",
                    "rtsp://h/user=admin_password=***_channel=1_stream=0.sdp?real_stream");
    assert_redacted("rtsp://h/user=admin&password=a/b&channel=1.sdp?",
                    "rtsp://h/user=admin&password=***&channel=1.sdp?");
    assert_redacted("rtsp://h/x?login[user]=a&login[password]=hunter2&b[]=1",
                    "rtsp://h/x?login[user]=a&login[password]=***&b[]=1");
    assert_redacted("rtsp://h/x?login%5Bpassword%5D=a&p[0]=b&password[0][x]=c&d[k]=e",
                    "rtsp://h/x?login%5Bpassword%5D=***&p[0]=***&password[0][x]=***&d[k]=***");
    /* a URL within the path or the query */
    assert_redacted("http://gw:8005/?cam_url=rtsp://a:b@10.0.0.9/s&join=gop",
                    "http://gw:8005/?cam_url=rtsp://***@10.0.0.9/s&join=gop");
    assert_redacted("http://gw/?cam_url=rtsp%3A%2F%2Fa%3Ab%40h%2Fs",
                    "http://gw/?cam_url=rtsp%3A%2F%2F***%40h%2Fs");
    assert_redacted("http://gw/?cam_url=rtsp://a:b&c@d@h/s", "http://gw/?cam_url=rtsp://***@h/s");
    assert_redacted("rtsp://10.0.0.8/proxy/a:b@10.0.0.9/s", "rtsp://10.0.0.8/***@10.0.0.9/s");
    assert_redacted("rtsp://gw/proxy/rtsp://a:b@10.0.0.9/s",
                    "rtsp://gw/proxy/rtsp://***@10.0.0.9/s");
}

/* A password that was misread for want of encoding: neither its beginning nor its end shows. */
static void test_redact_misread(void **state)
{
    assert_redacted("rtsp://admin:12/secret@10.0.0.9:99/s", "rtsp://***@10.0.0.9:99/s");
    assert_redacted("rtsp://admin:12?secret@10.0.0.9/s?x=1", "rtsp://***@10.0.0.9/s?x=1");
    assert_redacted("rtsp://admin:p@ss/word@cam.lan/s", "rtsp://***@cam.lan/s");
    assert_redacted("rtsp://admin:p@ss.w/or/d@cam.lan/s", "rtsp://***@cam.lan/s");
    assert_redacted("http://admin:p@ss/word@10.0.0.9/s", "http://***@10.0.0.9/s");
    /* an `@` that is no end of a password leaves the host */
    assert_redacted("rtsp://nvr.lan/s?user=me@home", "rtsp://nvr.lan/s?***@home");
}

static void test_redact_names(void **state)
{
    static const char *const secret[] = {
        "pw",     "PW",         "sig",    "signature", "token",     "tk_token", "access_token",
        "passwd", "userpwd",    "hmac",   "jwt",       "md5",       "p",        "st",
        "pin",    "Signature",  "apikey", "key",       "sessionid", "auth",     "psw",
        "otp",    "credential", "hash",   "ticket",    "loginpas",
    };
    static const char *const open[] = {"channel", "subtype", "profile", "user", "stream", "q",
                                       "expires", "step",    "codec",   "port", "speed",  "map"};
    char url[128], shown[128];
    for (size_t i = 0; i < sizeof(secret) / sizeof(secret[0]); i++) {
        (void)snprintf(url, sizeof(url), "rtsp://h/x?%s=s3cret&y=1", secret[i]);
        (void)snprintf(shown, sizeof(shown), "rtsp://h/x?%s=***&y=1", secret[i]);
        assert_redacted(url, shown);
    }
    for (size_t i = 0; i < sizeof(open) / sizeof(open[0]); i++) {
        (void)snprintf(url, sizeof(url), "rtsp://h/x?%s=s3cret&y=1", open[i]);
        assert_redacted(url, url);
    }
}

static void test_redact_encoded(void **state)
{
    assert_redacted("rtsp://h/x?pass%77ord=a&b=c", "rtsp://h/x?pass%77ord=***&b=c");
    assert_redacted("rtsp://h/x?%70w=a%26b&b=c", "rtsp://h/x?%70w=***&b=c");
    assert_redacted("http://gw/?cam_url=rtsp%3A%2F%2Fh%2Fs%3Fpw%3Dabc%26x%3D1&join=gop",
                    "http://gw/?cam_url=rtsp%3A%2F%2Fh%2Fs%3Fpw%3D***%26x%3D1&join=gop");
    assert_redacted(
        "http://gw/?cam_url=http%3A%2F%2Fg%2F%3Fcam_url%3Drtsp%253A%252F%252Fh%252Fs%253F"
        "sig%253Dabc%2526x%253D1&join=gop",
        "http://gw/?cam_url=http%3A%2F%2Fg%2F%3Fcam_url%3Drtsp%253A%252F%252Fh%252Fs%253F"
        "sig%253D***%2526x%253D1&join=gop");
    assert_redacted("http://gw/?u=rtsp%25253A%25252F%25252Fa%25253Ab%252540h",
                    "http://gw/?***%252540h");
    assert_redacted("rtsp://h/x%25?a=%2", "rtsp://h/x%25?a=%2");
}

static void test_redact_logins_in_paths(void **state)
{
    assert_redacted("rtsp://h/admin:s3cret/live", "rtsp://h/***/live");
    assert_redacted("rtsp://h/live/admin:s3cret/", "rtsp://h/live/***/");
    assert_redacted("rtsp://h/admin%3As3cret/live", "rtsp://h/***/live");
    assert_redacted("rtsp://h/live%2Fadmin:s3cret%2Fx", "rtsp://h/live%2F***%2Fx");
    assert_redacted("http://h/live/admin:s3:cret", "http://h/live/***");
    assert_redacted("rtsp://h/a:/:b/x?t=10:20", "rtsp://h/a:/:b/x?t=10:20");
    assert_redacted("rtsp://h/x?admin:12345", "rtsp://h/x?***");
    assert_redacted("rtsp://h/x?a=1:2&admin%3A12345;b", "rtsp://h/x?a=1:2&***;b");
    assert_redacted("rtmp://h/live/x?admin:12345&b=1", "rtmp://h/live/x?***&b=1");
    assert_redacted("rtsp://h/x?b:&c", "rtsp://h/x?b:&c");
}

static void test_redact_stream_keys(void **state)
{
    static const char *const names[] = {"cam1",   "front-door_2",      "Camera.101",           "1",
                                        "NVR-12", "720p-H264-AAC.mp4", "1080p-H265-G711A.mp4", ""};
    static const char *const keys[] = {
        "abcd-efgh-ijkl-mnop", "live_123456_AbCdEf", "1080p-a1b2c3", "abcd-efgh-ijkl-mnop-4k.mp4",
        "s3cr3tK3y",           "mysecretkey",        "aB3dE5",       "12345678"};
    char url[128];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(url, sizeof(url), "rtmp://h/live/%s", names[i]);
        assert_redacted(url, url);
    }
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        (void)snprintf(url, sizeof(url), "rtmps://h/live/%s", keys[i]);
        assert_redacted(url, "rtmps://h/live/***");
        (void)snprintf(url, sizeof(url), "rtmp://h/app/inst/%s?a=b", keys[i]);
        assert_redacted(url, "rtmp://h/app/inst/***?a=b");
        (void)snprintf(url, sizeof(url), "rtmp://h/live/cam1?%s", keys[i]);
        assert_redacted(url, "rtmp://h/live/cam1?***");
        (void)snprintf(url, sizeof(url), "rtsp://h/live/%s", keys[i]);
        assert_redacted(url, url);
    }
    assert_redacted("rtmp://h/AbC123dEf456", "rtmp://h/AbC123dEf456"); /* an application */
}

static void test_stream_id(void **state)
{
    char a[URL_STREAM_ID_MAX], b[URL_STREAM_ID_MAX];
    struct camera_url u = parse_ok("rtsp://admin:secret@10.0.0.9/s");
    url_stream_id(&u, IPC_TRANSPORT_RTSP_TCP, 0, a);
    assert_string_equal(a, "713fa4a996d82742"); /* stable between versions: it is in dashboards */

    u = parse_ok("rtsp://admin:other@10.0.0.9:554/s");
    url_stream_id(&u, IPC_TRANSPORT_RTSP_TCP, 0, b);
    assert_string_equal(a, b); /* says nothing about the password */
    url_stream_id(&u, IPC_TRANSPORT_RTSP_TCP, 12, b);
    assert_int_equal(strncmp(a, b, 16), 0);
    assert_string_equal(b + 16, "-12");

    url_stream_id(&u, IPC_TRANSPORT_RTSP_UDP, 0, b);
    assert_string_not_equal(a, b);
    u = parse_ok("rtsp://viewer:secret@10.0.0.9/s");
    url_stream_id(&u, IPC_TRANSPORT_RTSP_TCP, 0, b);
    assert_string_not_equal(a, b);
    u = parse_ok("rtsp://admin:secret@10.0.0.9/t");
    url_stream_id(&u, IPC_TRANSPORT_RTSP_TCP, 0, b);
    assert_string_not_equal(a, b);
}

static void test_transport(void **state)
{
    enum ipc_transport t = IPC_TRANSPORT_COUNT;
    assert_int_equal(url_transport_parse("rtsp-tcp", URL_RTSPS, &t), 0);
    assert_int_equal(t, IPC_TRANSPORT_RTSP_TCP);
    assert_int_equal(url_transport_parse("rtsp-udp", URL_RTSP, &t), 0);
    assert_int_equal(t, IPC_TRANSPORT_RTSP_UDP);
    assert_int_equal(url_transport_parse("rtmp", URL_RTMPS, &t), 0);
    assert_int_equal(t, IPC_TRANSPORT_RTMP);
    assert_int_equal(url_transport_parse("rtsp-udp", URL_RTSPS, &t), -EINVAL);
    assert_int_equal(url_transport_parse("rtsp-tcp", URL_RTMP, &t), -EINVAL);
    assert_int_equal(url_transport_parse("rtsp-tcp", URL_RTSPH, &t), -EINVAL);
    assert_int_equal(url_transport_parse("rtsp-multicast", URL_RTSPS, &t), -EINVAL);
    assert_int_equal(url_transport_parse("rtsp-multicast", URL_RTSP, &t), 0);
    assert_int_equal(t, IPC_TRANSPORT_RTSP_MULTICAST);
    for (int scheme = URL_RTSP; scheme <= URL_RTSPH; scheme++) {
        assert_int_equal(url_transport_parse("rtsp-http", (enum url_scheme)scheme, &t), 0);
        assert_int_equal(t, IPC_TRANSPORT_RTSP_HTTP);
    }
    assert_int_equal(url_default_transport(URL_RTSPH), IPC_TRANSPORT_RTSP_HTTP);
    assert_int_equal(url_transport_parse("rtmp", URL_HTTP, &t), -EINVAL);
    assert_int_equal(url_transport_parse("RTMP", URL_RTMP, &t), -EINVAL);
    assert_int_equal(url_transport_parse("", URL_RTMP, &t), -EINVAL);
    assert_int_equal(url_default_transport(URL_HTTPS), IPC_TRANSPORT_HTTP_FLV);
    assert_string_equal(url_transport_name(IPC_TRANSPORT_RTSP_UDP), "rtsp-udp");
    assert_string_equal(url_scheme_name(URL_RTMPS), "rtmps");
}

static void test_spellings_of_a_host(void **state)
{
    static const struct {
        const char *url, *host;
    } cases[] = {
        {"rtsp://nvr.lan/1", "nvr.lan"},
        {"rtsp://NVR.Lan./1", "nvr.lan"},
        {"rtsp://localhost./", "localhost"},
        {"rtsp://10.0.0.9/1", "10.0.0.9"},
        {"rtsp://[::ffff:10.0.0.9]/1", "10.0.0.9"},
        {"rtsp://[0:0::FFFF:a00:9]:554/1", "10.0.0.9"},
        {"rtsp://[2001:DB8:0::9]/1", "2001:db8::9"},
        {"rtsp://[::10.0.0.9]/1", "::10.0.0.9"}, /* no IPv4-mapped one */
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char host[URL_HOST_MAX];
        struct camera_url u = parse_ok(cases[i].url);
        url_host_write(u.host, host);
        assert_string_equal(host, cases[i].host);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_format_libav),
        cmocka_unit_test(test_redact),
        cmocka_unit_test(test_redact_misread),
        cmocka_unit_test(test_redact_names),
        cmocka_unit_test(test_redact_encoded),
        cmocka_unit_test(test_redact_logins_in_paths),
        cmocka_unit_test(test_redact_stream_keys),
        cmocka_unit_test(test_stream_id),
        cmocka_unit_test(test_spellings_of_a_host),
        cmocka_unit_test(test_transport),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
