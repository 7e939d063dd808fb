/* master/conf, conf_file, conf_option: what configures the program, and what is refused. */
#include "master/conf_camera.h"
#include "master/conf_file.h"
#include "master/conf_load.h"
#include "master/conf_option.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct conf conf;
static char text[CONF_TEXT_MAX];

static int read_text(const char *ini)
{
    conf_option_set_defaults(&conf);
    return conf_read(&conf, "cams.ini", ini, strlen(ini), text, sizeof(text));
}

static void read_ok(const char *ini)
{
    int rc = read_text(ini);
    if (rc != 0)
        print_error("%s\n", text);
    assert_int_equal(rc, 0);
}

static void read_fails(const char *ini, const char *expected)
{
    assert_int_equal(read_text(ini), -EINVAL);
    assert_string_equal(text, expected);
    conf_free(&conf);
}

/* conf_load() takes what main() got, which is writable; here it is not written to. */
static int load(const char *const *args, int count)
{
    char *argv[16] = {(char *)(uintptr_t) "cam-httpflv"};
    for (int i = 0; i < count; i++)
        argv[1 + i] = (char *)(uintptr_t)args[i];
    return conf_load(&conf, 1 + count, argv, text, sizeof(text));
}

#define COUNT_OF(...) ((int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(const char *)))
#define LOAD(...) load((const char *[]){__VA_ARGS__}, COUNT_OF(__VA_ARGS__))

static void test_defaults(void **state)
{
    assert_int_equal(load(NULL, 0), CONF_RUN);
    assert_string_equal(conf.server.bind, "0.0.0.0");
    assert_int_equal(conf.server.flv_port, 8005);
    assert_int_equal(conf.server.snapshot_port, 8006);
    assert_int_equal(conf.server.log_level, LOG_LEVEL_INFO);
    assert_int_equal(conf.server.log_format, LOG_FORMAT_TEXT);
    assert_string_equal(conf.server.user, "");
    assert_string_equal(conf.server.group, "");
    assert_int_equal(conf.server.sandbox, SANDBOX_ON);
    assert_int_equal(conf.server.spare_workers, 2);
    assert_int_equal(conf.server.max_cameras, 256);
    assert_int_equal(conf.server.max_viewers, 10000);
    assert_int_equal(conf.camera.connect_timeout_ms, 10000);
    assert_int_equal(conf.camera.stall_timeout_ms, 5000);
    assert_int_equal(conf.camera.idle_timeout_ms, 30000);
    assert_int_equal(conf.camera.reconnect_window_ms, 60000);
    assert_int_equal(conf.camera.gop_max_bytes, 33554432);
    assert_int_equal(conf.viewer.queue_max_ms, 3000);
    assert_int_equal(conf.viewer.stall_timeout_ms, 15000);
    assert_int_equal(conf.camera_count, 0);
    assert_null(conf_find_camera(&conf, "front-door"));
    conf_free(&conf);
}

static void test_file(void **state)
{
    read_ok("\xef\xbb\xbf[server]\r\n"
            "bind = ::            ; both families\r\n"
            "# a comment\n"
            "   flv_port=0\n"
            "log_level : debug\n"
            "log_format = json\n"
            "user = _cam-2.x\n"
            "group = video\n"
            "sandbox = require\n"
            "[camera]             ; every stream\n"
            "gop_max_bytes = 1073741824\n"
            "stall_timeout_ms = 100\n"
            "\n"
            "[viewer]\n"
            "stall_timeout_ms = 600000\n"
            "[camera \"front-door\"]\n"
            "url = rtsp://admin:p;a#b@10.0.0.9/stream1?a=1 ; the password has a semicolon\n"
            "[camera \"gate.2_x\"]\n"
            "always_on = yes\n"
            "title = 大门\n"
            "group = Gate, ground floor\n"
            "type = rtsp-udp\n"
            "url = \"rtsp://10.0.0.8/s.flv%20\"\n"
            "[camera]\n"
            "idle_timeout_ms = 0");
    assert_string_equal(conf.server.bind, "::");
    assert_int_equal(conf.server.flv_port, 0);
    assert_int_equal(conf.server.snapshot_port, 8006);
    assert_int_equal(conf.server.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(conf.server.log_format, LOG_FORMAT_JSON);
    assert_string_equal(conf.server.user, "_cam-2.x");
    assert_string_equal(conf.server.group, "video");
    assert_int_equal(conf.server.sandbox, SANDBOX_REQUIRE);
    assert_int_equal(conf.camera.gop_max_bytes, 1073741824);
    assert_int_equal(conf.camera.stall_timeout_ms, 100);
    assert_int_equal(conf.camera.idle_timeout_ms, 0);
    assert_int_equal(conf.viewer.stall_timeout_ms, 600000);

    assert_int_equal(conf.camera_count, 2);
    const struct conf_camera *camera = conf_find_camera(&conf, "front-door");
    assert_non_null(camera);
    assert_string_equal(camera->url.password, "p;a#b");
    assert_string_equal(camera->url.path, "/stream1?a=1");
    assert_int_equal(camera->transport, IPC_TRANSPORT_RTSP_TCP);
    assert_false(camera->always_on);
    assert_string_equal(camera->title, "");
    camera = conf_find_camera(&conf, "gate.2_x");
    assert_string_equal(camera->title, "大门");
    assert_string_equal(camera->group, "Gate, ground floor");
    assert_non_null(camera);
    assert_int_equal(camera->transport, IPC_TRANSPORT_RTSP_UDP);
    assert_true(camera->always_on);
    assert_string_equal(camera->url.path, "/s.flv%20"); /* never encoded: the escape is its own */
    conf_free(&conf);
}

static void test_file_errors(void **state)
{
    read_fails("[server]\nbind = localhost\n",
               "cams.ini:2: [server] bind: an IPv4 or IPv6 address is accepted");
    read_fails("[server]\n\nflv_port = 65536\n",
               "cams.ini:3: [server] flv_port: a number from 0 to 65535 is accepted");
    read_fails("[server]\nflv_port = -1\n",
               "cams.ini:2: [server] flv_port: a number from 0 to 65535 is accepted");
    read_fails("[server]\nflv_port =\n",
               "cams.ini:2: [server] flv_port: a number from 0 to 65535 is accepted");
    read_fails("[server]\nflv_port = 0x10\n",
               "cams.ini:2: [server] flv_port: a number from 0 to 65535 is accepted");
    read_fails("[camera]\ngop_max_bytes = 99999999999999999999999\n",
               "cams.ini:2: [camera] gop_max_bytes: a number from 65536 to 1073741824 is accepted");
    read_fails("[camera]\nstall_timeout_ms = 99\n",
               "cams.ini:2: [camera] stall_timeout_ms: a number from 100 to 600000 is accepted");
    read_fails("[server]\nlog_level = loud\n",
               "cams.ini:2: [server] log_level: error, warn, info, debug or trace is accepted");
    read_fails("[server]\nlog_format = xml\n",
               "cams.ini:2: [server] log_format: text or json is accepted");
    read_fails("[server]\nsandbox = yes\n",
               "cams.ini:2: [server] sandbox: on, off or require is accepted");
    read_fails("[server]\nuser = -x\n",
               "cams.ini:2: [server] user: a name of up to 31 letters, digits, '.', '_' and '-' is "
               "accepted");
    read_fails(
        "[server]\ngroup = a b\n",
        "cams.ini:2: [server] group: a name of up to 31 letters, digits, '.', '_' and '-' is "
        "accepted");
    read_fails("[viewer]\nflv_port = 1\n",
               "cams.ini:2: [viewer] flv_port: unknown key; queue_max_ms, stall_timeout_ms are "
               "accepted");
    read_fails("flv_port = 1\n", "cams.ini:1: flv_port: a [section] must come before it");
    read_fails("[server]\nhello\n", "cams.ini:2: key = value is accepted");
    read_fails("\n[server\nflv_port = 1\n",
               "cams.ini:2: [section], alone on its line, is accepted");
    read_fails("[server] flv_port = 1\n", "cams.ini:1: [section], alone on its line, is accepted");
    /* also without a key: nothing that protects may be taken without effect */
    read_fails("[acces]\n", "cams.ini:1: [acces]: [server], [camera], [viewer], [access] and "
                            "[camera \"name\"] are accepted");
    read_fails("[Server]\nflv_port = 1\n",
               "cams.ini:1: [Server]: [server], [camera], [viewer], [access] and "
               "[camera \"name\"] are accepted");
    read_fails("[]\n",
               "cams.ini:1: []: [server], [camera], [viewer], [access] and [camera \"name\"] are "
               "accepted");

    char nul[] = "[server]\nbind = ::\0x\n";
    conf_option_set_defaults(&conf);
    assert_int_equal(conf_read(&conf, "f", nul, sizeof(nul) - 1, text, sizeof(text)), -EINVAL);
    assert_string_equal(text, "f:2: NUL byte");
}

static void test_camera_errors(void **state)
{
    static const char name_rule[] = "name: up to 63 letters, digits, '.', '_' and '-', not ending "
                                    "in .flv, are accepted";
    static const char *const bad_names[] = {"", "a b", "a/b", "a\"b", "\xc3\xbc", "a.flv", ".flv"};
    for (size_t i = 0; i < sizeof(bad_names) / sizeof(bad_names[0]); i++) {
        char ini[128];
        char expected[256];
        (void)snprintf(ini, sizeof(ini), "[camera \"%s\"]\nurl = rtsp://h/s\n", bad_names[i]);
        (void)snprintf(expected, sizeof(expected), "cams.ini:1: [camera \"%s\"] %s", bad_names[i],
                       name_rule);
        read_fails(ini, expected);
    }
    read_fails("[camera front]\n",
               "cams.ini:1: [camera front]: [server], [camera], [viewer], [access] and "
               "[camera \"name\"] are accepted");
    read_fails("[camera \"]\n",
               "cams.ini:1: [camera \"]: [server], [camera], [viewer], [access] and "
               "[camera \"name\"] are accepted");
    read_fails("[camera \"a\"]\ntype = rtmp\n[server]\n",
               "cams.ini:1: [camera \"a\"] url is missing");
    read_fails("\n[camera \"a\"]\n", "cams.ini:2: [camera \"a\"] url is missing");
    read_fails("[camera \"a\"]\nurl = rtsp://h/s\n[camera \"a\"]\nurl = rtsp://h/t\n",
               "cams.ini:3: [camera \"a\"] appears twice");
    read_fails(
        "[camera \"a\"]\nurl = file:///secret\n",
        "cams.ini:2: [camera \"a\"] url: scheme: rtsp, rtsps, rtsph, rtmp, rtmps, http and https "
        "are accepted");
    read_fails("[camera \"a\"]\ntype = rtsp-udp\nurl = rtsps://u:secret@h/s\n",
               "cams.ini:2: [camera \"a\"] type: " URL_TRANSPORTS_ACCEPTED);
    read_fails("[camera \"a\"]\nurl = rtsp://u:secret@h/s\ntype =\n",
               "cams.ini:3: [camera \"a\"] type: " URL_TRANSPORTS_ACCEPTED);
    read_fails("[camera \"a\"]\nurl = rtsp://h/s\nalways_on = maybe\n",
               "cams.ini:3: [camera \"a\"] always_on: yes or no is accepted");
    read_fails("[camera \"a\"]\nurl = rtsp://h/s\ntitle = \xff\n",
               "cams.ini:3: [camera \"a\"] title: up to 127 bytes of UTF-8 text are accepted");
    read_fails("[camera \"a\"]\nurl = rtsp://h/s\ngroup = a\x1b[0m\n",
               "cams.ini:3: [camera \"a\"] group: up to 127 bytes of UTF-8 text are accepted");
    read_fails("[camera \"a\"]\nurl = rtsp://h/s\npassword = x\n",
               "cams.ini:3: [camera \"a\"] password: unknown key; url, type, sub, sub_type, title, "
               "group, always_on are "
               "accepted");
}

static void test_sub_streams(void **state)
{
    read_ok("[camera \"gate\"]\nsub_type = rtsp-udp\nsub = rtsp://admin:s3cret@10.0.0.9/sub\n"
            "url = rtsp://10.0.0.9/main\ntitle = Gate\ngroup = Front\nalways_on = yes\n"
            "[camera \"yard\"]\nurl = rtsp://10.0.0.8/\nsub =\nsub_type =\n");
    const struct conf_camera *gate = conf_find_camera(&conf, "gate");
    const struct conf_camera *sub = conf_find_camera(&conf, "gate:sub");
    assert_int_equal(conf.camera_count, 2);
    assert_int_equal(conf.sub_count, 1);
    assert_ptr_equal(conf_camera_sub(&conf, gate), sub);
    assert_ptr_equal(conf_camera_main(&conf, sub), gate);
    assert_null(conf_camera_main(&conf, gate));
    assert_null(conf_camera_sub(&conf, sub));
    assert_null(conf_camera_sub(&conf, conf_find_camera(&conf, "yard")));
    assert_string_equal(sub->url.password, "s3cret");
    assert_string_equal(sub->key, "rtsp://admin:s3cret@10.0.0.9/sub");
    assert_int_equal(sub->transport, IPC_TRANSPORT_RTSP_UDP);
    assert_int_equal(gate->transport, IPC_TRANSPORT_RTSP_TCP);
    assert_string_equal(sub->title, "Gate");
    assert_string_equal(sub->group, "Front");
    assert_false(sub->always_on);
    assert_true(conf_has_secrets(&conf)); /* the sub-stream's password */
    struct conf none = {.camera_count = 0};
    assert_int_equal(conf_camera_set_saved(&conf, &none), 0); /* the list is made anew */
    assert_ptr_equal(conf_camera_main(&conf, conf_find_camera(&conf, "gate:sub")),
                     conf_find_camera(&conf, "gate"));
    conf_free(&conf);
    assert_int_equal(conf.sub_count, 0);

    read_fails("[camera \"a\"]\nurl = rtsp://h/s\nsub = ftp://h/\n",
               "cams.ini:3: [camera \"a\"] sub: scheme: rtsp, rtsps, rtsph, rtmp, rtmps, http and "
               "https are accepted");
    read_fails("[camera \"a\"]\nurl = rtsp://h/s\nsub_type = rtmp\nsub = rtsp://h/\n",
               "cams.ini:3: [camera \"a\"] sub_type: " URL_TRANSPORTS_ACCEPTED);
    read_fails("[camera \"a\"]\nurl = rtsp://h/s\nsub_type = rtsp-tcp\n",
               "cams.ini:3: [camera \"a\"] sub_type: sub = URL is needed with it");
    read_fails(
        "[camera \"a23456789b23456789c23456789d23456789e23456789f23456789g23456\"]\n"
        "url = rtsp://h/s\nsub = rtsp://h/\n",
        "cams.ini:3: [camera \"a23456789b23456789c23456789d23456789e23456789f23456789g23456\"] "
        "sub: names of up to 59 characters can have one");
    read_fails("[camera \"a:sub\"]\nurl = rtsp://h/s\n",
               "cams.ini:1: [camera \"a:sub\"] name: " CONF_CAMERA_NAME_ACCEPTED);
}

static void test_long_lines(void **state)
{
    static char ini[IPC_URL_MAX * 2];
    char path[1000];
    char name[IPC_CAMERA_ID_MAX + 1];
    memset(path, 'a', sizeof(path));
    path[sizeof(path) - 1] = '\0';
    memset(name, 'n', sizeof(name));
    name[IPC_CAMERA_ID_MAX - 1] = '\0';
    (void)snprintf(ini, sizeof(ini), "[camera \"%s\"]\nurl = rtsp://h/%s ; comment\n", name, path);
    read_ok(ini);
    assert_int_equal(strlen(conf.cameras[0].url.path), sizeof(path));
    assert_string_equal(conf.cameras[0].name, name);
    conf_free(&conf);

    name[IPC_CAMERA_ID_MAX - 1] = 'n';
    name[IPC_CAMERA_ID_MAX] = '\0';
    (void)snprintf(ini, sizeof(ini), "[camera \"%s\"]\nurl = rtsp://h/s\n", name);
    assert_int_equal(read_text(ini), -EINVAL);
    assert_non_null(strstr(text, "up to 63 letters"));
    conf_free(&conf);

    memset(ini, 'a', sizeof(ini));
    ini[sizeof(ini) - 1] = '\0';
    read_fails(ini, "cams.ini:1: lines of up to 2303 bytes are accepted");
    memcpy(ini, "[server]\n;", 10);
    read_fails(ini, "cams.ini:2: lines of up to 2303 bytes are accepted");
}

static void test_many_cameras(void **state)
{
    enum { COUNT = 300 };
    char *ini = malloc(COUNT * 64);
    assert_non_null(ini);
    size_t n = 0;
    for (int i = 0; i < COUNT; i++)
        n += (size_t)sprintf(ini + n, "[camera \"c%d\"]\nurl = rtsp://10.0.0.%d/s\n", i, i % 256);
    read_ok(ini);
    assert_int_equal(conf.camera_count, COUNT);
    assert_string_equal(conf_find_camera(&conf, "c299")->url.host, "10.0.0.43");
    conf_free(&conf);
    free(ini);
}

static void write_file(const char *path, const char *bytes)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(bytes, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Defaults < file < environment < flags. */
static void test_order(void **state)
{
    char path[] = "/tmp/test_conf_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    write_file(path, "[server]\nflv_port = 1\nsnapshot_port = 1\nmax_viewers = 1\n"
                     "[camera]\nstall_timeout_ms = 101\n[viewer]\nstall_timeout_ms = 101\n");
    setenv("CAM_HTTPFLV_FLV_PORT", "2", 1);
    setenv("CAM_HTTPFLV_SNAPSHOT_PORT", "2", 1);
    setenv("CAM_HTTPFLV_VIEWER_STALL_TIMEOUT_MS", "102", 1);
    setenv("CAM_HTTPFLV_PORT", "tcp://10.0.0.1:8005", 1); /* Kubernetes makes such */

    assert_int_equal(
        LOAD("--flv-port=3", "--config", path, "--bind", "::1", "--log-level", "trace"), CONF_RUN);
    assert_int_equal(conf.server.flv_port, 3);
    assert_int_equal(conf.server.snapshot_port, 2);
    assert_int_equal(conf.server.max_viewers, 1);
    assert_int_equal(conf.server.max_cameras, 256);
    assert_int_equal(conf.camera.stall_timeout_ms, 101);
    assert_int_equal(conf.viewer.stall_timeout_ms, 102);
    assert_string_equal(conf.server.bind, "::1");
    assert_int_equal(conf.server.log_level, LOG_LEVEL_TRACE);
    conf_free(&conf);

    setenv("CAM_HTTPFLV_FLV_PORT", "two", 1);
    assert_int_equal(LOAD("--config", path), -EINVAL);
    assert_string_equal(text, "CAM_HTTPFLV_FLV_PORT: a number from 0 to 65535 is accepted");

    write_file(path, "[server]\nnope = 1\n");
    assert_int_equal(LOAD("--config", path), -EINVAL);
    assert_memory_equal(text, path, strlen(path));
    assert_memory_equal(text + strlen(path), ":2: [server] nope: unknown key; bind, ", 38);

    unsetenv("CAM_HTTPFLV_FLV_PORT");
    unsetenv("CAM_HTTPFLV_SNAPSHOT_PORT");
    unsetenv("CAM_HTTPFLV_VIEWER_STALL_TIMEOUT_MS");
    unsetenv("CAM_HTTPFLV_PORT");
    (void)unlink(path);
    assert_int_equal(LOAD("--config", path), -ENOENT);
    assert_memory_equal(text, path, strlen(path));
    assert_string_equal(text + strlen(path), ": No such file or directory");
    assert_int_equal(LOAD("--config", "/"), -EISDIR);
}

static void flag_fails(const char *flag, const char *expected)
{
    assert_int_equal(LOAD(flag), -EINVAL);
    assert_string_equal(text, expected);
}

static void test_flags(void **state)
{
    static const char all[] =
        " unknown option; --config, --bind, --flv-port, --snapshot-port, "
        "--log-level, --check-config, --check-upgrade, --version, --help are accepted";
    static const char *const unknown[] = {"--port", "-h", "cams.ini", "--help=1", "--flv-por", ""};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        char expected[256];
        (void)snprintf(expected, sizeof(expected), "%s:%s", unknown[i], all);
        flag_fails(unknown[i], expected);
    }
    flag_fails("--flv-port", "--flv-port: N is missing");
    flag_fails("--flv-port=", "--flv-port: a number from 0 to 65535 is accepted");
    flag_fails("--bind=any", "--bind: an IPv4 or IPv6 address is accepted");
    flag_fails("--log-level=3", "--log-level: error, warn, info, debug or trace is accepted");
}

static void test_texts(void **state)
{
    assert_int_equal(LOAD("--version"), CONF_VERSION);
    assert_memory_equal(text, "cam-httpflv ", 12);
    assert_null(strchr(text, '\n'));

    /* --help wins, and does not look at the rest */
    assert_int_equal(LOAD("--config=/nowhere", "--help"), CONF_HELP);
    assert_true(strlen(text) < CONF_TEXT_MAX - 512);
#define X(section, key, type, initial, min, max, change, help) \
    assert_non_null(strstr(text, "  " #key " = "));
    CONF_OPTIONS(X)
#undef X
    assert_non_null(strstr(text, "CAM_HTTPFLV_VIEWER_STALL_TIMEOUT_MS\n"));
    assert_non_null(strstr(text, "--check-config"));
    assert_non_null(strstr(text, "always_on"));

    /* what --check-config prints is a configuration */
    assert_int_equal(LOAD("--check-config", "--flv-port=9"), CONF_CHECKED);
    conf_free(&conf);
    char *printed = strdup(text);
    assert_non_null(strstr(printed, "[server]\nbind = 0.0.0.0\nflv_port = 9\n"));
    read_ok(printed);
    assert_int_equal(conf.server.flv_port, 9);
    conf_free(&conf);
    free(printed);
}

/* A reload keeps what only a start may change, takes the rest, and names what it kept. */
static void test_reload_keeps_start_options(void **state)
{
    struct conf old;
    char buf[256] = "";
    struct conf_text changed = {.buf = buf, .size = sizeof(buf)};
    read_ok("[server]\nbind = 127.0.0.1\nflv_port = 1\nsandbox = require\n");
    old = conf;
    read_ok("[server]\nbind = 10.11.12.13\nbind = 127.0.0.1\nflv_port = 2\nsandbox = off\n"
            "max_cameras = 7\n[access]\ntoken = new\n");
    conf_option_keep(&old, &conf, &changed);
    assert_string_equal(buf, "[server] flv_port, [server] sandbox"); /* bind is what it was */
    assert_int_equal(conf.server.flv_port, 1);
    assert_int_equal(conf.server.sandbox, SANDBOX_REQUIRE);
    assert_int_equal(conf.server.max_cameras, 7);
    assert_string_equal(conf.access.token, "new");

    conf_text_cut(&changed, 0);
    conf_option_keep(&conf, &conf, &changed);
    assert_string_equal(buf, "");
    conf_free(&conf);
}

/* Each option's default, and what is written, is what is read. */
static void test_values_are_written_as_they_are_read(void **state)
{
    struct conf copy;
    read_ok("[server]\nlog_level = trace\nlog_format = json\nsandbox = off\n"
            "[camera]\ntls_verify = no\ngop_max_bytes = 65536\n"
            "[access]\ncameras = 10.0.0.0/8, *.cams.example\n");
    conf_option_set_defaults(&copy);
    for (size_t i = 0; i < conf_option_count; i++) {
        char buf[IPC_ACCESS_LIST_MAX + 64] = "";
        struct conf_text written = {.buf = buf, .size = sizeof(buf)};
        conf_option_write(&conf, &conf_options[i], &written);
        assert_int_equal(conf_option_set(&copy, &conf_options[i], buf, &written), 0);
    }
    assert_memory_equal(&copy, &conf, sizeof(conf));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_file_errors),
        cmocka_unit_test(test_camera_errors),
        cmocka_unit_test(test_sub_streams),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_many_cameras),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_reload_keeps_start_options),
        cmocka_unit_test(test_values_are_written_as_they_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
