/*
 * What does the kernel ask for datagrams that wait in a socket?  As many processes as cameras, each
 * of which reads its socket twice a second with recvmmsg() and throws away what has come.  The
 * limit that an idle camera over UDP is compared with, in the same run.
 *
 *   udp-limit CAMERAS SECONDS
 *
 * A camera sends 25 pictures of 10 KB a second, in packets of 1400 bytes, and 50 packets of sound
 * (2 Mbit/s).  Prints the run time of a reader per second, as the scheduler counts it.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CAMERAS_MAX 256
#define FPS 25
#define BATCH 16
#define PLACE (65536 + 2048)
#define VIDEO_BYTES 1400
#define VIDEO_PACKETS 15 /* in two pictures */
#define AUDIO_BYTES 180
#define AUDIO_PACKETS 2
#define BUFFER_BYTES 4194304
#define READ_US 500000

struct camera {
    int fd;
    struct sockaddr_in address;
    pid_t reader;
};

static struct camera cameras[CAMERAS_MAX];

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void open_socket(struct camera *c)
{
    socklen_t len = sizeof(c->address);
    int size = BUFFER_BYTES;
    c->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    c->address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (c->fd < 0 || bind(c->fd, (const struct sockaddr *)&c->address, len) != 0 ||
        getsockname(c->fd, (struct sockaddr *)&c->address, &len) != 0)
        fail("udp-limit: socket");
    if (setsockopt(c->fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
        (void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
}

static void read_all(int fd)
{
    static uint8_t places[BATCH][PLACE];
    struct mmsghdr messages[BATCH];
    struct iovec parts[BATCH];
    struct sockaddr_storage from[BATCH];
    int n;
    do {
        for (int i = 0; i < BATCH; i++) {
            parts[i] = (struct iovec){places[i], PLACE};
            messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &from[i],
                                                       .msg_namelen = sizeof(from[i]),
                                                       .msg_iov = &parts[i],
                                                       .msg_iovlen = 1}};
        }
        n = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT, NULL);
    } while (n == BATCH);
}

/* first_us: the readers do not wake up at the same time. */
static void start_reader(struct camera *c, useconds_t first_us)
{
    c->reader = fork();
    if (c->reader < 0)
        fail("udp-limit: fork");
    if (c->reader > 0)
        return;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)usleep(first_us);
    for (;;) {
        read_all(c->fd);
        (void)usleep(READ_US);
    }
}

static void send_picture(int fd, const struct camera *c, int number)
{
    static const uint8_t data[VIDEO_BYTES];
    int packets = VIDEO_PACKETS / 2 + number % 2 * (VIDEO_PACKETS % 2);
    for (int i = 0; i < packets + AUDIO_PACKETS; i++)
        (void)sendto(fd, data, i < packets ? VIDEO_BYTES : AUDIO_BYTES, 0,
                     (const struct sockaddr *)&c->address, sizeof(c->address));
}

static void send_for(int fd, int count, int seconds)
{
    struct timespec next;
    (void)clock_gettime(CLOCK_MONOTONIC, &next);
    for (int number = 0; number < seconds * FPS; number++) {
        for (int i = 0; i < count; i++)
            send_picture(fd, &cameras[i], number);
        next.tv_nsec += 1000000000 / FPS;
        next.tv_sec += next.tv_nsec / 1000000000;
        next.tv_nsec %= 1000000000;
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
}

static double run_seconds(int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++) {
        char path[64];
        char line[128];
        (void)snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)cameras[i].reader);
        FILE *file = fopen(path, "r");
        if (file == NULL || fgets(line, sizeof(line), file) == NULL)
            fail(path);
        (void)fclose(file);
        sum += strtod(line, NULL) / 1e9;
    }
    return sum;
}

int main(int argc, char **argv)
{
    int count = argc == 3 ? (int)strtol(argv[1], NULL, 10) : 0;
    int seconds = argc == 3 ? (int)strtol(argv[2], NULL, 10) : 0;
    if (count < 1 || count > CAMERAS_MAX || seconds < 1) {
        fprintf(stderr, "usage: udp-limit CAMERAS SECONDS, at most %d cameras\n", CAMERAS_MAX);
        return 2;
    }
    struct camera sender;
    open_socket(&sender);
    for (int i = 0; i < count; i++)
        open_socket(&cameras[i]);
    for (int i = 0; i < count; i++)
        start_reader(&cameras[i], (useconds_t)(READ_US / count * i));
    send_for(sender.fd, count, 2);
    double before = run_seconds(count);
    send_for(sender.fd, count, seconds);
    printf("%.6f\n", (run_seconds(count) - before) / seconds / count);
    for (int i = 0; i < count; i++)
        (void)kill(cameras[i].reader, SIGKILL);
    return 0;
}
