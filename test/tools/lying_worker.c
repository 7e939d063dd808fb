/*
 * A stand-in for cam-httpflv-worker that an attacker has taken over, for
 * test/e2e/test_lying_workers.py and test_limits.py.
 *
 * Nursery and sandbox are the real ones.  A camera whose URL has the path /lie/MODE gets a lying
 * worker, any other camera the real one.  The worker must see ASSIGN before it sends READY, so
 * [server] spare_workers must be 0.
 */
#include "common/clock.h"
#include "common/fd.h"
#include "common/http_reply.h"
#include "common/ipc.h"
#include "common/log.h"
#include "common/sandbox_mode.h"
#include "worker/process/nursery.h"
#include "worker/process/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#define NURSERY_FD 3
#define REPORT_MS 500
#define ASSIGN_WAIT_MS 10000
#define CLIENTS_MAX 20000
#define HOARD_BYTES (8ull << 30)
#define SMALL_BUFFER 4096
#define DESCRIPTORS_AT_ONCE 253 /* the most that one message of Linux carries */

int __real_worker_run(uv_loop_t *loop, int channel, struct handover *handover);
int __wrap_worker_run(uv_loop_t *loop, int channel, struct handover *handover);

static int channel;
static struct handover *handover;
static enum ipc_phase phase = IPC_PH_BOOT;
static struct ipc_stats stats;
static uint64_t clients_seen;
static unsigned long lie_number; /* after the lie's name in the URL */

/* A client that it got. */
struct client {
    int fd;
    uint32_t ticket;
    uint64_t conn_id;
};
static struct client clients[CLIENTS_MAX];

static void say(enum ipc_type type, const void *payload)
{
    (void)ipc_send(channel, type, payload, NULL);
}

static void say_streaming(void)
{
    const struct ipc_ready ready = {.version = IPC_VERSION, .pid = 1};
    const struct ipc_state state = {.state = IPC_CAMERA_STREAMING};
    say(IPC_READY, &ready);
    say(IPC_STATE, &state);
}

static void report(void)
{
    static int64_t due_ms;
    if (clock_ms() < due_ms)
        return;
    due_ms = clock_ms() + REPORT_MS;
    say(IPC_STATS, &stats);
}

/* Take and keep clients; read other messages without obeying them.  @return the last message's
 * type, or -1. */
static int read_messages(void)
{
    struct ipc_msg msg;
    int last = -1;
    while (ipc_recv(channel, phase, &msg) == 1) {
        phase = IPC_PH_RUN;
        last = msg.hdr.type;
        const struct ipc_client *m = (const struct ipc_client *)(const void *)msg.payload;
        if (msg.hdr.type == IPC_CLIENT && clients_seen < CLIENTS_MAX)
            clients[clients_seen++] = (struct client){fd_take(&msg.fd), m->ticket, m->conn_id};
        ipc_msg_free(&msg);
    }
    return last;
}

/* The next message, or a report that is due. @return as read_messages(). */
static int wait_a_while(void)
{
    struct pollfd polled = {.fd = channel, .events = POLLIN};
    (void)poll(&polled, 1, REPORT_MS / 4);
    int last = read_messages();
    report();
    return last;
}

/* The same; it leaves when told to. */
static void obey_a_while(void)
{
    int last = wait_a_while();
    if (last == IPC_LEAVE || last == IPC_DRAIN)
        exit(EXIT_SUCCESS);
}

static void obey(void)
{
    for (;;)
        obey_a_while();
}

static struct client *wait_for_client(void)
{
    while (clients_seen == 0)
        (void)wait_a_while();
    return &clients[0];
}

static void live(bool reads)
{
    for (;;) {
        struct pollfd polled = {.fd = channel, .events = reads ? POLLIN : 0};
        (void)poll(&polled, 1, REPORT_MS / 4);
        if (reads)
            (void)read_messages();
        report();
    }
}

/* --- the lies ------------------------------------------------------------- */

/* Report impossible counts, which would overflow the master's sums. */
static void lie_about_numbers(void)
{
    memset(&stats, 0xff, sizeof(stats));
    live(true);
}

/* Ignore LEAVE and DRAIN, and never say that a client has left. */
static void stay(void)
{
    live(true);
}

/* Ask to leave, get permission, and stay. */
static void ask_to_leave(void)
{
    for (;;) {
        const struct ipc_idle idle = {.clients_seen = clients_seen};
        (void)wait_a_while();
        say(IPC_IDLE, &idle);
    }
}

static void close_channel(void)
{
    fd_close(&channel);
    for (;;)
        (void)poll(NULL, 0, 1000);
}

/* Close the channel for what the master says, and go on talking. */
static void shut_channel(void)
{
    (void)wait_for_client();
    (void)shutdown(channel, SHUT_RD);
    live(false);
}

static void *sleep_for_ever(void *unused)
{
    (void)unused;
    for (;;)
        (void)poll(NULL, 0, 100000);
    return NULL;
}

/* Start as many threads as possible, but at most 2000 to spare the machine. */
static void start_threads(void)
{
    pthread_attr_t attr;
    pthread_t thread;
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, 65536);
    for (int i = 0; i < 2000; i++)
        (void)pthread_create(&thread, &attr, sleep_for_ever, NULL);
    live(true);
}

static void read_nothing(void)
{
    live(false);
}

/* Write lines that look like the master's, after clearing stderr's flags. */
static void flood_log(void)
{
    static const char forged[] =
        "2026-01-01T00:00:00.000Z error master[1]: forged by a worker\r\x1b[2J\n";
    (void)fcntl(STDERR_FILENO, F_SETFL, 0); /* neither O_APPEND nor O_NONBLOCK */
    (void)lseek(STDERR_FILENO, 0, SEEK_SET);
    for (;;) {
        struct pollfd polled = {.fd = STDERR_FILENO, .events = POLLOUT};
        if (poll(&polled, 1, REPORT_MS / 4) == 1)
            (void)!write(STDERR_FILENO, forged, sizeof(forged) - 1);
        (void)read_messages();
        report();
    }
}

static void say_result(const char *what, unsigned long long bytes)
{
    log_info(NULL, "lie: %s: %llu MB", what, bytes >> 20);
}

/* Map more memory than the limit, by every kind of mapping.  It is never touched: the limit counts
 * mapped memory. */
static void hoard_memory(void)
{
    static const struct {
        const char *name;
        int flags;
    } kinds[] = {
        {"shared", MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE},
        {"grows down", MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_NORESERVE},
        {"private", MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE},
    };
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        unsigned long long got = 0;
        const size_t piece = 64u << 20;
        while (got < HOARD_BYTES &&
               mmap(NULL, piece, PROT_READ | PROT_WRITE, kinds[k].flags, -1, 0) != MAP_FAILED)
            got += piece;
        say_result(kinds[k].name, got);
    }
    live(true);
}

/* Fill memory of the kernel: pipes, as many as it can have. */
static void hoard_pipes(void)
{
    static const char junk[65536];
    unsigned pipes = 0;
    int ends[2];
    for (; pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0; pipes++)
        (void)!write(ends[1], junk, sizeof(junk));
    log_info(NULL, "lie: %u pipes", pipes);
    obey();
}

/* Tell the master to refuse the camera for 49 days. */
static void refuse_for_ever(void)
{
    const struct ipc_state state = {.state = IPC_CAMERA_IDLE,
                                    .error = HTTP_ERROR_CAMERA_UNAUTHORIZED,
                                    .retry_ms = UINT32_MAX,
                                    .restarts = UINT32_MAX};
    say(IPC_STATE, &state);
    exit(EXIT_SUCCESS);
}

static void flood_channel(void)
{
    for (;;)
        say(IPC_STATS, &stats);
}

static void say_nothing(void)
{
    for (;;)
        (void)poll(NULL, 0, 1000);
}

static void break_protocol(void)
{
    static const char junk[] = "this is no message";
    (void)send(channel, junk, sizeof(junk), MSG_NOSIGNAL);
    live(true);
}

static void crash(void)
{
    static int *volatile nowhere; /* volatile, so that the compiler does not see the NULL */
    (void)read_messages();
    *nowhere = 1;
}

/* Take some clients, write nonsense into all slots, and die; a successor writes other nonsense. */
static void write_nonsense(void)
{
    static const uint32_t marks[] = {HANDOVER_WHOLE, HANDOVER_UNANSWERED, HANDOVER_AGAIN,
                                     HANDOVER_KEPT,  HANDOVER_MARKS,      UINT32_MAX};
    for (int64_t until_ms = clock_ms() + REPORT_MS; clock_ms() < until_ms || clients_seen == 0;)
        (void)wait_a_while();
    for (uint32_t i = 0; i < HANDOVER_SLOTS; i++) {
        struct handover_slot *slot = handover_slot(handover, i);
        memset(slot, 0xff, sizeof(*slot));
        atomic_store(&slot->reading, 0);
        atomic_store(&slot->mark, marks[((uint32_t)getpid() + i) % 6]);
        if (i % 3 != 0)
            slot->last_ms[HANDOVER_VIDEO] = slot->last_ms[HANDOVER_AUDIO] = i;
    }
    (void)raise(SIGKILL);
}

/* A socket that takes little more.  Its buffers are full when this returns. */
static void stuff(int fd)
{
    static const char junk[SMALL_BUFFER];
    const int size = SMALL_BUFFER;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    while (send(fd, junk, sizeof(junk), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
    }
}

/* The master has a descriptor of the client's socket, too: the last close waits for a client that
 * reads nothing. */
static void make_close_wait(void)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 600};
    struct client *c = wait_for_client();
    const struct ipc_left left = {.count = 1, .tickets = {c->ticket}};
    stuff(c->fd);
    int rc = setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    log_info(NULL, "lie: SO_LINGER: %s", rc == 0 ? "set" : strerrordesc_np(errno));
    fd_close(&c->fd);
    say(IPC_LEFT, &left);
    obey();
}

/* Return a connection on which writes wait, whatever the master sets. */
static void make_writes_wait(void)
{
    struct client *c = wait_for_client();
    struct ipc_return m = {.conn_id = c->conn_id, .requests = 1, .ticket = c->ticket};
    const int size = SMALL_BUFFER;
    int off = 0;
    int copy = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);
    (void)setsockopt(copy, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    (void)ipc_send(channel, IPC_RETURN, &m, &c->fd);
    bool told = false;
    for (;;) {
        (void)fcntl(copy, F_SETFL, 0);
        (void)ioctl(copy, FIONBIO, &off);
        obey_a_while();
        if (!told)
            log_info(NULL, "lie: connection returned");
        told = true;
    }
}

/* Connect a client's socket to somebody else, at the port that the URL names. */
static void turn(int fd)
{
    const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    const struct sockaddr_in other = {.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)lie_number),
                                      .sin_addr = {htonl(INADDR_LOOPBACK)}};
    (void)connect(fd, &nobody, sizeof(nobody));
    (void)connect(fd, (const struct sockaddr *)&other, sizeof(other));
    (void)poll(NULL, 0, REPORT_MS);
}

/* Return the client's connection, which leads to somebody else by then. */
static void turn_connection(void)
{
    struct client *c = wait_for_client();
    const struct ipc_return m = {.conn_id = c->conn_id, .ticket = c->ticket};
    turn(c->fd);
    (void)ipc_send(channel, IPC_RETURN, &m, &c->fd);
    log_info(NULL, "lie: connection turned");
    obey();
}

/* Return it with a request, after as many as can be said, and turn it when that is answered. */
static void turn_later(void)
{
    static const char head[] = "GET /api/streams HTTP/1.1\r\nHost: x\r\n\r\n";
    struct client *c = wait_for_client();
    struct ipc_return m = {.conn_id = c->conn_id,
                           .ticket = c->ticket,
                           .requests = UINT32_MAX,
                           .len = sizeof(head) - 1};
    int copy = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);
    memcpy(m.bytes, head, sizeof(head) - 1);
    (void)ipc_send(channel, IPC_RETURN, &m, &c->fd);
    (void)poll(NULL, 0, REPORT_MS);
    turn(copy);
    fd_close(&copy);
    log_info(NULL, "lie: connection turned");
    obey();
}

/* Return another connection than the client's. */
static void return_another(void)
{
    struct client *c = wait_for_client();
    const struct ipc_return m = {.conn_id = c->conn_id, .requests = 1, .ticket = c->ticket};
    int another = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    (void)ipc_send(channel, IPC_RETURN, &m, &another);
    live(true);
}

/* Give the master as many descriptors as a message carries, of a message that has none. */
static void send_descriptors(void)
{
    struct {
        struct ipc_hdr hdr;
        struct ipc_stats stats;
    } message = {.hdr = {.type = IPC_STATS, .len = sizeof(struct ipc_stats)}};
    static union {
        struct cmsghdr hdr;
        char space[CMSG_SPACE(sizeof(int) * DESCRIPTORS_AT_ONCE)];
    } control;
    struct iovec iov = {.iov_base = &message, .iov_len = sizeof(message)};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = &control,
                        .msg_controllen = sizeof(control)};
    control.hdr.cmsg_level = SOL_SOCKET;
    control.hdr.cmsg_type = SCM_RIGHTS;
    control.hdr.cmsg_len = CMSG_LEN(sizeof(int) * DESCRIPTORS_AT_ONCE);
    for (size_t i = 0; i < DESCRIPTORS_AT_ONCE; i++) {
        int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
        memcpy(CMSG_DATA(&control.hdr) + i * sizeof(fd), &fd, sizeof(fd));
    }
    for (int i = 0; i < 100; i++)
        (void)sendmsg(channel, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
    live(true);
}

/* Every number of a report and of a state at its extremes, one after the other. */
static void go_to_extremes(void)
{
    static const uint64_t extremes[] = {0,          2,         INT32_MAX,  UINT32_MAX,
                                        1ull << 31, INT64_MAX, 1ull << 63, UINT64_MAX};
    for (unsigned n = 0;; n++) {
        const uint64_t value = extremes[n % 8];
        const struct ipc_state state = {.state = n % IPC_CAMERA_STATE_COUNT,
                                        .error = n % HTTP_ERROR_COUNT,
                                        .retry_ms = (uint32_t)value,
                                        .restarts = (uint32_t)value};
        const struct ipc_idle idle = {.clients_seen = value};
        for (size_t at = 0; at + sizeof(value) <= sizeof(stats); at += sizeof(value))
            memcpy((char *)&stats + at, &value, sizeof(value));
        say(IPC_STATE, &state);
        say(IPC_STATS, &stats);
        say(IPC_IDLE, &idle);
        obey_a_while();
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} lies[] = {
    {"numbers", lie_about_numbers},
    {"stay", stay},
    {"leave", ask_to_leave},
    {"close", close_channel},
    {"shut", shut_channel},
    {"threads", start_threads},
    {"deaf", read_nothing},
    {"log", flood_log},
    {"memory", hoard_memory},
    {"refuse", refuse_for_ever},
    {"flood", flood_channel},
    {"silent", say_nothing},
    {"protocol", break_protocol},
    {"crash", crash},
    {"slots", write_nonsense},
    {"linger", make_close_wait},
    {"block", make_writes_wait},
    {"another", return_another},
    {"later", turn_later},
    {"turn", turn_connection},
    {"descriptors", send_descriptors},
    {"extremes", go_to_extremes},
    {"pipes", hoard_pipes},
};

/* --- which one ------------------------------------------------------------ */

/* Wait for ASSIGN and leave it in the channel.  @return the lie that its URL names, or "". */
static const char *assigned_lie(int sock)
{
    static struct {
        struct ipc_hdr hdr;
        struct ipc_assign assign;
    } first;
    static const char prefix[] = "/lie/";
    struct pollfd polled = {.fd = sock, .events = POLLIN};
    if (poll(&polled, 1, ASSIGN_WAIT_MS) != 1 ||
        recv(sock, &first, sizeof(first), MSG_PEEK) != (ssize_t)sizeof(first))
        return "";
    const char *lie = strstr(first.assign.url, prefix);
    return lie != NULL ? lie + strlen(prefix) : "";
}

int __wrap_worker_run(uv_loop_t *loop, int sock, struct handover *memory)
{
    const char *lie = assigned_lie(sock);
    for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        if (strncmp(lie, lies[i].name, strlen(lies[i].name)) != 0)
            continue;
        channel = sock;
        handover = memory;
        if (lie[strlen(lies[i].name)] == '-')
            lie_number = strtoul(lie + strlen(lies[i].name) + 1, NULL, 10);
        say_streaming();
        lies[i].run();
        return EXIT_SUCCESS;
    }
    return __real_worker_run(loop, sock, memory);
}

int main(int argc, char **argv)
{
    enum log_level level = LOG_LEVEL_INFO;
    argv = uv_setup_args(argc, argv);
    if (argc > 2)
        (void)log_level_parse(argv[2], &level);
    log_open(level, LOG_FORMAT_TEXT);
    log_send_to_master();
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGTERM, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)fcntl(NURSERY_FD, F_SETFD, FD_CLOEXEC);
    (void)uv_set_process_title("cam-httpflv: nursery");
    return nursery_run(NURSERY_FD, SANDBOX_ON);
}
