/*
 * Which system calls a worker may make (seccomp, through libseccomp).  The nursery
 * compiles the filter, the worker enters.
 *
 * A list of what is allowed.  What is not in it
 *  - ends the process (SIGSYS, which the master logs and counts as `sandbox`) when nothing that we
 *    link has an honest use for it: starting programs or processes, looking into others, mounting,
 *    loading modules, other identities.  Then somebody else is at work, and shall not try twice;
 *  - fails as if the kernel were older (ENOSYS) when libraries try it and have something older to
 *    fall back on: clone3(), whose flags a filter cannot see, io_uring, what is newer than the
 * list;
 *  - fails with EPERM otherwise: a library that tries it copes, or reports an error.
 *
 * Arguments are filtered where the call alone says too little: clone() for threads only, socket()
 * for TCP and UDP over IPv4 and IPv6 only, open() for reading only, mmap() and mprotect() not for
 * code, mmap() only for memory that RLIMIT_DATA counts, tgkill() of this process only; prctl(),
 * ioctl(), fcntl(), setsockopt() and prlimit() by what is asked.
 */
#ifndef WORKER_SANDBOX_SECCOMP_H
#define WORKER_SANDBOX_SECCOMP_H

/**
 * Compile the filter, once for all workers: libseccomp takes a millisecond and half a megabyte.
 * Nursery, before it forks.
 *
 * @return 0; -ENOSYS: the kernel has no filters, or none that end a process (before 4.14); other
 *         negative errno.
 */
int sandbox_seccomp_prepare(void);

/**
 * Filter the system calls of this process.  Needs no_new_privs.
 *
 * @return 0 or negative errno.
 */
int sandbox_seccomp_enter(void);

#endif /* WORKER_SANDBOX_SECCOMP_H */
