/*
 * A nursery whose workers hang, for test/e2e/test_limits.py: stands in for cam-httpflv-worker.
 *
 * Its workers are no processes, only their ends of the channels.  They say that they stream, and
 * once a second that they live; so the master waits for them, however slow the machine.  But they
 * read nothing and do not leave, until SIGUSR1: from then on they read, close every client, and
 * leave when they are told to.
 */
#include "common/clock.h"
#include "common/fd.h"
#include "common/ipc.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NURSERY_FD 3
#define WORKERS_MAX 256
#define REPORT_MS 1000

struct worker {
    uint32_t id;
    int channel;
    enum ipc_phase phase;
};

static struct worker workers[WORKERS_MAX];
static size_t worker_count;
static volatile sig_atomic_t awake;

static void on_wake(int number)
{
    (void)number;
    awake = 1;
}

static void drop_worker(size_t i)
{
    fd_close(&workers[i].channel);
    workers[i] = workers[--worker_count];
}

static void add_worker(uint32_t id, int *channel)
{
    const struct ipc_ready ready = {.version = IPC_VERSION};
    const struct ipc_state state = {.state = IPC_CAMERA_STREAMING};
    assert(worker_count < WORKERS_MAX);
    struct worker *w = &workers[worker_count++];
    *w = (struct worker){id, fd_take(channel), IPC_PH_BOOT};
    (void)ipc_send(w->channel, IPC_READY, &ready, NULL);
    (void)ipc_send(w->channel, IPC_STATE, &state, NULL);
}

static void kill_worker(uint32_t id)
{
    for (size_t i = worker_count; i > 0; i--) {
        if (workers[i - 1].id == id)
            drop_worker(i - 1);
    }
}

/* @return false when the master has closed the channel. */
static bool read_orders(void)
{
    struct ipc_msg msg;
    int rc;
    while ((rc = ipc_recv(NURSERY_FD, IPC_PH_RUN, &msg)) == 1) {
        if (msg.hdr.type == IPC_SPAWN)
            add_worker(((const struct ipc_spawn *)(const void *)msg.payload)->worker_id, &msg.fd);
        else
            kill_worker(((const struct ipc_kill *)(const void *)msg.payload)->worker_id);
        ipc_msg_free(&msg);
    }
    return rc == -EAGAIN;
}

/* @return false when the worker has to leave. */
static bool read_channel(struct worker *w)
{
    struct ipc_msg msg;
    int rc;
    while ((rc = ipc_recv(w->channel, w->phase, &msg)) == 1) {
        unsigned type = msg.hdr.type;
        ipc_msg_free(&msg);
        w->phase = IPC_PH_RUN;
        if (type == IPC_DRAIN)
            return false;
    }
    return rc == -EAGAIN;
}

static void report(void)
{
    static int64_t due_ms;
    static const struct ipc_stats stats;
    if (clock_ms() < due_ms)
        return;
    due_ms = clock_ms() + REPORT_MS;
    for (size_t i = 0; i < worker_count; i++)
        (void)ipc_send(workers[i].channel, IPC_STATS, &stats, NULL);
}

static void serve_workers(const struct pollfd *polled)
{
    for (size_t i = worker_count; i > 0; i--) {
        short seen = polled[i - 1].revents;
        if ((seen & (POLLHUP | POLLERR)) != 0 ||
            ((seen & POLLIN) != 0 && !read_channel(&workers[i - 1])))
            drop_worker(i - 1);
    }
}

int main(void)
{
    static struct pollfd polled[WORKERS_MAX + 1];
    const struct ipc_ready ready = {.version = IPC_VERSION, .pid = (uint32_t)getpid()};
    const struct sigaction action = {.sa_handler = on_wake};
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigaction(SIGUSR1, &action, NULL);
    if (ipc_send(NURSERY_FD, IPC_NURSERY, &ready, NULL) != 0)
        return EXIT_FAILURE;
    for (;;) {
        for (size_t i = 0; i < worker_count; i++)
            polled[i] = (struct pollfd){.fd = workers[i].channel, .events = awake ? POLLIN : 0};
        polled[worker_count] = (struct pollfd){.fd = NURSERY_FD, .events = POLLIN};
        if (poll(polled, worker_count + 1, REPORT_MS / 4) > 0) {
            short orders = polled[worker_count].revents;
            serve_workers(polled);
            if (orders != 0 && !read_orders())
                return EXIT_SUCCESS;
        }
        report();
    }
}
