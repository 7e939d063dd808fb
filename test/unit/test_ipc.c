/* common/ipc: descriptors move exactly once, and nothing that breaks the table gets through. */
#include "common/fd.h"
#include "common/ipc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define FDS_SENT_MAX 6

static int open_fds(void)
{
    int n = 0;
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    while (readdir(dir) != NULL)
        n++;
    (void)closedir(dir);
    return n;
}

/* Send raw bytes with nfds descriptors: what a broken or hostile peer would. */
static ssize_t send_raw(int sock, const void *bytes, size_t len, int nfds)
{
    union {
        struct cmsghdr hdr;
        char space[CMSG_SPACE(sizeof(int) * FDS_SENT_MAX)];
    } cm;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
    struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
    memset(&cm, 0, sizeof(cm));
    if (nfds > 0) {
        cm.hdr.cmsg_level = SOL_SOCKET;
        cm.hdr.cmsg_type = SCM_RIGHTS;
        cm.hdr.cmsg_len = CMSG_LEN(sizeof(int) * (size_t)nfds);
        for (int i = 0; i < nfds; i++)
            memcpy(CMSG_DATA(&cm.hdr) + (size_t)i * sizeof(int), &sock, sizeof(int));
        mh.msg_control = &cm;
        mh.msg_controllen = CMSG_SPACE(sizeof(int) * (size_t)nfds);
    }
    return sendmsg(sock, &mh, MSG_NOSIGNAL);
}

static int open_null(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void test_client_moves_descriptor(void **state)
{
    int before = open_fds();
    int a, b;
    struct stat sent, received;
    static struct ipc_client client = {.conn_id = 7, .quality = 85, .origin = "https://o"};
    static struct ipc_msg msg;
    assert_int_equal(fd_seqpacket_pair(&a, &b), 0);
    int fd = open_null();
    assert_int_equal(fstat(fd, &sent), 0);
    assert_int_equal(ipc_send(a, IPC_CLIENT, &client, &fd), 0);
    assert_int_equal(fd, -1);

    assert_int_equal(ipc_recv(b, IPC_PH_RUN, &msg), 1);
    assert_int_equal(msg.hdr.type, IPC_CLIENT);
    assert_memory_equal(msg.payload, &client, sizeof(client));
    assert_int_equal(fstat(msg.fd, &received), 0);
    assert_int_equal(sent.st_rdev, received.st_rdev);
    assert_true(fcntl(msg.fd, F_GETFD) & FD_CLOEXEC);
    ipc_msg_free(&msg);
    assert_int_equal(msg.fd, -1);

    assert_int_equal(ipc_recv(b, IPC_PH_RUN, &msg), -EAGAIN);
    fd_close(&a);
    assert_int_equal(ipc_recv(b, IPC_PH_RUN, &msg), 0);
    assert_int_equal(ipc_send(b, IPC_LEAVE, &(struct ipc_leave){0}, NULL), -EPIPE);
    fd_close(&b);
    assert_int_equal(open_fds(), before);
}

static void test_every_message_arrives(void **state)
{
    static unsigned char payload[IPC_PAYLOAD_MAX];
    static struct ipc_msg msg;
    int a, b;
    assert_int_equal(fd_seqpacket_pair(&a, &b), 0);
    uint32_t seq = 0;
    for (unsigned t = 0; t < IPC_TYPE_COUNT; t++) {
        const struct ipc_desc *desc = &ipc_desc[t];
        int fd = desc->fds > 0 ? open_null() : -1;
        memset(payload, (int)t + 1, sizeof(payload));
        assert_int_equal(ipc_send(a, (enum ipc_type)t, payload, desc->fds > 0 ? &fd : NULL), 0);
        unsigned phase = IPC_PH_BOOT;
        while ((desc->phases & phase) == 0)
            phase <<= 1;
        assert_int_equal(ipc_recv(b, (enum ipc_phase)phase, &msg), 1);
        assert_int_equal(msg.hdr.type, t);
        assert_int_equal(msg.hdr.len, desc->len);
        assert_memory_equal(msg.payload, payload, desc->len);
        assert_int_equal(msg.fd != -1, desc->fds);
        if (t > 0)
            assert_int_equal(msg.hdr.seq, seq + 1);
        seq = msg.hdr.seq;
        ipc_msg_free(&msg);
    }
    fd_close(&a);
    fd_close(&b);
}

static void test_full_queue_keeps_descriptor(void **state)
{
    static struct ipc_client client = {.conn_id = 1};
    static struct ipc_msg msg;
    int before = open_fds();
    int a, b, rc = 0, sent = 0, fd = -1;
    assert_int_equal(fd_seqpacket_pair(&a, &b), 0);
    while (rc == 0) {
        fd = open_null();
        rc = ipc_send(a, IPC_CLIENT, &client, &fd);
        sent += rc == 0;
    }
    assert_int_equal(rc, -EAGAIN);
    assert_int_not_equal(fd, -1); /* ours still: the client gets a 503 */
    assert_true(sent > 8);

    /* Room again: the same descriptor goes. */
    assert_int_equal(ipc_recv(b, IPC_PH_RUN, &msg), 1);
    ipc_msg_free(&msg);
    assert_int_equal(ipc_send(a, IPC_CLIENT, &client, &fd), 0);
    assert_int_equal(fd, -1);
    fd_close(&a);
    fd_close(&b); /* what is in flight is closed with it */
    assert_int_equal(open_fds(), before);
}

static void test_out_of_descriptors_is_no_protocol_error(void **state)
{
    static struct ipc_client client = {.conn_id = 1};
    static struct ipc_msg msg;
    struct rlimit old, low;
    int a, b, fd = open_null();
    assert_int_equal(fd_seqpacket_pair(&a, &b), 0);
    assert_int_equal(ipc_send(a, IPC_CLIENT, &client, &fd), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = 3;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    int rc = ipc_recv(b, IPC_PH_RUN, &msg);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(rc, -EMFILE);
    assert_int_equal(msg.fd, -1);

    /* The message is gone, the channel is good. */
    fd = open_null();
    assert_int_equal(ipc_send(a, IPC_CLIENT, &client, &fd), 0);
    assert_int_equal(ipc_recv(b, IPC_PH_RUN, &msg), 1);
    ipc_msg_free(&msg);
    fd_close(&a);
    fd_close(&b);
}

/* Lengths around every boundary of the table. */
static size_t interesting_lengths(size_t *lengths)
{
    size_t n = 0;
    for (size_t len = 0; len <= 24; len++)
        lengths[n++] = len;
    for (unsigned t = 0; t < IPC_TYPE_COUNT; t++) {
        size_t exact = sizeof(struct ipc_hdr) + ipc_desc[t].len;
        for (size_t len = exact - 1; len <= exact + 1; len++)
            lengths[n++] = len;
    }
    size_t room = sizeof(struct ipc_hdr) + IPC_PAYLOAD_MAX;
    for (size_t len = room - 1; len <= room + 1; len++)
        lengths[n++] = len;
    return n;
}

static void check_one(int a, int b, unsigned type, size_t len, int nfds, enum ipc_phase phase)
{
    static struct {
        struct ipc_hdr hdr;
        unsigned char payload[IPC_PAYLOAD_MAX + 1];
    } bytes;
    static struct ipc_msg msg;
    bytes.hdr.type = (uint16_t)type;
    bytes.hdr.len = (uint16_t)(len > sizeof(bytes.hdr) ? len - sizeof(bytes.hdr) : 0);
    assert_int_equal(send_raw(a, &bytes, len, nfds), len);

    bool valid = type < IPC_TYPE_COUNT && (ipc_desc[type].phases & phase) != 0 &&
                 len == sizeof(bytes.hdr) + ipc_desc[type].len && nfds == ipc_desc[type].fds;
    int rc = ipc_recv(b, phase, &msg);
    assert_int_equal(rc, len == 0 && nfds == 0 ? 0 : valid ? 1 : -EPROTO);
    assert_true(valid || msg.fd == -1);
    ipc_msg_free(&msg);
}

/* Every type, every length that matters, 0 to 6 descriptors, every phase: nothing leaks. */
static void test_violations_leak_nothing(void **state)
{
    static const enum ipc_phase phases[] = {IPC_PH_BOOT, IPC_PH_RUN, IPC_PH_DRAIN};
    size_t lengths[25 + 3 * IPC_TYPE_COUNT + 3];
    size_t count = interesting_lengths(lengths);
    int before = open_fds();
    int a, b;
    assert_int_equal(fd_seqpacket_pair(&a, &b), 0);
    for (unsigned p = 0; p < 3; p++) {
        for (int nfds = 0; nfds <= FDS_SENT_MAX; nfds++) {
            for (size_t i = 0; i < count; i++) {
                for (unsigned t = 0; t <= IPC_TYPE_COUNT; t++)
                    check_one(a, b, t, lengths[i], nfds, phases[p]);
            }
        }
    }
    fd_close(&a);
    fd_close(&b);
    assert_int_equal(open_fds(), before);
}

static void test_header_lies(void **state)
{
    struct ipc_hdr hdr = {.type = IPC_LEAVE, .len = sizeof(struct ipc_leave)};
    size_t whole = sizeof(hdr) + sizeof(struct ipc_leave);
    assert_int_equal(ipc_check(&hdr, whole, 0, IPC_PH_RUN), 0);
    hdr.len++;
    assert_int_equal(ipc_check(&hdr, whole, 0, IPC_PH_RUN), -EPROTO);
    assert_int_equal(ipc_check(&hdr, whole + 1, 0, IPC_PH_RUN), -EPROTO);
    hdr.len = 0xffff;
    assert_int_equal(ipc_check(&hdr, sizeof(hdr) + 0xffff, 0, IPC_PH_RUN), -EPROTO);
    hdr.type = 0xffff;
    assert_int_equal(ipc_check(&hdr, whole, 0, IPC_PH_RUN), -EPROTO);
}

static void test_strings(void **state)
{
    assert_true(ipc_string_ok("", 1));
    assert_true(ipc_string_ok("abc", 4));
    assert_false(ipc_string_ok("abc", 3));
    assert_false(ipc_string_ok("abc", 0));
}

static void test_fd(void **state)
{
    int none = -1;
    errno = EXDEV;
    fd_close(&none);
    assert_int_equal(none, -1);
    int fd = open_null();
    int taken = fd_take(&fd);
    assert_int_equal(fd, -1);
    int copy = taken;
    errno = EXDEV;
    fd_close(&taken);
    assert_int_equal(taken, -1);
    assert_int_equal(errno, EXDEV);
    assert_int_equal(fcntl(copy, F_GETFD), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_moves_descriptor),
        cmocka_unit_test(test_every_message_arrives),
        cmocka_unit_test(test_full_queue_keeps_descriptor),
        cmocka_unit_test(test_out_of_descriptors_is_no_protocol_error),
        cmocka_unit_test(test_violations_leak_nothing),
        cmocka_unit_test(test_header_lies),
        cmocka_unit_test(test_strings),
        cmocka_unit_test(test_fd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
