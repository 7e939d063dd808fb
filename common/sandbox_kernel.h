/* What this kernel has to shut workers in with.  Master and nursery; libc only, no state. */
#ifndef COMMON_SANDBOX_KERNEL_H
#define COMMON_SANDBOX_KERNEL_H

#include <stdbool.h>

/** Are there filters of system calls that can end the process (seccomp(2), kernel 4.14)? */
bool sandbox_kernel_has_seccomp(void);

/** Which Landlock is there (landlock(7), kernel 5.13)?  @return its ABI, <= 0: none, or off. */
int sandbox_kernel_landlock_abi(void);

/** @return what is missing, in words; NULL: nothing. */
const char *sandbox_kernel_lacks(bool has_seccomp, bool has_landlock);

#endif /* COMMON_SANDBOX_KERNEL_H */
