/*
 * Sample cameras: reads loop files; loops.py describes the format.  Test side only; needs only
 * libc. A malformed file is refused, but the checks do not cover hostile files.
 */
#include "test/cameras/loop_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "sample-loop 1\n"
#define END_OF_HEAD "\ndata\n"

static int parse_config(const char *hex, struct loop_file *loop)
{
    size_t n = strspn(hex, "0123456789abcdef");

    if (n % 2 || n / 2 > sizeof(loop->config))
        return -EINVAL;
    for (size_t i = 0; i < n / 2; i++) {
        char byte[3] = {hex[2 * i], hex[2 * i + 1], 0};

        loop->config[i] = (uint8_t)strtoul(byte, NULL, 16);
    }
    loop->config_bytes = n / 2;
    return 0;
}

static int parse_frame(const char *line, struct loop_file *loop, const uint8_t **data,
                       const uint8_t *end)
{
    struct loop_frame *grown, *frame;
    char *rest;
    size_t bytes = strtoul(line, &rest, 10);
    int64_t pts = strtoll(rest, &rest, 10);
    long key = strtol(rest, &rest, 10);

    if (*rest || bytes > (size_t)(end - *data))
        return -EINVAL;
    grown = realloc(loop->frames, (loop->frame_count + 1) * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    loop->frames = grown;
    frame = &loop->frames[loop->frame_count++];
    frame->data = *data;
    frame->bytes = bytes;
    frame->pts = pts;
    frame->key = key != 0;
    *data += bytes;
    return 0;
}

/* head is a NUL-terminated copy of the text head; parsing modifies it. */
static int parse_head(char *head, struct loop_file *loop, const uint8_t *data, const uint8_t *end)
{
    char *rest = NULL;
    int err = 0;

    for (char *line = strtok_r(head, "\n", &rest); line && !err;
         line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "frame ", 6) == 0)
            err = parse_frame(line + 6, loop, &data, end);
        else if (strncmp(line, "codec ", 6) == 0)
            snprintf(loop->codec, sizeof(loop->codec), "%s", line + 6);
        else if (strncmp(line, "timescale ", 10) == 0)
            loop->timescale = strtoll(line + 10, NULL, 10);
        else if (strncmp(line, "duration ", 9) == 0)
            loop->duration = strtoll(line + 9, NULL, 10);
        else if (strncmp(line, "config ", 7) == 0)
            err = parse_config(line + 7, loop);
    }
    if (!err && (loop->timescale <= 0 || loop->duration <= 0 || !loop->frame_count))
        err = -EINVAL;
    return err;
}

int loop_file_open(const char *path, struct loop_file *loop)
{
    const char *map = MAP_FAILED, *data;
    char *head = NULL;
    struct stat st;
    int fd, err = -EINVAL;

    memset(loop, 0, sizeof(*loop));
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0) {
        err = -errno;
        goto out;
    }
    map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
        err = -errno;
        goto out;
    }
    if ((size_t)st.st_size < strlen(MAGIC) || memcmp(map, MAGIC, strlen(MAGIC)) != 0)
        goto out;
    data = memmem(map, (size_t)st.st_size, END_OF_HEAD, strlen(END_OF_HEAD));
    if (!data)
        goto out;
    head = strndup(map, (size_t)(data - map));
    if (!head) {
        err = -ENOMEM;
        goto out;
    }
    err = parse_head(head, loop, (const uint8_t *)data + strlen(END_OF_HEAD),
                     (const uint8_t *)map + st.st_size);
out:
    free(head);
    if (err) {
        free(loop->frames);
        loop->frames = NULL;
        if (map != MAP_FAILED)
            munmap((void *)(uintptr_t)map, (size_t)st.st_size);
    }
    close(fd);
    return err;
}
