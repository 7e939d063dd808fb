/* What goes on working inside the sandbox: all that a camera may ask of a worker. */
#include "test/unit/sandbox_rig.h"

#include <dirent.h>
#include <libavcodec/avcodec.h>
#include <netdb.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

#define BIG_BYTES (256u << 20)

static uint16_t listener_port;

static int connect_tcp(void)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_port = htons(listener_port),
                                   .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int rc = connect(fd, (const struct sockaddr *)&to, sizeof(to));
    return rc == 0 || errno == EINPROGRESS ? 0 : errno;
}

static int send_udp(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);
    char byte = 'x';
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (bind(fd, (const struct sockaddr *)&at, sizeof(at)) != 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) != 0 ||
        sendto(fd, &byte, 1, 0, (const struct sockaddr *)&at, sizeof(at)) != 1)
        return errno;
    return recv(fd, &byte, 1, 0) == 1 ? 0 : errno;
}

static int look_up(void)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo("localhost", "554", &hints, &list);
    if (rc == 0)
        freeaddrinfo(list);
    return rc == 0 ? 0 : 255;
}

static int set_nonblock(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return error_of(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK));
}

static void *in_thread(void *arg)
{
    void *big = malloc(BIG_BYTES);
    if (big != NULL)
        memset(big, 1, 4096);
    *(int *)arg = big == NULL;
    free(big);
    return NULL;
}

static int start_threads(void)
{
    pthread_t threads[8];
    int failed[8] = {0};
    for (size_t i = 0; i < 8; i++) {
        if (pthread_create(&threads[i], NULL, in_thread, &failed[i]) != 0)
            return 255;
    }
    int rc = 0;
    for (size_t i = 0; i < 8; i++) {
        (void)pthread_join(threads[i], NULL);
        rc |= failed[i];
    }
    return rc;
}

static int read_certificates(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    int rc = SSL_CTX_load_verify_dir(ctx, X509_get_default_cert_dir()) == 1 ? 0 : 1;
    DIR *directory = opendir(X509_get_default_cert_dir());
    if (directory == NULL)
        rc = errno;
    else
        (void)closedir(directory);
    SSL_CTX_free(ctx);
    return rc;
}

static int use_tls(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    SSL *ssl = ctx != NULL ? SSL_new(ctx) : NULL;
    int rc = ssl != NULL ? 0 : 255;
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    return rc;
}

static int read_random_device(void)
{
    return open_for("/dev/urandom", O_RDONLY);
}

static int read_name_service(void)
{
    return open_for("/etc/hosts", O_RDONLY);
}

/* A codec's first use fills its tables: the nursery does not warm all up that a camera may send. */
static int open_decoders(void)
{
    static const enum AVCodecID codecs[] = {
        AV_CODEC_ID_AC3,       AV_CODEC_ID_EAC3, AV_CODEC_ID_FLAC, AV_CODEC_ID_PCM_S16BE,
        AV_CODEC_ID_PCM_S16LE, AV_CODEC_ID_OPUS, AV_CODEC_ID_MP3,
    };
    for (size_t i = 0; i < sizeof(codecs) / sizeof(codecs[0]); i++) {
        const AVCodec *codec = avcodec_find_decoder(codecs[i]);
        AVCodecContext *ctx = codec != NULL ? avcodec_alloc_context3(codec) : NULL;
        if (ctx == NULL)
            continue; /* this libavcodec was built without it */
        ctx->thread_count = 1;
        ctx->sample_rate = 48000;
        av_channel_layout_default(&ctx->ch_layout, 2);
        if (avcodec_open2(ctx, codec, NULL) != 0)
            return 1 + (int)i;
        avcodec_free_context(&ctx);
    }
    return 0;
}

static int abort_itself(void)
{
    abort();
}

static int listen_outside(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    listener_port = ntohs(at.sin_port);
    return fd;
}

static void test_works(void **state)
{
    (void)state;
    int listener = listen_outside();
    assert_exit(connect_tcp, 0);
    fd_close(&listener);
    assert_exit(send_udp, 0);
    if (look_up() == 0) /* a machine without /etc/hosts does not know it outside either */
        assert_exit(look_up, 0);
    assert_exit(start_threads, 0);
    assert_exit(set_nonblock, 0);
    assert_exit(use_tls, 0);
    assert_exit(open_decoders, 0);
    assert_exit(read_random_device, 0);
    if (access("/etc/hosts", R_OK) == 0)
        assert_exit(read_name_service, 0);
    if (access(X509_get_default_cert_dir(), R_OK) == 0)
        assert_exit(read_certificates, 0);
}

static void on_timer(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

/* The nursery makes a worker's loop before the worker enters the sandbox. */
static int run_loop(void)
{
    uv_loop_t loop;
    uv_timer_t timer;
    bool ran = false;
    if (sandbox_refuse_rings(SANDBOX_ON) != 0 || uv_loop_init(&loop) != 0 ||
        sandbox_enter(SANDBOX_ON) != 0)
        return 254;
    timer.data = &ran;
    (void)uv_timer_init(&loop, &timer);
    (void)uv_timer_start(&timer, on_timer, 1, 0);
    (void)uv_run(&loop, UV_RUN_DEFAULT);
    return ran ? 0 : 255;
}

static void test_loop_works(void **state)
{
    (void)state;
    int status = -1;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(run_loop());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* Otherwise a failed assertion of ours would look like somebody else's work. */
static void test_abort_is_an_abort(void **state)
{
    (void)state;
    int status = run_inside(abort_itself);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

static int prepare(void **state)
{
    (void)state;
    return sandbox_prepare(SANDBOX_ON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_works),
        cmocka_unit_test(test_loop_works),
        cmocka_unit_test(test_abort_is_an_abort),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
