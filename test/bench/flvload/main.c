/*
 * flvload: options, connections, event loop (load.h says what is measured).
 *
 *   flvload [-c conns] [-t seconds] [-r conns_per_second] [-s settle_seconds] [-g gap_ms]
 *           [-b buffer_bytes] [-w wait_ms] [-1] [-q] URL
 *
 *   -t   run time after the last connection was started (default 20)
 *   -r   connections started per second (0: all at once; default 200)
 *   -s   seconds after the ramp at which the steady window starts, and after its start from which
 *        a connection's delays count (default 3)
 *   -g   a video timestamp jump above this counts as a gap (default 500)
 *   -w   in the steady window at least this many ms between two rounds of reading, so that many
 *        small writes of the server cost few reads here (default 0)
 *   -1   one by one: a connection is closed at its first key frame, and then the next one started
 *   -q   only the KV line
 *
 * SIGUSR1 prints what was measured so far, and begins anew with the largest steps and waits.
 */
#include "load.h"

#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define EVENTS_MAX 8192
#define STARTS_AT_ONCE 200

struct options options = {.conns = 100,
                          .seconds = 20,
                          .conns_per_second = 200,
                          .settle_s = 3,
                          .gap_ms = 500,
                          .buffer_bytes = 131072};
struct totals totals;

static struct conn *conns;
static struct addrinfo *address;
static char request[4096];
static size_t request_len;
static uint8_t *buffer;
static int epoll_fd;
static int64_t offset_us;
static volatile sig_atomic_t stopped, asked;

double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double cpu_s(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6;
}

static void on_signal(int number)
{
    if (number == SIGUSR1)
        asked = 1;
    else
        stopped = 1;
}

void conn_fail(struct conn *conn, enum conn_error error)
{
    if (conn->error == ERROR_NONE) {
        conn->error = error;
        totals.errors++;
    }
}

/* early: it is not we who end it. */
static void conn_close(struct conn *c, bool early)
{
    if (c->state == CONN_HEAD || c->state == CONN_BODY)
        totals.connected--;
    c->state = CONN_CLOSED;
    totals.closed += early;
    close(c->fd);
    c->fd = -1;
    free(c->head);
    c->head = NULL;
}

static void conn_start(struct conn *c)
{
    int one = 1;
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};
    totals.started++;
    c->started_s = now_s();
    c->fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd == -1) {
        perror("flvload: socket");
        exit(2);
    }
    c->state = CONN_CONNECTING;
    (void)setsockopt(c->fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one));
    if (connect(c->fd, address->ai_addr, address->ai_addrlen) != 0 && errno != EINPROGRESS) {
        conn_fail(c, ERROR_CONNECT);
        conn_close(c, true);
    } else if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event) != 0) {
        perror("flvload: epoll_ctl");
        exit(2);
    }
}

static void on_connected(struct conn *c)
{
    int error = 0;
    socklen_t len = sizeof(error);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0 || send(c->fd, request, request_len, MSG_NOSIGNAL) != (ssize_t)request_len) {
        conn_fail(c, ERROR_CONNECT);
        conn_close(c, true);
        return;
    }
    c->connected_s = now_s() - c->started_s;
    c->state = CONN_HEAD;
    totals.connected++;
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
}

/* CLOCK_MONOTONIC - CLOCK_REALTIME, microseconds. */
static int64_t clock_offset_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return stamp_now_us() - ((int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000);
}

static int64_t received_us(struct msghdr *mh)
{
    for (struct cmsghdr *m = CMSG_FIRSTHDR(mh); m != NULL; m = CMSG_NXTHDR(mh, m)) {
        if (m->cmsg_level == SOL_SOCKET && m->cmsg_type == SO_TIMESTAMPNS) {
            struct timespec t;
            memcpy(&t, CMSG_DATA(m), sizeof(t));
            return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000 + offset_us;
        }
    }
    return 0;
}

static void on_readable(struct conn *c)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct timespec))];
    struct iovec iov = {buffer, options.buffer_bytes};
    struct msghdr mh = {.msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = control,
                        .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(c->fd, &mh, 0);
    if (n <= 0) {
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            conn_close(c, true);
        return;
    }
    struct arrival arrival = {now_s(), received_us(&mh)};
    if (c->first_byte_s < 0)
        c->first_byte_s = arrival.read_s - c->started_s;
    totals.bytes += (uint64_t)n;
    if (!http_feed(c, buffer, (size_t)n, &arrival))
        conn_close(c, true);
    else if (options.one_by_one && c->first_key_s >= 0)
        conn_close(c, false);
}

/* --- the run ---------------------------------------------------------------- */

static void start_due(double begun_s)
{
    if (options.one_by_one) {
        if (totals.started == 0 || conns[totals.started - 1].state == CONN_CLOSED)
            conn_start(&conns[totals.started]);
        return;
    }
    double due = options.conns_per_second > 0 ? (now_s() - begun_s) * options.conns_per_second + 1
                                              : options.conns;
    int until = due < options.conns ? (int)due : options.conns;
    for (int burst = 0; totals.started < until && burst < STARTS_AT_ONCE; burst++)
        conn_start(&conns[totals.started]);
}

static void begin_steady(struct run_times *times, double *cpu_at)
{
    *cpu_at = cpu_s();
    times->steady_s = now_s();
    times->steady_bytes = totals.bytes;
}

static void wait_between_rounds(double *last_s)
{
    double wait_s = *last_s + options.wait_ms * 1e-3 - now_s();
    struct timespec t = {0, (long)(wait_s * 1e9)};
    if (wait_s > 0 && wait_s < 1)
        nanosleep(&t, NULL);
    *last_s = now_s();
}

static void answer_asked(const struct run_times *times)
{
    asked = 0;
    report(conns, times);
    (void)fflush(stdout);
    forget_worst(conns);
}

static void run(struct run_times *times)
{
    static struct epoll_event events[EVENTS_MAX];
    double begun_s = now_s(), ramped_s = 0, round_s = 0, cpu_at = 0;
    while (!stopped && (ramped_s == 0 || now_s() < ramped_s + options.seconds)) {
        if (asked)
            answer_asked(times);
        if (totals.started < options.conns)
            start_due(begun_s);
        if (ramped_s == 0 && totals.started == options.conns)
            ramped_s = now_s();
        if (options.one_by_one && ramped_s > 0 && conns[options.conns - 1].state == CONN_CLOSED)
            break;
        if (times->steady_s == 0 && ramped_s > 0 && now_s() >= ramped_s + options.settle_s)
            begin_steady(times, &cpu_at);
        if (options.wait_ms > 0 && times->steady_s > 0)
            wait_between_rounds(&round_s);
        int n = epoll_wait(epoll_fd, events, EVENTS_MAX, totals.started < options.conns ? 1 : 20);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (c->state == CONN_CONNECTING)
                on_connected(c);
            else if (c->state != CONN_CLOSED)
                on_readable(c);
        }
    }
    double end_s = now_s();
    times->ramp_s = ramped_s - begun_s;
    times->wall_s = end_s - begun_s;
    if (times->steady_s > 0) {
        times->steady_s = end_s - times->steady_s;
        times->steady_cpu = (cpu_s() - cpu_at) / times->steady_s;
        times->steady_bytes = totals.bytes - times->steady_bytes;
    }
}

/* --- start -------------------------------------------------------------------- */

static void usage(void)
{
    fprintf(stderr, "usage: flvload [-c conns] [-t s] [-r conns/s] [-s settle_s] [-g gap_ms] "
                    "[-b bytes] [-w wait_ms] [-1q] [http://]host:port/path\n");
    exit(2);
}

static void parse_url(const char *url)
{
    if (strncmp(url, "http://", 7) == 0)
        url += 7;
    size_t authority = strcspn(url, "/");
    const char *colon = memrchr(url, ':', authority);
    if (colon == NULL)
        usage();
    (void)snprintf(options.host, sizeof(options.host), "%.*s", (int)(colon - url), url);
    (void)snprintf(options.port, sizeof(options.port), "%.*s", (int)(url + authority - colon - 1),
                   colon + 1);
    (void)snprintf(options.path, sizeof(options.path), "%s",
                   url[authority] != '\0' ? url + authority : "/");
}

static void parse_options(int argc, char **argv)
{
    int o;
    while ((o = getopt(argc, argv, "c:t:r:s:g:b:w:1q")) != -1) {
        switch (o) {
        case 'c':
            options.conns = atoi(optarg);
            break;
        case 't':
            options.seconds = atof(optarg);
            break;
        case 'r':
            options.conns_per_second = atof(optarg);
            break;
        case 's':
            options.settle_s = atof(optarg);
            break;
        case 'g':
            options.gap_ms = (uint32_t)atoi(optarg);
            break;
        case 'b':
            options.buffer_bytes = (size_t)atol(optarg);
            break;
        case 'w':
            options.wait_ms = atoi(optarg);
            break;
        case '1':
            options.one_by_one = true;
            break;
        case 'q':
            options.quiet = true;
            break;
        default:
            usage();
        }
    }
    if (optind + 1 != argc || options.conns < 1 || options.buffer_bytes < 4096)
        usage();
    parse_url(argv[optind]);
}

static void prepare(void)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    int failed = getaddrinfo(options.host, options.port, &hints, &address);
    if (failed != 0) {
        fprintf(stderr, "flvload: %s:%s: %s\n", options.host, options.port, gai_strerror(failed));
        exit(2);
    }
    request_len = (size_t)snprintf(request, sizeof(request),
                                   "GET %s HTTP/1.1\r\nHost: %s:%s\r\nUser-Agent: flvload\r\n\r\n",
                                   options.path, options.host, options.port);
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
    signal(SIGUSR1, on_signal);
    conns = calloc((size_t)options.conns, sizeof(*conns));
    buffer = malloc(options.buffer_bytes);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    offset_us = clock_offset_us();
    if (conns == NULL || buffer == NULL || epoll_fd == -1) {
        perror("flvload");
        exit(2);
    }
    for (int i = 0; i < options.conns; i++)
        conns[i] = (struct conn){
            .fd = -1, .connected_s = -1, .first_byte_s = -1, .first_key_s = -1, .edge_ms = 1e300};
}

int main(int argc, char **argv)
{
    struct run_times times = {0};
    parse_options(argc, argv);
    prepare();
    run(&times);
    report(conns, &times);
    freeaddrinfo(address);
    return totals.errors > 0 || totals.closed > 0;
}
