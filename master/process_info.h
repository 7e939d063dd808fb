/* What /proc says about one of our processes, proc(5).  Master; some microseconds, never blocks. */
#ifndef MASTER_PROCESS_INFO_H
#define MASTER_PROCESS_INFO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/** @return resident memory, shared pages included; 0: not known. */
uint64_t process_resident_bytes(pid_t pid);

/** @return how many threads it has; 0: not known. */
size_t process_threads(pid_t pid);

/**
 * How much longer its main thread has waited for a processor, being able to run, than at the last
 * call.
 *
 * @param total_ms  in, out: all that it had waited at the last call; 0 at first.
 * @return milliseconds; not above 0: none, or not known.
 */
int64_t process_more_waited_ms(pid_t pid, int64_t *total_ms);

#endif /* MASTER_PROCESS_INFO_H */
