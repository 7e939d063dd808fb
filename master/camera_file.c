#include "master/camera_file.h"

#include "master/conf_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX (8u << 20) /* more than CAMERA_FILE_MAX cameras of the longest URLs need */

/* --- reading ---------------------------------------------------------------- */

/* @return how many bytes were read, at most FILE_MAX; negative errno. */
static ssize_t read_bytes(int fd, char *bytes)
{
    size_t len = 0;
    while (len < FILE_MAX) {
        ssize_t n = read(fd, bytes + len, FILE_MAX - len);
        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1)
            return -errno;
        if (n == 0)
            break;
        len += (size_t)n;
    }
    return (ssize_t)len;
}

/* @return the number of bytes, 0 without a file, or negative errno. */
static ssize_t read_whole(const char *path, char *bytes)
{
    struct stat status;
    /* a fifo or a device must not hold the master up */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd == -1)
        return errno == ENOENT ? 0 : -errno;
    ssize_t len = fstat(fd, &status) == -1 ? -errno : 0;
    if (len == 0 && !S_ISREG(status.st_mode))
        len = S_ISDIR(status.st_mode) ? -EISDIR : -EINVAL;
    if (len == 0)
        len = read_bytes(fd, bytes);
    (void)close(fd);
    return len == FILE_MAX ? -EFBIG : len;
}

int camera_file_read(const char *path, struct conf *saved, struct conf_text *text)
{
    memset(saved, 0, sizeof(*saved));
    char *bytes = malloc(FILE_MAX);
    ssize_t len = bytes != NULL ? read_whole(path, bytes) : -ENOMEM;
    int rc = len < 0 ? (int)len : 0;
    if (rc != 0)
        conf_text_put(text, "%s: %s", path, strerror(-rc));
    else
        rc = conf_read_cameras(saved, path, bytes, (size_t)len, text->buf, text->size);
    text->len = strlen(text->buf);
    if (len > 0)
        explicit_bzero(bytes, (size_t)len);
    free(bytes);
    if (rc != 0)
        conf_clear_cameras(saved);
    return rc;
}

/* --- writing ---------------------------------------------------------------- */

static void put_sub(FILE *out, const struct conf_camera *camera)
{
    struct camera_url url;
    const char *reason;
    (void)url_parse(&url, camera->sub_key, strlen(camera->sub_key), &reason);
    (void)fprintf(out, "sub = %s\n", camera->sub_key);
    if (camera->sub_transport != url_default_transport(url.scheme))
        (void)fprintf(out, "sub_type = %s\n", url_transport_name(camera->sub_transport));
    explicit_bzero(&url, sizeof(url)); /* a password */
}

static void put_camera(FILE *out, const struct conf_camera *camera)
{
    (void)fprintf(out, "\n[camera \"%s\"]\nurl = %s\n", camera->name, camera->key);
    if (camera->transport != url_default_transport(camera->url.scheme))
        (void)fprintf(out, "type = %s\n", url_transport_name(camera->transport));
    if (camera->sub_key[0] != '\0')
        put_sub(out, camera);
    if (camera->title[0] != '\0')
        (void)fprintf(out, "title = %s\n", camera->title);
    if (camera->group[0] != '\0')
        (void)fprintf(out, "group = %s\n", camera->group);
    if (camera->always_on)
        (void)fprintf(out, "always_on = yes\n");
}

char *camera_file_format(const struct conf *saved, size_t *len)
{
    static const char head[] = "; Cameras that requests have saved (PUT /api/cameras/NAME).\n";
    size_t room = sizeof(head) + saved->camera_count * (2 * IPC_URL_MAX + 1024);
    char *text = malloc(room);
    FILE *out = text != NULL ? fmemopen(text, room, "w") : NULL;
    if (out == NULL) {
        free(text);
        return NULL;
    }
    (void)setvbuf(out, NULL, _IONBF, 0); /* its buffer would keep passwords */
    (void)fputs(head, out);
    for (size_t i = 0; i < saved->camera_count; i++)
        put_camera(out, &saved->cameras[i]);
    *len = (size_t)ftell(out);
    (void)fclose(out);
    return text;
}

static int write_bytes(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n == -1 && errno == EINTR)
            continue;
        if (n == -1)
            return -errno;
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

static void path_beside(const char *path, char out[CONF_PATH_MAX + sizeof(CAMERA_FILE_NEW)])
{
    (void)snprintf(out, CONF_PATH_MAX + sizeof(CAMERA_FILE_NEW), "%s%s", path, CAMERA_FILE_NEW);
}

static void folder_of(const char *path, char out[CONF_PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    int len = slash != NULL && slash != path ? (int)(slash - path) : 1;
    (void)snprintf(out, CONF_PATH_MAX, "%.*s", len, path);
}

/* The new name is on the disk when its folder is. */
static int flush_folder(const char *path)
{
    char folder[CONF_PATH_MAX];
    folder_of(path, folder);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd == -1)
        return -errno;
    int rc = fsync(fd) == -1 && errno != EINVAL ? -errno : 0; /* EINVAL: nothing to flush there */
    (void)close(fd);
    return rc;
}

/* Write the file beside it, to the disk. */
static int write_new(const char *path, const char *bytes, size_t len, const char **step)
{
    *step = "create";
    (void)unlink(path); /* left by a crash, or no file at all */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, CAMERA_FILE_MODE);
    if (fd == -1)
        return -errno;
    int rc = fchmod(fd, CAMERA_FILE_MODE) == -1 ? -errno : 0; /* whatever the umask */
    *step = "write";
    if (rc == 0)
        rc = write_bytes(fd, bytes, len);
    if (rc == 0 && fsync(fd) == -1)
        rc = -errno;
    if (close(fd) == -1 && rc == 0)
        rc = -errno;
    return rc;
}

int camera_file_write(const char *path, const char *bytes, size_t len, const char **step)
{
    char beside[CONF_PATH_MAX + sizeof(CAMERA_FILE_NEW)];
    path_beside(path, beside);
    int rc = write_new(beside, bytes, len, step);
    if (rc == 0) {
        *step = "replace";
        rc = rename(beside, path) == -1 ? -errno : 0;
    }
    if (rc != 0) {
        (void)unlink(beside);
        return rc;
    }
    *step = flush_folder(path) == 0 ? NULL : "flush the folder";
    return 0;
}

int camera_file_check(const char *path)
{
    char folder[CONF_PATH_MAX];
    folder_of(path, folder);
    return access(folder, W_OK | X_OK) == -1 ? -errno : 0;
}
