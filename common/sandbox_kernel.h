/* Which sandbox features this kernel has.  Master and nursery; libc only, no state. */
#ifndef COMMON_SANDBOX_KERNEL_H
#define COMMON_SANDBOX_KERNEL_H

#include <stdbool.h>

/** Does this kernel have system call filters that can end a process (seccomp(2), kernel 4.14)? */
bool sandbox_kernel_has_seccomp(void);

/** @return the Landlock ABI (landlock(7), kernel 5.13); <= 0: absent or disabled. */
int sandbox_kernel_landlock_abi(void);

/** @return what is missing, in words; NULL if nothing is.  Borrowed. */
const char *sandbox_kernel_lacks(bool has_seccomp, bool has_landlock);

#endif /* COMMON_SANDBOX_KERNEL_H */
