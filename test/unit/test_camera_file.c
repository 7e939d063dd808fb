/* master/camera_file, conf_camera: the file of saved cameras is replaced whole or not at all, and
 * gives way to the operator's file. */
#include "master/camera_file.h"
#include "master/conf_camera.h"
#include "master/conf_file.h"

#include <errno.h>
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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/test_camera_file.XXXXXX";
static char path[64], beside[80];
static const char *step;
static char buf[1024];

static void read_cameras(struct conf *conf, const char *ini)
{
    memset(conf, 0, sizeof(*conf));
    int rc = conf_read_cameras(conf, "f", ini, strlen(ini), buf, sizeof(buf));
    if (rc != 0)
        print_error("%s\n", buf);
    assert_int_equal(rc, 0);
}

static int read_saved(struct conf *saved)
{
    buf[0] = '\0';
    struct conf_text text = {.buf = buf, .size = sizeof(buf)};
    return camera_file_read(path, saved, &text);
}

static void put_file(const char *name, const char *bytes)
{
    FILE *file = fopen(name, "w");
    assert_non_null(file);
    assert_true(fputs(bytes, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void assert_holds(const char *expected)
{
    char bytes[256] = "";
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_int_equal(fread(bytes, 1, sizeof(bytes) - 1, file), strlen(expected));
    (void)fclose(file);
    assert_string_equal(bytes, expected);
    assert_int_equal(access(beside, F_OK), -1);
}

static int make_folder(void **state)
{
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(path, sizeof(path), "%s/cameras.ini", folder);
    (void)snprintf(beside, sizeof(beside), "%s" CAMERA_FILE_NEW, path);
    return 0;
}

static int remove_folder(void **state)
{
    (void)unlink(path);
    (void)unlink(beside);
    return rmdir(folder);
}

static void test_write_and_read(void **state)
{
    struct conf saved, again;
    size_t len = 0;
    read_cameras(&saved, "[camera \"a\"]\nurl = rtsp://u:p%40ss%231@h/x\ntype = rtsp-udp\n"
                         "title = 大门; \"x\"\ngroup = Gate, left\nalways_on = yes\n[camera "
                         "\"b\"]\nurl = http://h/b.flv\n"
                         "sub = rtsp://u:p%40@h/sub\nsub_type = rtsp-udp\n[camera \"c\"]\n"
                         "url = rtsp://h/c\nsub = http://h/c.flv\n");
    char *bytes = camera_file_format(&saved, &len);
    mode_t mask = umask(0077);
    assert_int_equal(camera_file_write(path, bytes, len, &step), 0);
    (void)umask(mask);
    assert_null(step);
    free(bytes);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    assert_int_equal(read_saved(&again), 0);
    assert_int_equal(again.camera_count, 3);
    assert_int_equal(again.sub_count, 2);
    for (size_t i = 0; i < 3; i++)
        assert_memory_equal(&again.cameras[i], &saved.cameras[i], sizeof(saved.cameras[i]));
    conf_clear_cameras(&saved);
    conf_clear_cameras(&again);
}

static void test_no_file(void **state)
{
    struct conf saved;
    (void)unlink(path);
    assert_int_equal(read_saved(&saved), 0);
    assert_int_equal(saved.camera_count, 0);
    assert_int_equal(camera_file_check(path), 0);
}

static void test_what_is_not_read(void **state)
{
    struct conf saved;
    put_file(path, "[access]\ntoken =\n");
    assert_int_equal(read_saved(&saved), -EINVAL);
    assert_non_null(strstr(buf, "cameras.ini:1: [access]: [camera \"name\"] is accepted"));
    put_file(path, "[camera \"a\"]\nurl = rtsp://u:secret@h/\nurl = x\n");
    assert_int_equal(read_saved(&saved), -EINVAL);
    assert_null(strstr(buf, "secret"));
    assert_int_equal(saved.camera_count, 0);
    (void)unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0); /* would wait for a writer for ever */
    assert_int_equal(read_saved(&saved), -EINVAL);
    (void)unlink(path);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(read_saved(&saved), -EISDIR);
    assert_int_equal(camera_file_write(path, "new", 3, &step), -EISDIR);
    assert_string_equal(step, "replace");
    assert_int_equal(access(beside, F_OK), -1);
    (void)rmdir(path);
}

static void test_what_a_crash_left(void **state)
{
    put_file(path, "old");
    put_file(beside, "half of a much longer text that was not finished");
    assert_int_equal(camera_file_write(path, "new", 3, &step), 0);
    assert_holds("new");
    (void)unlink(path);
    assert_int_equal(symlink("/dev/null", beside), 0); /* nor is a link there followed */
    assert_int_equal(camera_file_write(path, "new", 3, &step), 0);
    assert_holds("new");
}

static void test_no_folder(void **state)
{
    assert_int_equal(camera_file_write("/nonexistent/cameras.ini", "new", 3, &step), -ENOENT);
    assert_string_equal(step, "create");
    assert_int_equal(camera_file_check("/nonexistent/cameras.ini"), -ENOENT);
}

/* A full disk: the limit of a file's size makes write() fail in the same way, in part first. */
static void test_full_disk(void **state)
{
    put_file(path, "old");
    pid_t pid = fork();
    if (pid == 0) {
        const struct rlimit limit = {.rlim_cur = 2, .rlim_max = 2};
        (void)signal(SIGXFSZ, SIG_IGN);
        (void)setrlimit(RLIMIT_FSIZE, &limit);
        int rc = camera_file_write(path, "new", 3, &step);
        _exit(rc == -EFBIG && strcmp(step, "write") == 0 ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_holds("old");
}

/* --- both files ---------------------------------------------------------------- */

static void test_operator_wins(void **state)
{
    struct conf conf, saved;
    read_cameras(&conf,
                 "[camera \"own\"]\nurl = rtsp://own/\n[camera \"both\"]\nurl = rtsp://own2/\n");
    read_cameras(&saved,
                 "[camera \"both\"]\nurl = rtsp://saved/\n[camera \"new\"]\nurl = rtsp://new/\n");
    assert_int_equal(conf_camera_set_saved(&conf, &saved), 0);
    assert_int_equal(conf.camera_count, 3);
    assert_int_equal(conf.hidden_count, 1);
    assert_string_equal(conf_find_camera(&conf, "both")->url.host, "own2");
    assert_false(conf_find_camera(&conf, "both")->saved);
    assert_true(conf_find_camera(&conf, "new")->saved);
    conf_clear_cameras(&saved);

    /* other saved ones take the place of the former, not of the operator's */
    read_cameras(&saved, "[camera \"other\"]\nurl = rtsp://other/\n");
    assert_int_equal(conf_camera_set_saved(&conf, &saved), 0);
    assert_int_equal(conf.camera_count, 3);
    assert_int_equal(conf.hidden_count, 0);
    assert_null(conf_find_camera(&conf, "new"));
    assert_ptr_equal(conf_find_camera(&conf, "other"), &conf.cameras[2]);
    assert_ptr_equal(conf_find_camera(&conf, "own"), &conf.cameras[0]);
    conf_clear_cameras(&saved);
    assert_int_equal(conf_camera_set_saved(&conf, &saved), 0);
    assert_int_equal(conf.camera_count, 2);
    conf_clear_cameras(&conf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_read),   cmocka_unit_test(test_no_file),
        cmocka_unit_test(test_what_is_not_read), cmocka_unit_test(test_what_a_crash_left),
        cmocka_unit_test(test_no_folder),        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_operator_wins),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
