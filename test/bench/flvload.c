/*
 * flvload - HTTP-FLV fan-out load generator (one process, epoll).
 *
 * Opens N connections to one HTTP-FLV URL, reads and discards everything, and
 * parses the FLV tag headers of every connection to check the framing.
 *
 *   flvload [-c conns] [-t seconds] [-r conns_per_second] [-s settle_seconds]
 *           [-T ts_tolerance_ms] [-g gap_ms] [-b bufsize] [-w wait_ms] [-0] [-q] [-k] URL
 *
 *   URL  [http://]host:port/path?query
 *   -t   run time in seconds, counted from the moment the ramp is finished
 *   -r   connections started per second (0: all at once)
 *   -s   seconds after the ramp that the steady window starts (default 3)
 *   -T   tolerance for a timestamp going backwards, in ms (default 0)
 *   -g   a video timestamp jump above this many ms counts as a gap
 *        (frames dropped by the server), default 500
 *   -w   after the settling time, at least this many ms between two rounds of
 *        reading, so that many small writes of the server cost few reads here
 *        (adds that much to the delays measured; default 0)
 *   -0   send HTTP/1.0 (no chunked coding expected)
 *   -q   no per-second lines
 *   -k   also print the summary as one key=value line (for scripts)
 *
 * Handles chunked transfer coding and plain close-delimited bodies.
 *
 * Delay of a connection: each coded frame arrives at (wall, ts).  The least
 * (wall - ts) seen on that connection is its live edge; the delay of a tag is
 * how far it is behind that.  "lag_end" is (now - last video ts) - edge at the
 * end, so a connection which falls behind shows it whatever base its
 * timestamps have.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ST_IDLE, ST_CONNECTING, ST_HTTP, ST_BODY, ST_CLOSED };
enum { CK_NONE, CK_SIZE, CK_EXT, CK_DATA, CK_CR, CK_LF, CK_END };
enum { F_HDR, F_PTS0, F_TAG, F_BODY, F_PTS, F_BAD };
enum {
    E_NONE,
    E_CONNECT,
    E_STATUS,
    E_HTTP,
    E_CHUNK,
    E_SIG,
    E_PTS0,
    E_TYPE,
    E_STREAMID,
    E_PTS,
    E_MAX
};
static const char *ename[] = {"none",      "connect",        "http-status",      "http-header",
                              "chunk",     "flv-signature",  "PreviousTagSize0", "tag-type",
                              "stream-id", "PreviousTagSize"};

#define HBUF 4096

struct conn {
    int fd;
    uint8_t state, ck, fs, err;
    uint8_t chunked, ckdig;
    uint8_t ttype; /* current tag type */
    uint8_t pk[6]; /* first bytes of the current tag body */
    uint8_t npk;
    uint8_t seen[3]; /* a coded tag of type 8, 9, 18 has been seen */
    uint8_t closed_early;
    uint16_t hlen;
    uint16_t status;
    uint64_t ckleft;
    uint8_t acc[13]; /* small accumulator: headers and sizes */
    uint8_t nacc;
    uint32_t tsize, tleft, tts;
    uint32_t last[3];
    uint64_t bytes;   /* all bytes received, headers included */
    uint64_t steady0; /* bytes at the start of the steady window */
    uint64_t nvid, naud, nscr, nkey;
    uint32_t ts_err, gaps;
    int32_t ts_worst; /* worst backward step, ms */
    uint32_t gap_max;
    double t0, ttfb, ttfk, tconn, tclose;
    double edge; /* least wall-ts in ms */
    double dmax; /* worst delay behind the edge after settling, ms */
    char *hbuf;
};

static struct conn *C;
static int N = 100;
static double dur = 20, settle = 3;
static double rate = 200;
static int ts_tol = 0, gap_ms = 500, http10, quiet, kv, wait_ms;
static size_t bufsize = 131072;
static char host[256], port[16], path[2048];
static char req[4096];
static int reqlen;
static int ep;
static volatile sig_atomic_t stop;
static int n_conn, n_closed, n_err, n_started;
static uint64_t total;

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec + ts.tv_nsec * 1e-9;
}

static double cpu_now(double *u, double *s)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    *u = r.ru_utime.tv_sec + r.ru_utime.tv_usec * 1e-6;
    *s = r.ru_stime.tv_sec + r.ru_stime.tv_usec * 1e-6;
    return *u + *s;
}

static void on_sig(int n)
{
    (void)n;
    stop = 1;
}

static void seterr(struct conn *c, int e)
{
    if (!c->err) {
        c->err = e;
        n_err++;
    }
    c->fs = F_BAD;
}

static void shut(struct conn *c, double t, int early)
{
    if (c->state == ST_CLOSED)
        return;
    if (c->state != ST_CONNECTING && c->state != ST_IDLE)
        n_conn--;
    c->state = ST_CLOSED;
    c->tclose = t;
    c->closed_early = early;
    if (early)
        n_closed++;
    close(c->fd);
    c->fd = -1;
    free(c->hbuf);
    c->hbuf = NULL;
}

static uint32_t be24(const uint8_t *p)
{
    return (uint32_t)p[0] << 16 | p[1] << 8 | p[2];
}
static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | p[1] << 16 | p[2] << 8 | p[3];
}

static void tag_done(struct conn *c, double t)
{
    int i, coded = 1, key = 0;
    if (c->ttype == 9) {
        c->nvid++;
        if (c->npk < 1)
            return;
        if (c->pk[0] & 0x80) { /* Enhanced RTMP */
            int pt = c->pk[0] & 15, ft = (c->pk[0] >> 4) & 7;
            coded = pt == 1 || pt == 3;
            key = coded && ft == 1;
        } else {
            int codec = c->pk[0] & 15, ft = c->pk[0] >> 4;
            if (codec == 7 || codec == 12 || codec == 13)
                coded = c->npk >= 2 && c->pk[1] == 1;
            if (ft == 5)
                coded = 0;
            key = coded && ft == 1;
        }
        i = 1;
    } else if (c->ttype == 8) {
        c->naud++;
        if (c->npk < 1)
            return;
        if ((c->pk[0] >> 4) == 10) /* AAC */
            coded = c->npk >= 2 && c->pk[1] == 1;
        else if ((c->pk[0] >> 4) == 9) /* Enhanced RTMP audio */
            coded = (c->pk[0] & 15) == 1;
        i = 0;
    } else {
        c->nscr++;
        i = 2;
    }
    if (key) {
        c->nkey++;
        if (c->ttfk < 0)
            c->ttfk = t - c->t0;
    }
    if (!coded)
        return;
    if (c->seen[i]) {
        int32_t d = (int32_t)(c->tts - c->last[i]);
        if (d < -ts_tol)
            c->ts_err++;
        if (d < c->ts_worst)
            c->ts_worst = d;
        if (i == 1 && d > gap_ms) {
            c->gaps++;
            if ((uint32_t)d > c->gap_max)
                c->gap_max = d;
        }
    }
    c->seen[i] = 1;
    c->last[i] = c->tts;
    if (i == 1) {
        double d = t * 1000 - c->tts;
        if (d < c->edge)
            c->edge = d;
        if (t - c->t0 > settle && d - c->edge > c->dmax)
            c->dmax = d - c->edge;
    }
}

/* one piece of FLV payload */
static void flv(struct conn *c, const uint8_t *p, size_t n, double t)
{
    while (n) {
        size_t k;
        switch (c->fs) {
        case F_BODY:
            k = n < c->tleft ? n : c->tleft;
            if (c->npk < sizeof c->pk) {
                size_t m = sizeof c->pk - c->npk;
                if (m > k)
                    m = k;
                memcpy(c->pk + c->npk, p, m);
                c->npk += m;
            }
            c->tleft -= k;
            p += k;
            n -= k;
            if (!c->tleft)
                c->fs = F_PTS;
            break;
        case F_HDR:
        case F_PTS0:
        case F_TAG:
        case F_PTS: {
            size_t want = c->fs == F_HDR ? 9 : c->fs == F_TAG ? 11 : 4;
            k = want - c->nacc;
            if (k > n)
                k = n;
            memcpy(c->acc + c->nacc, p, k);
            c->nacc += k;
            p += k;
            n -= k;
            if (c->nacc < want)
                break;
            c->nacc = 0;
            if (c->fs == F_HDR) {
                if (memcmp(c->acc, "FLV\1", 4) || be32(c->acc + 5) != 9)
                    seterr(c, E_SIG);
                else
                    c->fs = F_PTS0;
            } else if (c->fs == F_PTS0) {
                if (be32(c->acc) != 0)
                    seterr(c, E_PTS0);
                else
                    c->fs = F_TAG;
            } else if (c->fs == F_TAG) {
                c->ttype = c->acc[0];
                c->tsize = c->tleft = be24(c->acc + 1);
                c->tts = be24(c->acc + 4) | (uint32_t)c->acc[7] << 24;
                c->npk = 0;
                if (c->ttype != 8 && c->ttype != 9 && c->ttype != 18)
                    seterr(c, E_TYPE);
                else if (be24(c->acc + 8) != 0)
                    seterr(c, E_STREAMID);
                else
                    c->fs = c->tleft ? F_BODY : F_PTS;
            } else {
                if (be32(c->acc) != c->tsize + 11)
                    seterr(c, E_PTS);
                else {
                    c->fs = F_TAG;
                    tag_done(c, t);
                }
            }
            break;
        }
        default:
            return; /* F_BAD: discard */
        }
    }
}

/* HTTP body bytes; returns 1 when the body has ended */
static int body(struct conn *c, const uint8_t *p, size_t n, double t)
{
    if (!c->chunked) {
        flv(c, p, n, t);
        return 0;
    }
    while (n) {
        size_t k;
        int ch, d;
        switch (c->ck) {
        case CK_DATA:
            k = n < c->ckleft ? n : c->ckleft;
            flv(c, p, k, t);
            c->ckleft -= k;
            p += k;
            n -= k;
            if (!c->ckleft)
                c->ck = CK_CR;
            break;
        case CK_SIZE:
            ch = *p++;
            n--;
            d = ch >= '0' && ch <= '9'                 ? ch - '0'
                : (ch | 32) >= 'a' && (ch | 32) <= 'f' ? (ch | 32) - 'a' + 10
                                                       : -1;
            if (d >= 0) {
                if (++c->ckdig > 15)
                    goto bad;
                c->ckleft = c->ckleft << 4 | d;
                break;
            }
            if (!c->ckdig)
                goto bad;
            if (ch == ';' || ch == ' ' || ch == '\t' || ch == '\r')
                c->ck = CK_EXT;
            else
                goto bad;
            break;
        case CK_EXT:
            ch = *p++;
            n--;
            if (ch == '\n') {
                if (!c->ckleft) {
                    c->ck = CK_END;
                    return 1;
                }
                c->ck = CK_DATA;
            }
            break;
        case CK_CR:
            if (*p++ != '\r')
                goto bad;
            n--;
            c->ck = CK_LF;
            break;
        case CK_LF:
            if (*p++ != '\n')
                goto bad;
            n--;
            c->ck = CK_SIZE;
            c->ckleft = 0;
            c->ckdig = 0;
            break;
        default:
            return 1;
        }
    }
    return 0;
bad:
    seterr(c, E_CHUNK);
    c->chunked = 0; /* keep counting bytes, parse no more */
    return 0;
}

/* response header; returns bytes of p used, or -1 for an error */
static int http(struct conn *c, const uint8_t *p, size_t n)
{
    char *e;
    size_t k = HBUF - 1 - c->hlen, used;
    int old = c->hlen;
    if (!c->hbuf && !(c->hbuf = malloc(HBUF)))
        return -1;
    if (k > n)
        k = n;
    memcpy(c->hbuf + c->hlen, p, k);
    c->hlen += k;
    c->hbuf[c->hlen] = 0;
    e = memmem(c->hbuf, c->hlen, "\r\n\r\n", 4);
    if (!e)
        return c->hlen >= HBUF - 1 ? -1 : (int)n;
    used = e + 4 - c->hbuf - old;
    *e = 0;
    if (strncmp(c->hbuf, "HTTP/1.", 7) || strlen(c->hbuf) < 12)
        return -1;
    c->status = atoi(c->hbuf + 9);
    for (char *l = strstr(c->hbuf, "\r\n"); l; l = strstr(l, "\r\n")) {
        l += 2;
        if (!strncasecmp(l, "Transfer-Encoding:", 18)) {
            char *eol = strstr(l, "\r\n");
            size_t len = eol ? (size_t)(eol - l) : strlen(l);
            char v[128];
            snprintf(v, sizeof v, "%.*s", (int)len, l);
            if (strcasestr(v, "chunked")) {
                c->chunked = 1;
                c->ck = CK_SIZE;
            }
        }
    }
    if (c->status == 200 && c == C && !quiet)
        fprintf(stderr, "first response: %s\n", c->hbuf);
    free(c->hbuf);
    c->hbuf = NULL;
    return used;
}

static void on_data(struct conn *c, const uint8_t *p, size_t n, double t)
{
    if (c->ttfb < 0)
        c->ttfb = t - c->t0;
    c->bytes += n;
    total += n;
    if (c->state == ST_HTTP) {
        int k = http(c, p, n);
        if (k < 0) {
            seterr(c, E_HTTP);
            shut(c, t, 1);
            return;
        }
        p += k;
        n -= k;
        if (!c->status)
            return;
        if (c->status != 200) {
            seterr(c, E_STATUS);
            shut(c, t, 1);
            return;
        }
        c->state = ST_BODY;
    }
    if (n && body(c, p, n, t))
        shut(c, t, 1);
}

static void start(struct conn *c, struct addrinfo *ai, double t)
{
    struct epoll_event ev;
    c->t0 = t;
    c->fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) {
        perror("socket");
        seterr(c, E_CONNECT);
        c->state = ST_CLOSED;
        n_closed++;
        return;
    }
    c->state = ST_CONNECTING;
    if (connect(c->fd, ai->ai_addr, ai->ai_addrlen) < 0 && errno != EINPROGRESS) {
        seterr(c, E_CONNECT);
        shut(c, t, 1);
        return;
    }
    ev.events = EPOLLOUT;
    ev.data.ptr = c;
    epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev);
}

static int cmpd(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

struct dist {
    int n;
    double min, med, p99, max;
};

static struct dist dist(double *v, int n)
{
    struct dist d = {n, 0, 0, 0, 0};
    if (!n)
        return d;
    qsort(v, n, sizeof *v, cmpd);
    d.min = v[0];
    d.med = v[n / 2];
    d.p99 = v[(int)((n - 1) * 0.99 + 0.5)];
    d.max = v[n - 1];
    return d;
}

int main(int argc, char **argv)
{
    int o, i;
    const char *u;
    struct addrinfo hints, *ai;
    struct rlimit rl;
    static struct epoll_event evs[8192];
    double tround = 0;
    uint8_t *buf;
    double *v;

    setvbuf(stdout, NULL, _IOLBF, 0);
    while ((o = getopt(argc, argv, "c:t:r:s:T:g:b:w:0qk")) != -1)
        switch (o) {
        case 'c':
            N = atoi(optarg);
            break;
        case 't':
            dur = atof(optarg);
            break;
        case 'r':
            rate = atof(optarg);
            break;
        case 's':
            settle = atof(optarg);
            break;
        case 'T':
            ts_tol = atoi(optarg);
            break;
        case 'g':
            gap_ms = atoi(optarg);
            break;
        case 'b':
            bufsize = atol(optarg);
            break;
        case 'w':
            wait_ms = atoi(optarg);
            break;
        case '0':
            http10 = 1;
            break;
        case 'q':
            quiet = 1;
            break;
        case 'k':
            kv = 1;
            break;
        default:
            goto usage;
        }
    if (optind + 1 != argc || N < 1 || bufsize < 4096) {
    usage:
        fprintf(stderr,
                "usage: flvload [-c conns] [-t s] [-r conns/s] [-s settle_s] [-T ts_tol_ms] [-g "
                "gap_ms] [-b bytes] [-w wait_ms] [-0qk] [http://]host:port/path\n");
        return 2;
    }
    u = argv[optind];
    if (!strncmp(u, "http://", 7))
        u += 7;
    {
        const char *sl = strchr(u, '/'), *co;
        size_t al = sl ? (size_t)(sl - u) : strlen(u);
        co = memrchr(u, ':', al);
        snprintf(host, sizeof host, "%.*s", (int)(co ? co - u : (ptrdiff_t)al), u);
        if (co)
            snprintf(port, sizeof port, "%.*s", (int)(u + al - co - 1), co + 1);
        else
            strcpy(port, "80");
        snprintf(path, sizeof path, "%s", sl ? sl : "/");
    }
    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    if ((i = getaddrinfo(host, port, &hints, &ai))) {
        fprintf(stderr, "%s:%s: %s\n", host, port, gai_strerror(i));
        return 2;
    }
    reqlen =
        snprintf(req, sizeof req,
                 "GET %s HTTP/1.%d\r\nHost: %s:%s\r\nUser-Agent: flvload\r\nAccept: */*\r\n%s\r\n",
                 path, !http10, host, port, http10 ? "" : "Connection: keep-alive\r\n");
    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
    if (rl.rlim_cur < (rlim_t)N + 16)
        fprintf(stderr, "warning: RLIMIT_NOFILE is %lu\n", (unsigned long)rl.rlim_cur);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, on_sig);
    signal(SIGTERM, on_sig);
    C = calloc(N, sizeof *C);
    v = malloc(sizeof *v * N);
    buf = malloc(bufsize);
    ep = epoll_create1(EPOLL_CLOEXEC);
    if (!C || !v || !buf || ep < 0) {
        perror("init");
        return 2;
    }
    for (i = 0; i < N; i++) {
        C[i].fd = -1;
        C[i].ttfb = C[i].ttfk = C[i].tconn = -1;
        C[i].edge = 1e300;
    }

    double T0 = now(), tend = 0, tsteady = 0, tramp = 0, tlast = T0, tnext = T0 + 1;
    double cu0 = 0, cs0 = 0, clast = 0, u1, s1;
    uint64_t blast = 0, bsteady = 0;
    int steady = 0;

    for (;;) {
        double t = now();
        if (stop || (tend && t >= tend))
            break;
        if (n_started < N) {
            int want = rate > 0 ? (int)((t - T0) * rate) + 1 : N;
            int burst = 0;
            if (want > N)
                want = N;
            while (n_started < want && burst++ < 200)
                start(&C[n_started++], ai, now());
            if (n_started == N) {
                tramp = now();
                tend = tramp + dur;
                tsteady = tramp + settle;
            }
        }
        if (!steady && tsteady && t >= tsteady) {
            steady = 1;
            bsteady = total;
            tsteady = t;
            cpu_now(&cu0, &cs0);
            for (i = 0; i < N; i++)
                C[i].steady0 = C[i].bytes;
            if (kv)
                fprintf(stdout, "STEADY\n");
        }
        if (t >= tnext) {
            double c = cpu_now(&u1, &s1);
            if (!quiet)
                printf("%6.1fs started %d connected %d closed %d framing-err %d  %9.1f MB total  "
                       "%8.1f Mbps  cpu %.0f%%\n",
                       t - T0, n_started, n_conn, n_closed, n_err, total / 1e6,
                       (total - blast) * 8 / 1e6 / (t - tlast), (c - clast) / (t - tlast) * 100);
            tlast = t;
            blast = total;
            clast = c;
            while (tnext <= t)
                tnext += 1;
        }
        if (wait_ms && steady) {
            double w = tround + wait_ms * 1e-3 - now();
            if (w > 0) {
                struct timespec ts = {0, (long)(w * 1e9)};
                if (ts.tv_nsec > 999999999)
                    ts.tv_nsec = 999999999;
                nanosleep(&ts, NULL);
            }
            tround = now();
        }
        int n = epoll_wait(ep, evs, wait_ms && steady ? 8192 : 512, n_started < N ? 1 : 20);
        if (n < 0 && errno != EINTR) {
            perror("epoll_wait");
            return 2;
        }
        for (i = 0; i < n; i++) {
            struct conn *c = evs[i].data.ptr;
            if (c->state == ST_CLOSED)
                continue;
            if (c->state == ST_CONNECTING) {
                int e = 0;
                socklen_t l = sizeof e;
                struct epoll_event ev;
                getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &e, &l);
                t = now();
                if (e || send(c->fd, req, reqlen, 0) != reqlen) {
                    seterr(c, E_CONNECT);
                    shut(c, t, 1);
                    continue;
                }
                c->tconn = t - c->t0;
                c->state = ST_HTTP;
                n_conn++;
                ev.events = EPOLLIN;
                ev.data.ptr = c;
                epoll_ctl(ep, EPOLL_CTL_MOD, c->fd, &ev);
                continue;
            }
            ssize_t k = recv(c->fd, buf, bufsize, 0);
            if (k > 0)
                on_data(c, buf, k, now());
            else if (k == 0 || (errno != EAGAIN && errno != EINTR))
                shut(c, now(), 1);
        }
    }

    double te = now(), tot = cpu_now(&u1, &s1);
    double wall = te - T0, sw = steady ? te - tsteady : wall;
    double scpu = tot - cu0 - cs0;
    int e[E_MAX] = {0}, got = 0, nokey = 0, tsbad = 0, gapc = 0;
    uint64_t tserr = 0, gaps = 0, nk = 0, nv = 0, na = 0;
    int32_t tsw = 0;
    uint32_t gapmax = 0;
    struct dist d, db, dr, df, dk, dl, dm;

    for (i = 0; i < N; i++) {
        e[C[i].err]++;
        got += C[i].bytes > 0;
        nokey += C[i].ttfk < 0;
        tsbad += C[i].ts_err > 0;
        gapc += C[i].gaps > 0;
        tserr += C[i].ts_err;
        gaps += C[i].gaps;
        nk += C[i].nkey;
        nv += C[i].nvid;
        na += C[i].naud;
        if (C[i].ts_worst < tsw)
            tsw = C[i].ts_worst;
        if (C[i].gap_max > gapmax)
            gapmax = C[i].gap_max;
    }
#define COLLECT(cond, expr)       \
    ({                            \
        int k_ = 0;               \
        for (i = 0; i < N; i++)   \
            if (cond)             \
                v[k_++] = (expr); \
        dist(v, k_);              \
    })
    db = COLLECT(1, C[i].bytes);
    dr = COLLECT(1, (C[i].bytes - C[i].steady0) * 8 / 1e6 / sw);
    d = COLLECT(C[i].tconn >= 0, C[i].tconn * 1000);
    df = COLLECT(C[i].ttfb >= 0, C[i].ttfb * 1000);
    dk = COLLECT(C[i].ttfk >= 0, C[i].ttfk * 1000);
    dl = COLLECT(C[i].seen[1],
                 (C[i].state == ST_CLOSED ? C[i].tclose : te) * 1000 - C[i].last[1] - C[i].edge);
    dm = COLLECT(C[i].seen[1], C[i].dmax);

    printf("--- %s:%s%s  %d connections, ramp %.1f s, %.1f s after the ramp\n", host, port, path, N,
           tramp - T0, te - tramp);
    printf(
        "connected at end %d, got bytes %d, closed early %d, framing errors %d, no keyframe %d\n",
        n_conn, got, n_closed, n_err, nokey);
    if (n_err) {
        printf("errors by kind:");
        for (i = 1; i < E_MAX; i++)
            if (e[i])
                printf(" %s %d", ename[i], e[i]);
        printf("\n");
    }
    printf("timestamps: %d connections went backwards (%lu times, worst %d ms); %d had video gaps "
           "> %d ms (%lu, worst %u ms)\n",
           tsbad, (unsigned long)tserr, (int)tsw, gapc, gap_ms, (unsigned long)gaps, gapmax);
    printf("tags: video %lu (key %lu) audio %lu\n", (unsigned long)nv, (unsigned long)nk,
           (unsigned long)na);
    printf("total %.1f MB, %.1f Mbps over all; steady window %.1f s: %.1f Mbps\n", total / 1e6,
           total * 8 / 1e6 / wall, sw, (total - bsteady) * 8 / 1e6 / sw);
    printf("bytes per connection   min %.0f median %.0f max %.0f\n", db.min, db.med, db.max);
    printf("steady Mbps per conn   min %.3f median %.3f max %.3f\n", dr.min, dr.med, dr.max);
    printf("connect ms             min %.1f median %.1f p99 %.1f max %.1f (n %d)\n", d.min, d.med,
           d.p99, d.max, d.n);
    printf("first byte ms          min %.1f median %.1f p99 %.1f max %.1f (n %d)\n", df.min, df.med,
           df.p99, df.max, df.n);
    printf("first keyframe tag ms  min %.1f median %.1f p99 %.1f max %.1f (n %d)\n", dk.min, dk.med,
           dk.p99, dk.max, dk.n);
    printf("lag at end ms          min %.1f median %.1f p99 %.1f max %.1f\n", dl.min, dl.med,
           dl.p99, dl.max);
    printf("worst frame delay ms   min %.1f median %.1f p99 %.1f max %.1f\n", dm.min, dm.med,
           dm.p99, dm.max);
    printf("own cpu %.2f s (user %.2f sys %.2f) = %.1f%% of a core; steady %.1f%%\n", tot, u1, s1,
           tot / wall * 100, scpu / sw * 100);
    if (kv)
        printf("KV n=%d conn_end=%d closed=%d err=%d nokey=%d tsbad=%d ts_worst=%d gapc=%d "
               "gaps=%lu gap_max=%u mbps=%.1f "
               "pc_min=%.3f pc_med=%.3f pc_max=%.3f conn_med=%.2f conn_max=%.2f ttfb_min=%.2f "
               "ttfb_med=%.2f ttfb_p99=%.2f ttfb_max=%.2f "
               "ttfk_min=%.2f ttfk_med=%.2f ttfk_p99=%.2f ttfk_max=%.2f lag_med=%.1f lag_p99=%.1f "
               "lag_max=%.1f "
               "dmax_med=%.1f dmax_p99=%.1f dmax_max=%.1f cpu=%.3f steady_s=%.2f\n",
               N, n_conn, n_closed, n_err, nokey, tsbad, (int)tsw, gapc, (unsigned long)gaps,
               gapmax, (total - bsteady) * 8 / 1e6 / sw, dr.min, dr.med, dr.max, d.med, d.max,
               df.min, df.med, df.p99, df.max, dk.min, dk.med, dk.p99, dk.max, dl.med, dl.p99,
               dl.max, dm.med, dm.p99, dm.max, scpu / sw, sw);
    return n_err || n_closed ? 1 : 0;
}
