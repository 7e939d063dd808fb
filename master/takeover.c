#include "master/takeover.h"

#include "common/fd.h"
#include "common/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

/* Before the fixed part and the tail, which together are padded to 8 bytes. */
struct prefix {
    uint32_t type;
    uint32_t fixed_len;
    uint32_t tail_len;
    uint32_t reserved;
};

static size_t padded(size_t len)
{
    return (len + 7) & ~(size_t)7;
}

/* --- writing ---------------------------------------------------------------- */

/* Grow without realloc(), which would leave passwords in freed memory. */
static void reserve(struct takeover_writer *w, size_t more)
{
    if (w->len + more <= w->capacity)
        return;
    size_t capacity = 2 * w->capacity + more + 4096;
    uint8_t *bytes = xcalloc(1, capacity);
    if (w->len > 0) {
        memcpy(bytes, w->bytes, w->len);
        explicit_bzero(w->bytes, w->len);
    }
    free(w->bytes);
    w->bytes = bytes;
    w->capacity = capacity;
}

static void append(struct takeover_writer *w, const void *bytes, size_t len)
{
    if (len > 0)
        memcpy(w->bytes + w->len, bytes, len);
    w->len += len;
}

void takeover_put(struct takeover_writer *w, enum takeover_type type, const void *payload,
                  size_t len, const void *tail, size_t tail_len)
{
    const struct prefix p = {(uint32_t)type, (uint32_t)len, (uint32_t)tail_len, 0};
    reserve(w, sizeof(p) + padded(len + tail_len));
    append(w, &p, sizeof(p));
    append(w, payload, len);
    append(w, tail, tail_len);
    w->len += padded(len + tail_len) - (len + tail_len); /* zeros */
}

int32_t takeover_pass_last(struct takeover_writer *w, int fd)
{
    if (fd == -1)
        return -1;
    if (w->passed_count == w->passed_capacity) {
        w->passed_capacity = 2 * w->passed_capacity + 64;
        w->passed = reallocarray(w->passed, w->passed_capacity, sizeof(*w->passed));
        if (w->passed == NULL)
            abort();
    }
    w->passed[w->passed_count++] = fd;
    return fd;
}

int32_t takeover_pass(struct takeover_writer *w, int fd)
{
    if (takeover_pass_last(w, fd) == -1)
        return -1;
    w->passed[w->passed_count - 1] = w->passed[w->early_count];
    w->passed[w->early_count++] = fd;
    return fd;
}

static int make_memory(void)
{
    int fd = memfd_create("takeover", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd == -1 && errno == EINVAL) /* an older kernel */
        fd = memfd_create("takeover", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd == -1 ? -errno : fd;
}

static int write_all(int fd, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    while (len > 0) {
        ssize_t n = write(fd, at, len);
        if (n == -1 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 ? -EIO : -errno;
        at += n;
        len -= (size_t)n;
    }
    return 0;
}

static int set_survival(int fd, bool survives)
{
    return fcntl(fd, F_SETFD, survives ? 0 : FD_CLOEXEC) == -1 ? -errno : 0;
}

static int let_survive(const struct takeover_writer *w)
{
    for (size_t i = 0; i < w->passed_count; i++) {
        int rc = set_survival(w->passed[i], true);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static struct takeover_head make_head(struct takeover_writer *w, int memory, const int *listeners)
{
    struct takeover_head head = {.version = TAKEOVER_VERSION};
    memcpy(head.magic, TAKEOVER_MAGIC, sizeof(head.magic));
    for (size_t i = 0; i < TAKEOVER_LISTENERS; i++)
        head.listeners[i] = takeover_pass_last(w, listeners[i]);
    (void)takeover_pass_last(w, memory);
    for (size_t i = 0; i < w->passed_count; i++)
        head.highest = w->passed[i] > head.highest ? w->passed[i] : head.highest;
    return head;
}

int takeover_seal(struct takeover_writer *w, const int listeners[TAKEOVER_LISTENERS])
{
    int memory = make_memory();
    if (memory < 0)
        return memory;
    const struct takeover_head head = make_head(w, memory, listeners);
    int rc = sizeof(head) + w->len > TAKEOVER_BYTES_MAX ? -EFBIG : 0;
    if (rc == 0)
        rc = write_all(memory, &head, sizeof(head));
    if (rc == 0)
        rc = write_all(memory, w->bytes, w->len);
    if (rc == 0 && fcntl(memory, F_ADD_SEALS, SEALS) == -1)
        rc = -errno;
    if (rc == 0)
        return memory;
    w->passed_count--; /* the memory itself */
    fd_close(&memory);
    return rc;
}

int takeover_finish(struct takeover_writer *w, const int listeners[TAKEOVER_LISTENERS])
{
    int memory = takeover_seal(w, listeners);
    int rc = memory < 0 ? memory : let_survive(w);
    if (rc == 0)
        return memory;
    if (memory >= 0) {
        w->passed_count--;
        fd_close(&memory);
    }
    return rc;
}

void takeover_writer_free(struct takeover_writer *w, bool survive)
{
    for (size_t i = 0; i < w->passed_count && !survive; i++)
        (void)set_survival(w->passed[i], false);
    if (w->bytes != NULL)
        explicit_bzero(w->bytes, w->len);
    free(w->bytes);
    free(w->passed);
    *w = (struct takeover_writer){0};
}

/* --- reading ---------------------------------------------------------------- */

struct takeover {
    struct takeover_head head;
    int *held; /* by the number that the writer had, up to head.highest; 0: none, or taken */
    uint8_t *bytes;
    size_t len;
    size_t at;
};

static bool read_all(int fd, void *out, size_t len, off_t from)
{
    uint8_t *at = out;
    while (len > 0) {
        ssize_t n = pread(fd, at, len, from);
        if (n == -1 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        at += n;
        from += n;
        len -= (size_t)n;
    }
    return true;
}

/* Only takeover_finish() of this process's last program makes such memory. */
static bool is_sealed(int fd, size_t *size)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals == -1 || (seals & SEALS) != SEALS || fstat(fd, &st) == -1)
        return false;
    *size = (size_t)st.st_size;
    return st.st_size >= (off_t)sizeof(struct takeover_head) &&
           st.st_size <= (off_t)TAKEOVER_BYTES_MAX;
}

/* Nothing inherited may reach a child. */
static void note_inherited(struct takeover *t, int memory)
{
    for (int fd = STDERR_FILENO + 1; fd <= t->head.highest; fd++)
        t->held[fd] = fd != memory && set_survival(fd, false) == 0 ? fd : 0;
}

static void note_received(struct takeover *t, const int32_t *numbers, const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int fd = fds[i];
        bool known = numbers[i] > 0 && numbers[i] <= t->head.highest && t->held[numbers[i]] == 0;
        if (known)
            t->held[numbers[i]] = fd;
        else
            fd_close(&fd);
    }
}

static bool head_is_ours(const struct takeover_head *head)
{
    return memcmp(head->magic, TAKEOVER_MAGIC, sizeof(head->magic)) == 0 && head->highest >= 0 &&
           head->highest < 1 << 24;
}

/* @return what the memory is of, without records; NULL: no takeover. */
static struct takeover *read_head(int fd, size_t *size)
{
    struct takeover_head head;
    if (!is_sealed(fd, size) || !read_all(fd, &head, sizeof(head), 0) || !head_is_ours(&head))
        return NULL;
    struct takeover *t = xcalloc(1, sizeof(*t));
    t->head = head;
    t->held = xcalloc((size_t)head.highest + 1, sizeof(*t->held));
    return t;
}

static enum takeover_news read_records(int fd, size_t size, struct takeover *t)
{
    if (t->head.version != TAKEOVER_VERSION)
        return TAKEOVER_UNKNOWN;
    size_t len = size - sizeof(t->head);
    t->bytes = xcalloc(1, len + 1);
    if (!read_all(fd, t->bytes, len, sizeof(t->head)))
        return TAKEOVER_UNKNOWN;
    t->len = len;
    return TAKEOVER_THERE;
}

enum takeover_news takeover_read(int fd, struct takeover **out)
{
    size_t size;
    *out = fd > STDERR_FILENO ? read_head(fd, &size) : NULL;
    if (*out == NULL)
        return TAKEOVER_BROKEN; /* it may be anybody's: not even closed */
    note_inherited(*out, fd);
    enum takeover_news news = read_records(fd, size, *out);
    fd_close(&fd);
    return news;
}

static void close_all(const int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int fd = fds[i];
        fd_close(&fd);
    }
}

enum takeover_news takeover_assemble(int fd, const int32_t *numbers, const int *fds, size_t count,
                                     struct takeover **out)
{
    size_t size;
    enum takeover_news news = TAKEOVER_BROKEN;
    *out = read_head(fd, &size);
    if (*out == NULL) {
        close_all(fds, count);
    } else {
        note_received(*out, numbers, fds, count);
        news = read_records(fd, size, *out);
    }
    fd_close(&fd);
    return news;
}

enum takeover_news takeover_open(struct takeover **out)
{
    const char *text = getenv(TAKEOVER_VARIABLE);
    char *end = NULL;
    *out = NULL;
    if (text == NULL)
        return TAKEOVER_NONE;
    errno = 0;
    long fd = strtol(text, &end, 10);
    bool number = errno == 0 && end != text && *end == '\0' && fd > 0 && fd < 1 << 24;
    (void)unsetenv(TAKEOVER_VARIABLE);
    return number ? takeover_read((int)fd, out) : TAKEOVER_BROKEN;
}

int takeover_claim(struct takeover *t, int32_t number)
{
    if (number < 0 || number > t->head.highest || t->held[number] == 0)
        return -1;
    int fd = t->held[number];
    t->held[number] = 0;
    return fd;
}

int takeover_listener(struct takeover *t, size_t i)
{
    return takeover_claim(t, t->head.listeners[i]);
}

bool takeover_next(struct takeover *t, struct takeover_record *record)
{
    struct prefix p;
    if (t->len - t->at < sizeof(p))
        return false;
    memcpy(&p, t->bytes + t->at, sizeof(p));
    t->at += sizeof(p);
    size_t left = t->len - t->at, len = (size_t)p.fixed_len + p.tail_len;
    if (len > left) {
        t->at = t->len;
        return false;
    }
    const uint8_t *fixed = t->bytes + t->at;
    *record = (struct takeover_record){(enum takeover_type)p.type, fixed, p.fixed_len,
                                       fixed + p.fixed_len, p.tail_len};
    t->at += padded(len) < left ? padded(len) : left;
    return true;
}

void takeover_get(const struct takeover_record *record, void *out, size_t size)
{
    memset(out, 0, size);
    memcpy(out, record->fixed, record->fixed_len < size ? record->fixed_len : size);
}

void takeover_close(struct takeover **takeover)
{
    struct takeover *t = *takeover;
    if (t == NULL)
        return;
    for (int32_t number = 0; number <= t->head.highest; number++) {
        if (t->held[number] != 0)
            (void)close(t->held[number]);
    }
    if (t->bytes != NULL)
        explicit_bzero(t->bytes, t->len);
    free(t->bytes);
    free(t->held);
    free(t);
    *takeover = NULL;
}
