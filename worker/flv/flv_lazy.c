#include "worker/flv/flv_lazy.h"

#include "common/clock.h"
#include "worker/media/gather.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A camera that sends faster than it can be read never empties its socket. */
#define CATCH_UP_US 50000

void flv_lazy_open(struct flv_lazy *lazy, void (*caught_up)(void *ctx), void *ctx)
{
    lazy->caught_up = caught_up;
    lazy->ctx = ctx;
    lazy->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    lazy->open = lazy->wake >= 0; /* without one it stays eager */
}

void flv_lazy_close(struct flv_lazy *lazy)
{
    if (lazy->open)
        (void)close(lazy->wake);
    lazy->open = false;
}

void flv_lazy_wake(struct flv_lazy *lazy)
{
    if (lazy->open)
        (void)eventfd_write(lazy->wake, 1);
}

bool flv_lazy_is_wanted(const struct flv_lazy *lazy)
{
    return atomic_load(&lazy->wanted);
}

bool flv_lazy_is_gathering(const struct flv_lazy *lazy)
{
    return atomic_load(&lazy->gathering);
}

bool flv_lazy_is_due(const struct flv_lazy *lazy)
{
    return flv_lazy_is_wanted(lazy) || flv_lazy_is_gathering(lazy);
}

bool flv_lazy_set(struct flv_lazy *lazy, bool wanted)
{
    bool changed = lazy->open && atomic_exchange(&lazy->wanted, wanted) != wanted;
    bool gathering = flv_lazy_is_gathering(lazy); /* before the reading thread goes on */
    if (changed && !wanted)
        flv_lazy_wake(lazy);
    return !wanted && gathering;
}

static bool has_data(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

static void wait_for_much(struct flv_lazy *lazy, int fd, int64_t most_us)
{
    struct pollfd ends[] = {{.fd = fd, .events = POLLIN}, {.fd = lazy->wake, .events = POLLIN}};
    eventfd_t count;
    gather_set_lazy(fd, true);
    (void)poll(ends, 2, (int)((most_us + 999) / 1000));
    gather_set_lazy(fd, false);
    (void)eventfd_read(lazy->wake, &count);
    lazy->woken_us = clock_awake_us();
}

/* All has been read, or enough of it. */
static void note_caught_up(struct flv_lazy *lazy)
{
    if (atomic_exchange(&lazy->gathering, false) && !atomic_load(&lazy->wanted))
        lazy->caught_up(lazy->ctx);
}

bool flv_lazy_wait(struct flv_lazy *lazy, int fd, int64_t most_us)
{
    bool wanted = atomic_load(&lazy->wanted);
    if (fd < 0 || !flv_lazy_is_due(lazy))
        return false;
    bool behind = has_data(fd);
    if (behind && (wanted || clock_awake_us() - lazy->woken_us < CATCH_UP_US))
        return false;
    note_caught_up(lazy);
    if (!wanted)
        return false;
    /* In this order: whoever wants to be eager after this finds it gathering, and wakes it. */
    atomic_store(&lazy->gathering, true);
    if (atomic_load(&lazy->wanted))
        wait_for_much(lazy, fd, most_us);
    return true;
}
