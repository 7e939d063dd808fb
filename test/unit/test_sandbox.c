/* From inside the sandbox, as a worker enters it: what is refused, and what it costs. */
#include "test/unit/sandbox_rig.h"

#include "common/ipc.h"
#include "common/sandbox_kernel.h"
#include "worker/process/sandbox_seccomp.h"

#include <linux/capability.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static pid_t parent;

/* In sanitizer builds some of it is only refused. */
static void assert_killed(attempt_fn attempt)
{
    int status = run_inside(attempt);
    if (WIFEXITED(status))
        assert_int_not_equal(WEXITSTATUS(status), 0);
    else
        assert_int_equal(WTERMSIG(status), SIGSYS);
    if (!SANDBOX_SANITIZER)
        assert_true(WIFSIGNALED(status));
}

/* --- what is refused ------------------------------------------------------ */

static int open_passwd(void)
{
    return open_for("/etc/passwd", O_RDONLY);
}

static int open_own_memory(void)
{
    return open_for("/proc/self/mem", O_RDONLY);
}

static int list_root(void)
{
    return open_for("/", O_RDONLY | O_DIRECTORY);
}

static int write_null(void)
{
    return open_for("/dev/null", O_WRONLY);
}

static int create_file(void)
{
    return open_for("/tmp/cam-httpflv-sandbox", O_RDONLY | O_CREAT);
}

static int create_nameless_file(void)
{
    return open_for("/tmp", O_TMPFILE | O_RDWR);
}

static int remove_file(void)
{
    return error_of(unlink("/nonexistent/file"));
}

static int open_unix_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return error_of(fd);
}

static int open_packet_socket(void)
{
    return error_of(socket(AF_PACKET, SOCK_RAW, 0));
}

static int open_raw_socket(void)
{
    return error_of(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

static int open_netlink_socket(void)
{
    return error_of(socket(AF_NETLINK, SOCK_RAW, 0));
}

static int listen_tcp(void)
{
    const struct sockaddr_in any = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1 || bind(fd, (const struct sockaddr *)&any, sizeof(any)) != 0)
        return 255;
    return error_of(listen(fd, 1));
}

static int signal_parent(void)
{
    return error_of(kill(parent, 0));
}

static int signal_thread_of_parent(void)
{
    return error_of(syscall(SYS_tgkill, parent, parent, 0));
}

static int map_code(void)
{
    void *at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? errno : 0;
}

static int make_code(void)
{
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? 255 : error_of(mprotect(at, 4096, PROT_READ | PROT_EXEC));
}

static int open_mptcp_socket(void)
{
    return error_of(socket(AF_INET, SOCK_STREAM, 262));
}

static int open_udplite_socket(void)
{
    return error_of(socket(AF_INET6, SOCK_DGRAM, IPPROTO_UDPLITE));
}

static int set_tcp(int option)
{
    const char value[] = "tls";
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    return fd == -1 ? 255 : error_of(setsockopt(fd, IPPROTO_TCP, option, value, sizeof(value)));
}

static int choose_congestion_control(void)
{
    return set_tcp(TCP_CONGESTION);
}

static int choose_upper_layer(void)
{
    return set_tcp(TCP_ULP);
}

/* Memory that RLIMIT_DATA does not count. */
static int map_uncounted(int flags)
{
    void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    return at == MAP_FAILED ? errno : 0;
}

static int map_shared(void)
{
    return map_uncounted(MAP_SHARED);
}

static int map_shared_validated(void)
{
    return map_uncounted(MAP_SHARED_VALIDATE);
}

static int map_like_a_stack(void)
{
    return map_uncounted(MAP_PRIVATE | MAP_GROWSDOWN);
}

/* Memory that no process maps, and none of the limits counts. */
static int make_memfd(void)
{
    return error_of(memfd_create("hoard", MFD_CLOEXEC));
}

/* Each could watch all descriptors: the kernel bounds what all epolls of a user watch. */
static int make_epoll(void)
{
    return error_of(epoll_create1(EPOLL_CLOEXEC));
}

static int make_socket_pair(void)
{
    int ends[2];
    return error_of(socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
}

/* What would make another process wait that has a descriptor of the same socket. */
static int socket_that_does_not_wait(void)
{
    return socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static int make_close_wait(void)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 60};
    return error_of(
        setsockopt(socket_that_does_not_wait(), SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
}

static int make_writes_wait(void)
{
    return error_of(fcntl(socket_that_does_not_wait(), F_SETFL, 0));
}

static int nonblock_survives_ioctl(void)
{
    int off = 0;
    int fd = socket_that_does_not_wait();
    if (ioctl(fd, FIONBIO, &off) == -1)
        return errno;
    return (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0 ? 0 : 255;
}

static int use_io_uring(void)
{
    return error_of(syscall(SYS_io_uring_setup, 8, NULL));
}

static int newest_call(void)
{
    return error_of(syscall(500));
}

static int raise_limit(void)
{
    const struct rlimit limit = {.rlim_cur = 1, .rlim_max = 1};
    return error_of(setrlimit(RLIMIT_CORE, &limit));
}

static void test_refused(void **state)
{
    (void)state;
    assert_exit(write_null, EPERM);
    assert_exit(create_file, EPERM);
    assert_exit(create_nameless_file, EPERM);
    assert_exit(remove_file, EPERM);
    assert_exit(open_unix_socket, EPERM);
    assert_exit(open_packet_socket, EPERM);
    assert_exit(open_raw_socket, EPERM);
    assert_exit(open_netlink_socket, EPERM);
    assert_exit(listen_tcp, EPERM);
    assert_exit(map_code, EPERM);
    assert_exit(make_code, EPERM);
    assert_exit(open_mptcp_socket, EPERM);
    assert_exit(open_udplite_socket, EPERM);
    assert_exit(choose_congestion_control, EPERM);
    assert_exit(choose_upper_layer, EPERM);
    assert_exit(map_shared, EPERM);
    assert_exit(map_shared_validated, EPERM);
    assert_exit(map_like_a_stack, EPERM);
    assert_exit(raise_limit, EPERM);
    assert_exit(make_memfd, EPERM);
    assert_exit(make_epoll, EPERM);
    assert_exit(make_socket_pair, EPERM);
    assert_exit(make_close_wait, EPERM);
    assert_exit(make_writes_wait, EPERM);
    assert_exit(nonblock_survives_ioctl, 0);
    assert_exit(use_io_uring, ENOSYS);
    assert_exit(newest_call, ENOSYS);
    if (!SANDBOX_SANITIZER) {
        assert_exit(signal_parent, EPERM);
        assert_exit(signal_thread_of_parent, EPERM);
    }
}

static void test_files_are_out_of_reach(void **state)
{
    (void)state;
    if (sandbox_kernel_landlock_abi() <= 0)
        skip();
    assert_exit(open_passwd, EACCES);
    assert_exit(list_root, EACCES);
    if (!SANDBOX_SANITIZER)
        assert_exit(open_own_memory, EACCES);
}

/* --- what ends the process ------------------------------------------------ */

static int start_program(void)
{
    char *const argv[] = {(char[]){"true"}, NULL};
    (void)execv("/bin/true", argv);
    return errno;
}

static int start_process(void)
{
    long pid = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0)
        _exit(0);
    return error_of(pid);
}

static int trace_parent(void)
{
    return error_of(ptrace(PTRACE_ATTACH, parent, NULL, NULL));
}

static int become_root(void)
{
    return error_of(syscall(SYS_setresuid, 0, 0, 0));
}

static int new_namespace(void)
{
    return error_of(unshare(CLONE_NEWUSER));
}

static int load_bpf(void)
{
    return error_of(syscall(SYS_bpf, 0, NULL, 0));
}

static int read_parent(void)
{
    return error_of(syscall(SYS_process_vm_readv, parent, NULL, 0, NULL, 0, 0));
}

static void test_ends_the_process(void **state)
{
    (void)state;
    assert_killed(start_program);
    if (!SANDBOX_SANITIZER)
        assert_killed(start_process);
    assert_killed(trace_parent);
    assert_killed(read_parent);
    assert_killed(become_root);
    assert_killed(new_namespace);
    assert_killed(load_bpf);
}

/* As below docs/systemd/cam-httpflv.service: no capabilities, and nobody may ask for any. */
static void test_without_capset(void **state)
{
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
        const struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {0};
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
        if (syscall(SYS_capset, &header, none) != 0 ||
            seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(capset), 0) != 0 ||
            seccomp_load(filter) != 0)
            _exit(254);
        seccomp_release(filter);
        _exit(sandbox_enter(SANDBOX_ON) == 0 ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static int few_descriptors(void)
{
    struct rlimit files;
    (void)getrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur > IPC_WORKER_FILES)
        return 255;
    files.rlim_cur = files.rlim_max + 1;
    return error_of(setrlimit(RLIMIT_NOFILE, &files));
}

static int no_core(void)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max == 0 ? 0 : 1;
}

static int too_much_memory(void)
{
    void *at = mmap(NULL, SANDBOX_DATA_BYTES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? errno : 0;
}

/* The kernel keeps a page of its page table for each two megabytes that are only looked at. */
static int too_many_addresses(void)
{
    void *at = mmap(NULL, SANDBOX_ADDRESS_BYTES, PROT_READ,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? errno : 0;
}

static void test_limits(void **state)
{
    (void)state;
    assert_exit(no_core, 0);
    assert_exit(few_descriptors, EPERM);
    if (!SANDBOX_SANITIZER)
        assert_exit(too_much_memory, ENOMEM);
    if (!SANDBOX_SANITIZER)
        assert_exit(too_many_addresses, ENOMEM);
}

static void test_modes(void **state)
{
    (void)state;
    enum sandbox_mode mode;
    for (int i = 0; i < SANDBOX_MODE_COUNT; i++) {
        assert_int_equal(sandbox_mode_parse(sandbox_mode_name((enum sandbox_mode)i), &mode), 0);
        assert_int_equal(mode, i);
    }
    assert_int_equal(sandbox_mode_parse("yes", &mode), -EINVAL);
    assert_int_equal(sandbox_mode_parse("", &mode), -EINVAL);
    assert_int_equal(sandbox_enter(SANDBOX_OFF), 0);
    assert_int_equal(open_passwd(), 0);
}

/* What a loop is made of, before the sandbox is entered: libuv 1.49 makes a ring if it can. */
static void test_rings_are_refused_in_advance(void **state)
{
    (void)state;
    int status = -1;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        _exit(sandbox_refuse_rings(SANDBOX_ON) == 0 && use_io_uring() == ENOSYS &&
                      make_epoll() == 0 && sandbox_enter(SANDBOX_ON) == 0
                  ? 0
                  : 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(sandbox_refuse_rings(SANDBOX_OFF), 0);
    assert_int_not_equal(use_io_uring(), ENOSYS);
}

static int prepare(void **state)
{
    (void)state;
    parent = getpid();
    return sandbox_prepare(SANDBOX_ON);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_rings_are_refused_in_advance),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_files_are_out_of_reach),
        cmocka_unit_test(test_ends_the_process),
        cmocka_unit_test(test_without_capset),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, prepare, NULL);
}
