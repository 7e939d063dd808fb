/*
 * How cheap can fan-out be?  Serves one synthetic FLV stream to every connection with the least
 * work: no per-client state beyond the descriptor, one send per client and flush.  The limit that
 * the gateway's fan-out is compared with, in the same run, on the same core.
 *
 *   fanout-limit PORT VIEWERS SECONDS MODE VIDEO_BYTES KEY_BYTES AUDIO_PER_SECOND AUDIO_BYTES
 *
 * MODE: write (each tag its own send), frame (audio held until the next video tag), memfd
 * (sendfile from a memfd per frame, audio held).  25 video tags a second, one of KEY_BYTES every 2
 * s, each with the time at which it was due to be sent (stamp.h).  Streaming begins when all
 * viewers are connected.  Prints the process's CPU seconds per second.
 */
#include "stamp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FPS 25
#define GOP 50
#define BODY_MAX (1 << 20)
#define VIDEO_MIN 64 /* room for the codec header and the stamp */

static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: video/x-flv\r\n"
                           "Connection: close\r\n\r\n"
                           "FLV\x01\x05\0\0\0\x09\0\0\0\0";

struct totals {
    uint64_t bytes;
    long fails; /* a send that took less than everything: the viewer is out of step from then on */
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

static void put_be(uint8_t *out, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        out[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
}

static void put_stamp(uint8_t *out, double due_s)
{
    char text[sizeof(STAMP_UUID) + STAMP_DIGITS];
    snprintf(text, sizeof(text), "%s%0*llx", STAMP_UUID, STAMP_DIGITS,
             (unsigned long long)(due_s * 1e6));
    memcpy(out, text, sizeof(text) - 1);
}

/* A complete tag with its PreviousTagSize; returns its size. */
static uint32_t put_tag(uint8_t *out, uint8_t type, uint32_t ts, const uint8_t *body, uint32_t len)
{
    out[0] = type;
    put_be(out + 1, len, 3);
    put_be(out + 4, ts, 3);
    out[7] = (uint8_t)(ts >> 24);
    put_be(out + 8, 0, 3);
    memcpy(out + 11, body, len);
    put_be(out + 11 + len, len + 11, 4);
    return len + 15;
}

/* Accept the viewers, read their requests, answer. */
static int *accept_viewers(int port, int viewers)
{
    int one = 1;
    int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int *fds = calloc((size_t)viewers, sizeof(*fds));
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char request[4096];

    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (fds == NULL || bind(s, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(s, 4096) != 0) {
        perror("fanout-limit: listen");
        exit(1);
    }
    for (int i = 0; i < viewers; i++) {
        fds[i] = accept(s, NULL, NULL);
        setsockopt(fds[i], IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
        if (read(fds[i], request, sizeof(request)) <= 0 ||
            write(fds[i], head, sizeof(head) - 1) != sizeof(head) - 1) {
            perror("fanout-limit: viewer");
            exit(1);
        }
        fcntl(fds[i], F_SETFL, O_NONBLOCK);
    }
    close(s);
    return fds;
}

static void flush_all(const int *fds, int viewers, const uint8_t *buf, uint32_t len, int memfd,
                      struct totals *totals)
{
    if (memfd != -1 && pwrite(memfd, buf, len, 0) != (ssize_t)len) {
        perror("fanout-limit: memfd");
        exit(1);
    }
    for (int i = 0; i < viewers; i++) {
        off_t offset = 0;
        ssize_t n = memfd != -1 ? sendfile(fds[i], memfd, &offset, len)
                                : send(fds[i], buf, len, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n == (ssize_t)len)
            totals->bytes += len;
        else
            totals->fails++;
    }
}

int main(int argc, char **argv)
{
    static uint8_t video[BODY_MAX], audio[4096] = {0xaf, 1}, buf[2 * BODY_MAX];
    if (argc != 9) {
        fprintf(stderr, "usage: fanout-limit PORT VIEWERS SECONDS write|frame|memfd VIDEO_BYTES "
                        "KEY_BYTES AUDIO_PER_SECOND AUDIO_BYTES\n");
        return 2;
    }
    int viewers = atoi(argv[2]);
    double seconds = atof(argv[3]), audio_rate = atof(argv[7]);
    const char *mode = argv[4];
    uint32_t video_bytes = (uint32_t)atoi(argv[5]), key_bytes = (uint32_t)atoi(argv[6]);
    uint32_t audio_bytes = (uint32_t)atoi(argv[8]);
    if (viewers < 1 || video_bytes < VIDEO_MIN || video_bytes > BODY_MAX || key_bytes < VIDEO_MIN ||
        key_bytes > BODY_MAX || audio_rate <= 0 || audio_bytes > sizeof(audio)) {
        fprintf(stderr, "fanout-limit: argument out of range\n");
        return 2;
    }
    struct rlimit files = {(rlim_t)viewers + 64, (rlim_t)viewers + 64};
    setrlimit(RLIMIT_NOFILE, &files);
    bool each_tag = strcmp(mode, "write") == 0;
    int memfd = strcmp(mode, "memfd") == 0 ? memfd_create("frame", MFD_CLOEXEC) : -1;
    int *fds = accept_viewers(atoi(argv[1]), viewers);

    memset(video + 5, 0x55, sizeof(video) - 5);
    struct totals totals = {0};
    double start = now(), cpu_start = cpu(), next_audio = start, next_video = start;
    uint32_t held = 0;
    long frames = 0;
    while (now() - start < seconds) {
        bool is_video = next_video <= next_audio;
        double due = is_video ? next_video : next_audio, wait = due - now();
        if (wait > 0) {
            struct timespec t = {0, (long)(wait * 1e9)};
            nanosleep(&t, NULL);
            continue;
        }
        uint32_t ts = (uint32_t)((due - start) * 1000);
        if (is_video) {
            bool key = frames++ % GOP == 0;
            video[0] = key ? 0x17 : 0x27;
            video[1] = 1;
            put_stamp(video + 5, due);
            held += put_tag(buf + held, 9, ts, video, key ? key_bytes : video_bytes);
            next_video += 1.0 / FPS;
        } else {
            held += put_tag(buf + held, 8, ts, audio, audio_bytes);
            next_audio += 1.0 / audio_rate;
            if (!each_tag)
                continue;
        }
        flush_all(fds, viewers, buf, held, memfd, &totals);
        held = 0;
    }
    double elapsed = now() - start;
    printf("mode=%s viewers=%d cpu=%.3f mbps=%.1f fails=%ld seconds=%.2f\n", mode, viewers,
           (cpu() - cpu_start) / elapsed, (double)totals.bytes * 8 / elapsed / 1e6, totals.fails,
           elapsed);
    free(fds);
    return 0;
}
