/*
 * Which system calls a worker may make (seccomp, through libseccomp).  The nursery compiles the
 * filter, the worker enters it.
 *
 * The filter is a list of allowed calls.  Any other call
 *  - ends the process (SIGSYS, which the master logs and counts as `sandbox`) if none of our
 *    libraries has an honest use for it: starting programs or processes, inspecting other
 *    processes, mounting, loading modules, changing identity.  An attacker gets no second try;
 *  - fails with ENOSYS, as on an older kernel, if libraries try it and can fall back on an older
 *    call: clone3(), whose flags a filter cannot see, io_uring, calls newer than the list;
 *  - fails with EPERM otherwise: a library that tries it copes, or reports an error.
 *
 * Where the call alone says too little, its arguments are checked: clone() only makes threads,
 * socket() only opens TCP and UDP over IPv4 and IPv6, open() only reads, mmap() and mprotect() make
 * no code, mmap() only maps memory that RLIMIT_DATA counts, tgkill() only reaches this process;
 * prctl(), ioctl(), fcntl(), setsockopt() and prlimit() accept only the listed operations.
 */
#ifndef WORKER_SANDBOX_SECCOMP_H
#define WORKER_SANDBOX_SECCOMP_H

/**
 * Compile the filter, once for all workers: libseccomp takes a millisecond and half a megabyte.
 * Nursery, before it forks.
 *
 * @return 0; -ENOSYS: the kernel has no filters, or none that can end a process (before 4.14);
 *         other negative errno.
 */
int sandbox_seccomp_prepare(void);

/**
 * Refuse io_uring to this process, as an older kernel does.  Needs no_new_privs.
 *
 * @return 0 or negative errno.
 */
int sandbox_seccomp_refuse_rings(void);

/**
 * Filter the system calls of this process.  Needs no_new_privs.
 *
 * @return 0 or negative errno.
 */
int sandbox_seccomp_enter(void);

#endif /* WORKER_SANDBOX_SECCOMP_H */
