/*
 * Keeps a process's memory to itself: it holds passwords.  Every process, at its start.
 */
#ifndef COMMON_MEMORY_GUARD_H
#define COMMON_MEMORY_GUARD_H

/**
 * Allow no core dumps, whether core_pattern names a file or a program (a program gets the memory
 * whatever RLIMIT_CORE says); and let no other process of the same user read the memory (ptrace(2),
 * /proc/PID/mem).  Forked processes inherit it; execve(2) ends the second half of it.
 *
 * @return 0 or negative errno.
 */
int memory_guard(void);

#endif /* COMMON_MEMORY_GUARD_H */
