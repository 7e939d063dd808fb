#include "worker/media/gather.h"

#include <sys/socket.h>

/* Half of the worker's tick, so that every second reading falls together with it. */
#define INTERVAL_US 500000
/* As much as comes in that time at 8 Mbit/s; the kernel doubles its buffer to match. */
#define LAZY_BYTES (512 << 10)

int64_t gather_interval_us(uint32_t stall_timeout_ms)
{
    int64_t quarter_us = (int64_t)stall_timeout_ms * 250;
    return quarter_us < INTERVAL_US ? quarter_us : INTERVAL_US;
}

void gather_set_lazy(int fd, bool lazy)
{
    int bytes = lazy ? LAZY_BYTES : 1;
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof(bytes));
}
