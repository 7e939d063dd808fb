/*
 * flvdelay: HTTP-FLV viewers of one camera that stamps its frames (stamp.h): how long after the
 * camera sent it the last byte of each frame's tag was read.
 *
 *   flvdelay PORT TARGET VIEWERS SKIP FRAMES
 *
 * One line `start US` per viewer: from connect() to its first key frame.  Then one line `delay US`
 * for each of FRAMES frames of each viewer, after the first SKIP, which may come from the cache.
 */
#include "stamp.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define TAG_HEAD_BYTES 11
#define FLV_HEAD_BYTES 13 /* with the first PreviousTagSize */
#define VIDEO_TAG 9

struct viewer {
    int fd;
    int64_t connected_us;
    int64_t first_key_us;
    int matched; /* of the empty line that ends the response head */
    bool body;
    size_t skip; /* bytes to pass over */
    uint8_t head[TAG_HEAD_BYTES];
    size_t head_len;
    size_t left; /* of the tag's body */
    uint8_t start[STAMP_WITHIN];
    size_t start_len;
    long frames;
    int64_t *delays_us;
};

static long skip_frames, wanted_frames, viewers_done;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void on_tag(struct viewer *v, int64_t now_us)
{
    if (v->head[0] != VIDEO_TAG || v->start_len < 5)
        return;
    /* Frame type 1; a codec id below 8 has a packet type byte, 0 being the sequence header; the
     * enhanced dialect has it in the low bits: 1 and 3 are frames. */
    bool enhanced = (v->start[0] & 0x80) != 0;
    bool frame = enhanced ? (v->start[0] & 15) == 1 || (v->start[0] & 15) == 3 : v->start[1] == 1;
    int64_t sent_us = frame ? stamp_read(v->start, v->start_len) : 0;
    if (!frame)
        return;
    if (v->first_key_us == 0 && (v->start[0] >> 4 & 7) == 1)
        v->first_key_us = now_us;
    if (sent_us == 0) {
        fprintf(stderr, "a frame without a stamp\n");
        exit(1);
    }
    if (++v->frames <= skip_frames || v->frames > skip_frames + wanted_frames)
        return;
    v->delays_us[v->frames - skip_frames - 1] = now_us - sent_us;
    if (v->frames == skip_frames + wanted_frames)
        viewers_done++;
}

static void take_head(struct viewer *v, const uint8_t *data, size_t len, size_t *at)
{
    static const char end[] = "\r\n\r\n";
    while (*at < len && !v->body) {
        char c = (char)data[(*at)++];
        v->matched = c == end[v->matched] ? v->matched + 1 : c == '\r';
        v->body = v->matched == 4;
    }
}

static void take(struct viewer *v, const uint8_t *data, size_t len, int64_t now_us)
{
    size_t at = 0;
    take_head(v, data, len, &at);
    while (at < len) {
        size_t n = len - at;
        if (v->skip > 0) {
            n = n < v->skip ? n : v->skip;
            v->skip -= n;
        } else if (v->head_len < TAG_HEAD_BYTES) {
            size_t want = TAG_HEAD_BYTES - v->head_len;
            n = n < want ? n : want;
            memcpy(v->head + v->head_len, data + at, n);
            v->head_len += n;
            v->left = (size_t)v->head[1] << 16 | v->head[2] << 8 | v->head[3];
            v->start_len = 0;
        } else {
            n = n < v->left ? n : v->left;
            size_t room = sizeof(v->start) - v->start_len;
            room = room < n ? room : n;
            memcpy(v->start + v->start_len, data + at, room);
            v->start_len += room;
            v->left -= n;
            if (v->left == 0) {
                on_tag(v, now_us);
                v->head_len = 0;
                v->skip = 4;
            }
        }
        at += n;
    }
}

static void open_viewer(struct viewer *v, int poll_fd, int port, const char *target)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    char request[4096];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = v};
    int len = snprintf(request, sizeof(request),
                       "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n", target);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    v->delays_us = calloc((size_t)wanted_frames + 1, sizeof(*v->delays_us));
    v->skip = FLV_HEAD_BYTES;
    v->connected_us = stamp_now_us();
    v->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (v->fd < 0 || connect(v->fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        write(v->fd, request, (size_t)len) != len ||
        epoll_ctl(poll_fd, EPOLL_CTL_ADD, v->fd, &event) != 0)
        fail("viewer");
}

int main(int argc, char **argv)
{
    static uint8_t data[1 << 18];
    if (argc != 6)
        return 2;
    long viewers = atol(argv[3]);
    skip_frames = atol(argv[4]);
    wanted_frames = atol(argv[5]);
    struct viewer *all = calloc((size_t)viewers, sizeof(*all));
    int poll_fd = epoll_create1(EPOLL_CLOEXEC);
    for (long i = 0; i < viewers; i++)
        open_viewer(&all[i], poll_fd, atoi(argv[1]), argv[2]);
    while (viewers_done < viewers) {
        struct epoll_event events[64];
        int n = epoll_wait(poll_fd, events, 64, 30000);
        if (n <= 0)
            fail("nothing comes");
        for (int i = 0; i < n; i++) {
            struct viewer *v = events[i].data.ptr;
            ssize_t got = recv(v->fd, data, sizeof(data), MSG_DONTWAIT);
            if (got <= 0)
                fail("the gateway closed");
            take(v, data, (size_t)got, stamp_now_us());
        }
    }
    for (long i = 0; i < viewers; i++)
        printf("start %lld\n", (long long)(all[i].first_key_us - all[i].connected_us));
    for (long i = 0; i < viewers; i++)
        for (long j = 0; j < wanted_frames; j++)
            printf("delay %lld\n", (long long)all[i].delays_us[j]);
    return 0;
}
