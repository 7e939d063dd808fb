#include "worker/rtsp/rtsp_udp.h"

#include "common/closing.h"
#include "common/log.h"
#include "common/xalloc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UDP_BUFFER_BYTES 4194304 /* a 4K key frame arrives as one burst */
#define UDP_PAIR_TRIES 32
#define DATAGRAM_MAX 65536
#define BATCH 16 /* datagrams that one system call reads while lazy */
/* What the kernel counts for a datagram in a socket's buffer: pages of 2 KB and its own struct. */
#define CHARGE_UNIT_BYTES 2048
#define CHARGE_STRUCT_BYTES 256
#define OVERRUNS_LOG_MS 60000
#define FORGET_MS 102400 /* time constant in which a worst window is forgotten */
#define WINDOWS 3

/* A key frame is most of what comes in a tenth of a second, and little of half a second. */
static const unsigned window_ms[WINDOWS] = {100, 250, 500};

struct window {
    uint64_t begun_ms;
    size_t charge;     /* of what has come since */
    size_t charge_max; /* the most that came in such a window */
};

struct udp_port {
    uv_udp_t handle;
    struct rtsp_udp *udp;
    enum track track;
    bool open;
    size_t capacity; /* of the socket's buffer, as the kernel counts it */
    struct window windows[WINDOWS];
    uint64_t read_ms;               /* while lazy: when it was read last */
    struct sockaddr_storage peer;   /* where we send: the camera's address, with its port */
    struct sockaddr_storage source; /* the sender that the camera names; ss_family 0: none */
};

struct rtsp_udp {
    uv_loop_t *loop;
    struct rtsp_udp_events events;
    struct sockaddr_storage local;
    struct sockaddr_storage peer;
    struct udp_port ports[TRACK_COUNT][2]; /* RTP, RTCP */
    uint16_t port_numbers[TRACK_COUNT];
    uint64_t overruns_told; /* in the log */
    struct log_limit overruns_limit;
    uv_idle_t last; /* makes closing take a turn of the loop even without ports */
    struct closing closing;
    /* Most datagrams fit into a page, so most of this is never touched, and takes no memory. */
    uint8_t datagrams[BATCH][DATAGRAM_MAX];
};

/* --- addresses ---------------------------------------------------------- */

static bool same_host(const struct sockaddr *a, const struct sockaddr_storage *b)
{
    if (a->sa_family != b->ss_family)
        return false;
    if (a->sa_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr ==
               ((const struct sockaddr_in *)b)->sin_addr.s_addr;
    return memcmp(&((const struct sockaddr_in6 *)(const void *)a)->sin6_addr,
                  &((const struct sockaddr_in6 *)b)->sin6_addr, sizeof(struct in6_addr)) == 0;
}

static void set_port(struct sockaddr_storage *address, uint16_t port)
{
    if (address->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)address)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)address)->sin_port = htons(port);
}

static uint16_t get_port(const struct sockaddr_storage *address)
{
    return ntohs(address->ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)address)->sin6_port
                                                : ((const struct sockaddr_in *)address)->sin_port);
}

/* Read an address without port.  @return false if the text is not an address. */
static bool read_address(const char *text, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    return uv_ip4_addr(text, 0, (struct sockaddr_in *)out) == 0 ||
           uv_ip6_addr(text, 0, (struct sockaddr_in6 *)out) == 0;
}

static bool is_multicast(const struct sockaddr_storage *address)
{
    if (address->ss_family == AF_INET6)
        return IN6_IS_ADDR_MULTICAST(&((const struct sockaddr_in6 *)address)->sin6_addr);
    return IN_MULTICAST(ntohl(((const struct sockaddr_in *)address)->sin_addr.s_addr));
}

/* --- receiving ---------------------------------------------------------- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    const struct udp_port *p = handle->data;
    (void)suggested;
    *buf = uv_buf_init((char *)p->udp->datagrams[0], DATAGRAM_MAX);
}

static size_t charge_of(size_t len)
{
    size_t units = (len + CHARGE_UNIT_BYTES - 1) / CHARGE_UNIT_BYTES;
    return CHARGE_STRUCT_BYTES + units * CHARGE_UNIT_BYTES;
}

/* What came since since_ms.  The worst is forgotten in minutes: it may have been a stall of our
 * own. A key frame once a minute is still known by half, which half_full_ms() allows for. */
static void count_charge(struct udp_port *p, size_t charge, uint64_t since_ms)
{
    uint64_t now_ms = uv_now(p->udp->loop);
    for (int i = 0; i < WINDOWS; i++) {
        struct window *w = &p->windows[i];
        if (now_ms - w->begun_ms >= window_ms[i]) {
            w->begun_ms = since_ms;
            w->charge = 0;
            w->charge_max -= w->charge_max / (FORGET_MS / window_ms[i]);
        }
        w->charge += charge;
        if (w->charge > w->charge_max)
            w->charge_max = w->charge;
    }
}

static void take(const struct udp_port *p, const uint8_t *data, size_t len,
                 const struct sockaddr *from)
{
    const struct rtsp_udp *u = p->udp;
    /* Anybody can send to a port: accept only the camera and the source that it names. */
    if (same_host(from, &u->peer) || same_host(from, &p->source))
        u->events.on_datagram(u->events.ctx, p->track, data, len);
}

static void on_receive(uv_udp_t *handle, ssize_t n, const uv_buf_t *buf,
                       const struct sockaddr *from, unsigned flags)
{
    struct udp_port *p = handle->data;
    if (n <= 0 || from == NULL || (flags & UV_UDP_PARTIAL) != 0 || p->udp->closing.asked)
        return;
    count_charge(p, charge_of((size_t)n), uv_now(p->udp->loop));
    take(p, (const uint8_t *)buf->base, (size_t)n, from);
}

/* --- overruns ----------------------------------------------------------- */

static uint32_t overruns_of(const struct udp_port *p)
{
    uint32_t info[SK_MEMINFO_VARS] = {0};
    socklen_t len = sizeof(info);
    uv_os_fd_t fd;
    if (!p->open || uv_fileno((const uv_handle_t *)&p->handle, &fd) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len) != 0)
        return 0;
    return info[SK_MEMINFO_DROPS];
}

uint64_t rtsp_udp_overruns(const struct rtsp_udp *udp)
{
    uint64_t sum = 0;
    for (int track = 0; track < TRACK_COUNT; track++)
        sum += overruns_of(&udp->ports[track][0]);
    return sum;
}

void rtsp_udp_check(struct rtsp_udp *udp)
{
    uint64_t overruns = rtsp_udp_overruns(udp);
    unsigned suppressed;
    if (overruns <= udp->overruns_told ||
        !log_limit_pass(&udp->overruns_limit, 1, OVERRUNS_LOG_MS, &suppressed))
        return;
    log_warnx(NULL,
              "udp: %llu datagrams of the camera were dropped here: the socket's buffer of %zu KB "
              "was full, see net.core.rmem_max",
              (unsigned long long)(overruns - udp->overruns_told),
              udp->ports[TRACK_VIDEO][0].capacity >> 10);
    udp->overruns_told = overruns;
}

/* --- lazy reading ------------------------------------------------------- */

/* The time in which half of the buffer fills, if as much comes as in the worst windows of late.
 * Each window bounds it; the one that allows most knows best.  But all that a window brought may
 * come at once again: one that the buffer would hardly hold tells nothing of a shorter time. */
static int64_t half_full_ms(const struct udp_port *p)
{
    size_t most_ms = 0;
    for (int i = 0; i < WINDOWS; i++) {
        size_t charge = p->windows[i].charge_max;
        if (charge == 0)
            return INT64_MAX; /* nothing has come */
        size_t ms = window_ms[i] * (p->capacity / 2) / charge;
        if (charge <= p->capacity / 4 * 3 && ms > most_ms)
            most_ms = ms;
    }
    return (int64_t)most_ms;
}

int64_t rtsp_udp_wait_ms(const struct rtsp_udp *udp)
{
    int64_t least_ms = INT64_MAX;
    for (int i = 0; i < TRACK_COUNT * 2; i++) {
        const struct udp_port *p = &udp->ports[i / 2][i % 2];
        if (p->open && half_full_ms(p) < least_ms)
            least_ms = half_full_ms(p);
    }
    return least_ms >= window_ms[0] ? least_ms : 0;
}

void rtsp_udp_set_lazy(struct rtsp_udp *udp, bool lazy)
{
    for (int i = 0; i < TRACK_COUNT * 2; i++) {
        struct udp_port *p = &udp->ports[i / 2][i % 2];
        p->read_ms = uv_now(udp->loop);
        if (p->open && lazy)
            (void)uv_udp_recv_stop(&p->handle);
        else if (p->open)
            (void)uv_udp_recv_start(&p->handle, on_alloc, on_receive);
    }
}

/* Datagrams read by one system call, and where they came from. */
struct batch {
    struct mmsghdr messages[BATCH];
    struct iovec places[BATCH];
    struct sockaddr_storage from[BATCH];
};

/* @return how many came; 0: none. */
static unsigned read_batch(struct udp_port *p, struct batch *b)
{
    uv_os_fd_t fd;
    if (!p->open || uv_fileno((const uv_handle_t *)&p->handle, &fd) != 0)
        return 0;
    for (unsigned i = 0; i < BATCH; i++) {
        b->places[i] = (struct iovec){p->udp->datagrams[i], DATAGRAM_MAX};
        b->from[i].ss_family = AF_UNSPEC;
        b->messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &b->from[i],
                                                      .msg_namelen = sizeof(b->from[i]),
                                                      .msg_iov = &b->places[i],
                                                      .msg_iovlen = 1}};
    }
    int n = recvmmsg(fd, b->messages, BATCH, MSG_DONTWAIT, NULL);
    return n > 0 ? (unsigned)n : 0;
}

/* @return what they took of the socket's buffer. */
static size_t take_batch(struct udp_port *p, const struct batch *b, unsigned count)
{
    size_t charge = 0;
    for (unsigned i = 0; i < count; i++) {
        size_t len = b->messages[i].msg_len;
        charge += charge_of(len);
        if (len > 0 && p->open) /* else the one before has closed it */
            take(p, p->udp->datagrams[i], len, (const struct sockaddr *)&b->from[i]);
    }
    return charge;
}

/* No more than a buffer full: whoever floods the port must not keep this thread. */
static void gather_port(struct udp_port *p)
{
    struct batch b;
    unsigned count = BATCH;
    size_t charge = 0;
    while (charge <= p->capacity && count == BATCH) { /* fewer: these were all */
        count = read_batch(p, &b);
        charge += take_batch(p, &b, count);
    }
    if (charge > 0)
        count_charge(p, charge, p->read_ms);
    p->read_ms = uv_now(p->udp->loop);
}

void rtsp_udp_gather(struct rtsp_udp *udp)
{
    for (int i = 0; i < TRACK_COUNT * 2; i++)
        gather_port(&udp->ports[i / 2][i % 2]);
}

/* --- ports -------------------------------------------------------------- */

/* Bind a socket for libuv to take over.  @return the socket, or a negative errno.  Caller owns. */
static int bind_socket(const struct sockaddr_storage *where, uint16_t *bound)
{
    struct sockaddr_storage address = *where;
    socklen_t len = sizeof(address);
    int on = 1;
    int fd = socket(where->ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    /* Other workers may listen to the same group. */
    if (is_multicast(where))
        (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        int rc = -errno;
        (void)close(fd);
        return rc;
    }
    int size = UDP_BUFFER_BYTES;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size,
                         sizeof(size)); /* as much as is allowed */
    *bound = get_port(&address);
    return fd;
}

static bool start_port(struct rtsp_udp *u, enum track track, int which, int fd)
{
    struct udp_port *p = &u->ports[track][which];
    p->udp = u;
    p->track = track;
    (void)uv_udp_init(u->loop, &p->handle); /* cannot fail: no socket is made */
    p->open = true;
    p->handle.data = p;
    closing_hold(&u->closing);
    int capacity = 0;
    socklen_t len = sizeof(capacity);
    if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &capacity, &len) == 0 && capacity > 0)
        p->capacity = (size_t)capacity;
    if (uv_udp_open(&p->handle, fd) != 0) {
        (void)close(fd);
        return false;
    }
    return uv_udp_recv_start(&p->handle, on_alloc, on_receive) == 0;
}

/* Try until a port has an even number and the next port is free (RFC 3550 section 11). */
static bool bind_pair(struct rtsp_udp *u, enum track track)
{
    for (int i = 0; i < UDP_PAIR_TRIES; i++) {
        struct sockaddr_storage where = u->local;
        uint16_t port = 0;
        uint16_t neighbour = 0;
        set_port(&where, 0);
        int rtp = bind_socket(&where, &port);
        if (rtp < 0)
            return false;
        set_port(&where, (uint16_t)(port + 1));
        int rtcp = port % 2 == 0 && port < 65535 ? bind_socket(&where, &neighbour) : -EADDRINUSE;
        if (rtcp < 0) {
            (void)close(rtp);
            continue;
        }
        u->port_numbers[track] = port;
        bool ok = start_port(u, track, 0, rtp);
        return start_port(u, track, 1, rtcp) && ok;
    }
    return false;
}

bool rtsp_udp_bind(struct rtsp_udp *udp)
{
    for (int track = 0; track < TRACK_COUNT; track++)
        if (!bind_pair(udp, (enum track)track))
            return false;
    return true;
}

uint16_t rtsp_udp_port(const struct rtsp_udp *udp, enum track track)
{
    return udp->port_numbers[track];
}

static int join(struct rtsp_udp *u, enum track track, int which, const struct sockaddr_storage *at)
{
    char group[INET6_ADDRSTRLEN];
    char interface[INET6_ADDRSTRLEN];
    uint16_t bound;
    if (uv_ip_name((const struct sockaddr *)at, group, sizeof(group)) != 0 ||
        uv_ip_name((const struct sockaddr *)&u->local, interface, sizeof(interface)) != 0)
        return -EINVAL;
    int fd = bind_socket(at, &bound);
    if (fd < 0)
        return fd;
    if (!start_port(u, track, which, fd))
        return -EADDRNOTAVAIL;
    return uv_udp_set_membership(&u->ports[track][which].handle, group, interface, UV_JOIN_GROUP);
}

int rtsp_udp_join(struct rtsp_udp *udp, enum track track, const char *group,
                  const uint16_t ports[2])
{
    struct sockaddr_storage at;
    if (!read_address(group, &at) || !is_multicast(&at) || at.ss_family != udp->local.ss_family)
        return -EINVAL;
    for (int i = 0; i < 2; i++) {
        if (ports[i] == 0 || udp->ports[track][i].open)
            return -EINVAL;
        set_port(&at, ports[i]);
        int rc = join(udp, track, i, &at);
        if (rc != 0)
            return rc;
    }
    return 0;
}

/* --- sending ------------------------------------------------------------ */

static void send_datagram(struct udp_port *p, const uint8_t *data, size_t len)
{
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)data, (unsigned)len);
    if (p->open && p->peer.ss_family != 0 && get_port(&p->peer) != 0)
        (void)uv_udp_try_send(&p->handle, &buf, 1, (const struct sockaddr *)&p->peer);
}

void rtsp_udp_peer(struct rtsp_udp *udp, enum track track, const char *source,
                   const uint16_t ports[2])
{
    /* An empty RTP packet and an empty receiver report: neither reaches a decoder. */
    static const uint8_t openers[2][12] = {{0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
                                           {0x80, 201, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}};
    static const size_t sizes[2] = {12, 8};
    for (int i = 0; i < 2; i++) {
        struct udp_port *p = &udp->ports[track][i];
        if (!p->open)
            continue;
        if (!read_address(source, &p->source))
            p->source.ss_family = 0;
        p->peer = udp->peer;
        set_port(&p->peer, ports[i]);
        send_datagram(p, openers[i], sizes[i]);
    }
}

void rtsp_udp_send_rtcp(struct rtsp_udp *udp, enum track track, const uint8_t *data, size_t len)
{
    send_datagram(&udp->ports[track][1], data, len);
}

/* --- life --------------------------------------------------------------- */

struct rtsp_udp *rtsp_udp_open(uv_loop_t *loop, const struct sockaddr_storage *local,
                               const struct sockaddr_storage *peer,
                               const struct rtsp_udp_events *events)
{
    struct rtsp_udp *u = calloc(1, sizeof(*u));
    if (u == NULL)
        return NULL;
    u->loop = loop;
    u->local = *local;
    u->peer = *peer;
    u->events = *events;
    (void)uv_idle_init(loop, &u->last); /* cannot fail */
    u->last.data = u;
    closing_hold(&u->closing);
    return u;
}

static void release(struct rtsp_udp *u)
{
    if (closing_release(&u->closing))
        closing_finish(&u->closing, u);
}

static void on_port_closed(uv_handle_t *handle)
{
    const struct udp_port *p = handle->data;
    release(p->udp);
}

static void on_last_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void rtsp_udp_close(struct rtsp_udp *udp, void (*closed)(void *ctx), void *ctx)
{
    (void)closing_ask(&udp->closing, closed, ctx); /* the last handle is held */
    for (int i = 0; i < TRACK_COUNT * 2; i++) {
        struct udp_port *p = &udp->ports[i / 2][i % 2];
        if (p->open)
            uv_close((uv_handle_t *)&p->handle, on_port_closed);
        p->open = false;
    }
    uv_close((uv_handle_t *)&udp->last, on_last_closed);
}
