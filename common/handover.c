#include "common/handover.h"

#include "common/fd.h"
#include "common/xalloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif

/* What the shared memory looks like. */
struct layout {
    uint32_t version; /* HANDOVER_VERSION */
    uint32_t count;   /* HANDOVER_SLOTS */
    uint64_t reserved[7];
    struct handover_slot slots[HANDOVER_SLOTS];
};
_Static_assert(offsetof(struct layout, slots) == sizeof(struct handover_slot), "slots are aligned");

struct handover {
    struct layout *memory;
    int fd; /* -1: not kept */
};

static int map(int fd, struct handover **out)
{
    void *memory = mmap(NULL, sizeof(struct layout), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return -errno;
    *out = xcalloc(1, sizeof(**out));
    (*out)->memory = memory;
    (*out)->fd = -1;
    return 0;
}

/* The master keeps it for the program that takes its place. */
static int keep_descriptor(struct handover *handover, int fd)
{
    handover->fd = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    return handover->fd == -1 ? -errno : 0;
}

static int make_memory(void)
{
    int fd = memfd_create("handover", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd == -1 && errno == EINVAL) /* an older kernel */
        fd = memfd_create("handover", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return fd == -1 ? -errno : fd;
}

static int set_size(int fd)
{
    if (ftruncate(fd, sizeof(struct layout)) == -1 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == -1)
        return -errno;
    return 0;
}

int handover_new(struct handover **out, int *fd)
{
    int memory = make_memory();
    if (memory < 0)
        return memory;
    int rc = set_size(memory);
    if (rc == 0)
        rc = map(memory, out);
    if (rc == 0 && (rc = keep_descriptor(*out, memory)) != 0)
        handover_free(out);
    if (rc != 0) {
        fd_close(&memory);
        return rc;
    }
    (*out)->memory->version = HANDOVER_VERSION;
    (*out)->memory->count = HANDOVER_SLOTS;
    *fd = memory;
    return 0;
}

int handover_open(int fd, struct handover **out)
{
    struct stat st;
    if (fstat(fd, &st) == -1)
        return -errno;
    if (st.st_size != (off_t)sizeof(struct layout))
        return -EPROTO;
    int rc = map(fd, out);
    if (rc != 0)
        return rc;
    const struct layout *l = (*out)->memory;
    if (l->version == HANDOVER_VERSION && l->count == HANDOVER_SLOTS)
        return 0;
    handover_free(out);
    return -EPROTO;
}

int handover_adopt(int *fd, struct handover **out)
{
    int rc = handover_open(*fd, out);
    if (rc == 0)
        (*out)->fd = fd_take(fd);
    return rc;
}

int handover_descriptor(const struct handover *handover)
{
    return handover != NULL ? handover->fd : -1;
}

void handover_free(struct handover **handover)
{
    if (*handover == NULL)
        return;
    (void)munmap((*handover)->memory, sizeof(struct layout));
    fd_close(&(*handover)->fd);
    free(*handover);
    *handover = NULL;
}

struct handover_slot *handover_slot(struct handover *handover, uint32_t ticket)
{
    return handover != NULL && ticket < HANDOVER_SLOTS ? &handover->memory->slots[ticket] : NULL;
}

static void forget_tags(struct handover_slot *slot)
{
    for (int i = 0; i < HANDOVER_TRACKS; i++) {
        slot->last_ms[i] = 0;
        slot->told[i] = 0;
    }
    slot->bytes = 0;
    slot->codec = 0;
}

void handover_reset(struct handover_slot *slot, uint64_t client)
{
    handover_begin(slot);
    handover_set_reading(slot, false);
    forget_tags(slot);
    slot->client = client;
    handover_set(slot, HANDOVER_UNANSWERED);
}

void handover_copy(struct handover_slot *to, const struct handover_slot *from)
{
    handover_begin(to);
    handover_set_reading(to, false);
    for (int i = 0; i < HANDOVER_TRACKS; i++) {
        to->last_ms[i] = from->last_ms[i];
        to->told[i] = from->told[i];
    }
    to->bytes = from->bytes;
    to->codec = from->codec;
    handover_set(to, HANDOVER_WHOLE);
}

bool handover_may_go_on(const struct handover_slot *slot)
{
    if (handover_get(slot) != HANDOVER_WHOLE || handover_is_reading(slot))
        return false;
    for (int i = 0; i < HANDOVER_TRACKS; i++) {
        if (slot->last_ms[i] < -1 || slot->last_ms[i] > HANDOVER_TIME_MAX_MS)
            return false;
    }
    return true;
}

/* FNV-1a. */
uint64_t handover_digest(const uint8_t *record, size_t len)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++)
        h = (h ^ record[i]) * UINT64_C(0x100000001b3);
    return h != 0 ? h : 1;
}
