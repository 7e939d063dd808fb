/*
 * The master runs before the workers when all of them want the processor: accepting a connection,
 * /healthz and the start of another camera must not wait for a crowd of workers.  Master.
 */
#ifndef MASTER_PRIORITY_H
#define MASTER_PRIORITY_H

/**
 * Raise this process as far as it may: a nice value of -3 where that is permitted and nobody chose
 * another one, and short turns on the processor (Linux 6.12), which everybody may ask for.  Threads
 * and processes that it starts get neither.  Call it before the process gives up its privileges.
 */
void priority_raise(void);

#endif /* MASTER_PRIORITY_H */
