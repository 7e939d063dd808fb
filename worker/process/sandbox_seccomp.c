#include "worker/process/sandbox_seccomp.h"

#include "common/fd.h"
#include "common/sandbox_kernel.h"
#include "worker/process/sandbox_build.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#endif

/* Calls newer than the lists below; their numbers are the same on all architectures. */
#define FIRST_NEWER_CALL 449
#define LAST_NEWER_CALL 511

/* clang-format off */
/* libseccomp skips names that the architecture lacks. */
static const int allowed[] = {
    /* data */
    SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(write), SCMP_SYS(writev),
    SCMP_SYS(close), SCMP_SYS(lseek), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2),
    SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6), SCMP_SYS(eventfd2),
    SCMP_SYS(pipe2),
    /* the network; sockets come from socket(), restricted below, and from the master */
    SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(getsockname), SCMP_SYS(getpeername),
    SCMP_SYS(getsockopt), SCMP_SYS(shutdown), SCMP_SYS(sendto), SCMP_SYS(sendmsg),
    SCMP_SYS(sendmmsg), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg),
    /* looking at files; Landlock decides which ones can be opened */
    SCMP_SYS(stat), SCMP_SYS(fstat), SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx),
    SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
    SCMP_SYS(getdents64), SCMP_SYS(getcwd),
    /* memory */
    SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(brk), SCMP_SYS(membarrier),
    /* threads and signals of this process */
    SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity), SCMP_SYS(getcpu), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(alarm),
    SCMP_SYS(setitimer), SCMP_SYS(exit), SCMP_SYS(exit_group),
    /* time, random numbers, identity */
    SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres), SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep),
    SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid),
    SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(uname),
    SCMP_SYS(sysinfo), SCMP_SYS(getrusage),
#if SANDBOX_SANITIZER
    /* the leak checker stops our threads from a process that shares their memory */
    SCMP_SYS(ptrace), SCMP_SYS(wait4), SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler),
    SCMP_SYS(kill), SCMP_SYS(tgkill), SCMP_SYS(personality), SCMP_SYS(prctl), SCMP_SYS(clone),
    SCMP_SYS(mincore), SCMP_SYS(msync), SCMP_SYS(pipe), SCMP_SYS(getppid),
    SCMP_SYS(getdents),
#endif
};

static const int older_kernel[] = {
    SCMP_SYS(clone3), SCMP_SYS(openat2), SCMP_SYS(faccessat2), SCMP_SYS(close_range),
    SCMP_SYS(io_uring_setup), SCMP_SYS(io_uring_enter), SCMP_SYS(io_uring_register),
};

static const int hostile[] = {
    /* programs, processes */
    SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork),
    /* other processes */
    SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(process_madvise),
    SCMP_SYS(kcmp), SCMP_SYS(pidfd_open), SCMP_SYS(pidfd_getfd), SCMP_SYS(pidfd_send_signal),
#if !SANDBOX_SANITIZER
    SCMP_SYS(ptrace),
#endif
    /* mounts, and ways around the file system's permissions */
    SCMP_SYS(mount), SCMP_SYS(umount2), SCMP_SYS(pivot_root), SCMP_SYS(chroot), SCMP_SYS(fsopen),
    SCMP_SYS(fsmount), SCMP_SYS(fsconfig), SCMP_SYS(fspick), SCMP_SYS(move_mount),
    SCMP_SYS(open_tree), SCMP_SYS(mount_setattr), SCMP_SYS(open_by_handle_at), SCMP_SYS(swapon),
    SCMP_SYS(swapoff), SCMP_SYS(quotactl), SCMP_SYS(acct),
    /* the kernel, the machine */
    SCMP_SYS(bpf), SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(init_module),
    SCMP_SYS(finit_module), SCMP_SYS(delete_module), SCMP_SYS(kexec_load),
    SCMP_SYS(kexec_file_load), SCMP_SYS(reboot), SCMP_SYS(iopl), SCMP_SYS(ioperm),
    SCMP_SYS(modify_ldt), SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(keyctl),
    SCMP_SYS(settimeofday), SCMP_SYS(clock_settime), SCMP_SYS(sethostname),
    /* other identities */
    SCMP_SYS(setuid), SCMP_SYS(setgid), SCMP_SYS(setreuid), SCMP_SYS(setregid), SCMP_SYS(setresuid),
    SCMP_SYS(setresgid), SCMP_SYS(setgroups), SCMP_SYS(setns), SCMP_SYS(unshare),
};

/* A call is allowed if one to three of its arguments, or their masked bits, have the given values.
 * A call with several rules is allowed if any of them matches. */
struct argument_rule {
    int call;
    unsigned count;
    struct scmp_arg_cmp conditions[3];
};

#define IS(number, value) {(number), SCMP_CMP_EQ, (scmp_datum_t)(value), 0}
#define BITS(number, mask, value) \
    {(number), SCMP_CMP_MASKED_EQ, (scmp_datum_t)(mask), (scmp_datum_t)(value)}
#define ONE(name, a) {SCMP_SYS(name), 1, {a}}
#define TWO(name, a, b) {SCMP_SYS(name), 2, {a, b}}
#define THREE(name, a, b, c) {SCMP_SYS(name), 3, {a, b, c}}
#define SOCKET(family, type, protocol) \
    THREE(socket, IS(0, family), BITS(1, SOCKET_TYPE, type), IS(2, protocol))
#define SET_TCP(name) TWO(setsockopt, IS(1, IPPROTO_TCP), IS(2, name))
#define SET_SOCKET(name) TWO(setsockopt, IS(1, SOL_SOCKET), IS(2, name))
#define SET_IPV4(name) TWO(setsockopt, IS(1, IPPROTO_IP), IS(2, name))
#define SET_IPV6(name) TWO(setsockopt, IS(1, IPPROTO_IPV6), IS(2, name))

#define NOT_FOR_READING (O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND | (O_TMPFILE & ~O_DIRECTORY))
/* RLIMIT_DATA counts private memory, but neither shared memory nor mappings that grow down. */
#define COUNTED_MASK (MAP_TYPE | MAP_GROWSDOWN)
#define SOCKET_TYPE (~(unsigned)(SOCK_NONBLOCK | SOCK_CLOEXEC))

/* The master has descriptors of the same sockets: none may become one on which a write waits, or
 * whose close does (SO_LINGER). */
static const struct argument_rule arguments[] = {
    ONE(open, BITS(1, NOT_FOR_READING, O_RDONLY)),
    ONE(openat, BITS(2, NOT_FOR_READING, O_RDONLY)),
    TWO(mmap, BITS(2, PROT_EXEC, 0), BITS(3, COUNTED_MASK, MAP_PRIVATE)),
    ONE(mprotect, BITS(2, PROT_EXEC, 0)),
    SOCKET(AF_INET, SOCK_STREAM, 0),
    SOCKET(AF_INET, SOCK_STREAM, IPPROTO_TCP),
    SOCKET(AF_INET, SOCK_DGRAM, 0),
    SOCKET(AF_INET, SOCK_DGRAM, IPPROTO_UDP),
    SOCKET(AF_INET6, SOCK_STREAM, 0),
    SOCKET(AF_INET6, SOCK_STREAM, IPPROTO_TCP),
    SOCKET(AF_INET6, SOCK_DGRAM, 0),
    SOCKET(AF_INET6, SOCK_DGRAM, IPPROTO_UDP),
    SET_SOCKET(SO_REUSEADDR),
    SET_SOCKET(SO_KEEPALIVE),
    SET_SOCKET(SO_RCVBUF),
    SET_SOCKET(SO_RCVLOWAT),
    SET_SOCKET(SO_SNDBUF),
    SET_SOCKET(SO_RCVTIMEO),
    SET_SOCKET(SO_SNDTIMEO),
    SET_SOCKET(SO_BROADCAST),
    SET_SOCKET(SO_TIMESTAMP),
    SET_SOCKET(SO_TIMESTAMPNS),
    SET_TCP(TCP_NODELAY),
    SET_TCP(TCP_KEEPIDLE),
    SET_TCP(TCP_KEEPINTVL),
    SET_TCP(TCP_KEEPCNT),
    SET_TCP(TCP_USER_TIMEOUT),
    SET_TCP(TCP_NOTSENT_LOWAT),
    SET_IPV4(IP_TOS),
    SET_IPV4(IP_TTL),
    SET_IPV4(IP_RECVERR),
    SET_IPV4(IP_MTU_DISCOVER),
    SET_IPV4(IP_ADD_MEMBERSHIP), /* rtsp-multicast */
    SET_IPV6(IPV6_V6ONLY),
    SET_IPV6(IPV6_TCLASS),
    SET_IPV6(IPV6_RECVERR),
    SET_IPV6(IPV6_MTU_DISCOVER),
    SET_IPV6(IPV6_ADD_MEMBERSHIP),
    ONE(ioctl, IS(1, FIONREAD)),
    ONE(ioctl, IS(1, SIOCGIFINDEX)), /* fe80::1%eth0 */
    ONE(fcntl, IS(1, F_GETFD)),
    ONE(fcntl, IS(1, F_SETFD)),
    ONE(fcntl, IS(1, F_GETFL)),
    TWO(fcntl, IS(1, F_SETFL), BITS(2, O_NONBLOCK, O_NONBLOCK)),
    ONE(fcntl, IS(1, F_DUPFD_CLOEXEC)),
    TWO(prlimit64, IS(0, 0), IS(2, 0)), /* only to read our own limits */
    TWO(setpriority, IS(0, PRIO_PROCESS), IS(1, 0)),
#if !SANDBOX_SANITIZER
    ONE(clone, BITS(0, CLONE_THREAD | CLONE_VM, CLONE_THREAD | CLONE_VM)),
    ONE(prctl, IS(0, PR_SET_NAME)),
    ONE(prctl, IS(0, PR_SET_VMA)), /* newer libcs name their mappings */
#endif
};
/* clang-format on */

/* A placeholder in the compiled filter for the worker's PID; no process has this number. */
#define OWN_PID 0x7fffffffu
#define PROGRAM_MAX 4096 /* BPF_MAXINSNS; that many also fit into a pipe */

static struct sock_filter instructions[PROGRAM_MAX];
static size_t instruction_count;

static int add_all(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = seccomp_rule_add(filter, action, calls[i], 0);
    return rc;
}

/* Whether FIONBIO sets or clears O_NONBLOCK is in memory, where no filter looks.  libuv sets it
 * with sockets that have it: let it believe that. */
static int ignore_nonblock(scmp_filter_ctx filter)
{
    const struct scmp_arg_cmp nonblock[] = {IS(1, FIONBIO)};
    return seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(0), SCMP_SYS(ioctl), 1, nonblock);
}

static int add_arguments(scmp_filter_ctx filter)
{
    int rc = ignore_nonblock(filter);
    for (size_t i = 0; rc == 0 && i < COUNT(arguments); i++)
        rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, arguments[i].call, arguments[i].count,
                                    arguments[i].conditions);
#if !SANDBOX_SANITIZER
    const struct scmp_arg_cmp process[] = {BITS(0, CLONE_THREAD, 0)};
    const struct scmp_arg_cmp myself[] = {IS(0, OWN_PID)}; /* abort() */
    if (rc == 0)
        rc = seccomp_rule_add_array(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(clone), 1, process);
    if (rc == 0)
        rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1, myself);
#endif
    return rc;
}

static int compile(scmp_filter_ctx filter)
{
    int rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (rc == 0)
        rc = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree, not a list */
    if (rc == 0)
        rc = add_all(filter, SCMP_ACT_ALLOW, allowed, COUNT(allowed));
    if (rc == 0)
        rc = add_all(filter, SCMP_ACT_ERRNO(ENOSYS), older_kernel, COUNT(older_kernel));
    for (int call = FIRST_NEWER_CALL; rc == 0 && call <= LAST_NEWER_CALL; call++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), call, 0);
    if (rc == 0)
        rc = add_all(filter, SCMP_ACT_KILL_PROCESS, hostile, COUNT(hostile));
    return rc == 0 ? add_arguments(filter) : rc;
}

/* libseccomp can write a program only to a descriptor. */
static int take_program(scmp_filter_ctx filter)
{
    int ends[2] = {-1, -1};
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == -1)
        return -errno;
    int rc = seccomp_export_bpf(filter, ends[1]);
    ssize_t n = rc == 0 ? read(ends[0], instructions, sizeof(instructions)) : 0;
    fd_close(&ends[0]);
    fd_close(&ends[1]);
    if (rc == 0 && (n <= 0 || (size_t)n % sizeof(instructions[0]) != 0))
        rc = -EIO;
    instruction_count = rc == 0 ? (size_t)n / sizeof(instructions[0]) : 0;
    return rc;
}

int sandbox_seccomp_prepare(void)
{
    if (!sandbox_kernel_has_seccomp())
        return -ENOSYS;
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    if (filter == NULL)
        return -ENOMEM;
    int rc = compile(filter);
    if (rc == 0)
        rc = take_program(filter);
    seccomp_release(filter);
    return rc;
}

/* For all threads: a sanitizer has started one of its own. */
static int enter(const struct sock_fprog *program)
{
    long rc = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, program);
    if (rc == -1)
        return -errno;
    return rc == 0 ? 0 : -ESRCH; /* rc is a thread that could not take the filter */
}

int sandbox_seccomp_refuse_rings(void)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = COUNT(filter), .filter = filter};
    return enter(&program);
}

int sandbox_seccomp_enter(void)
{
    const struct sock_fprog program = {.len = (unsigned short)instruction_count,
                                       .filter = instructions};
    for (size_t i = 0; i < instruction_count; i++) {
        if (instructions[i].code == (BPF_JMP | BPF_JEQ | BPF_K) && instructions[i].k == OWN_PID)
            instructions[i].k = (uint32_t)getpid();
    }
    return enter(&program);
}
