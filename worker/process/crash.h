/*
 * Logs how a worker crashed: the signal, the function and its callers.  There is no core dump,
 * because a core holds pictures and the camera's password.  The lines go to stderr, and the master
 * adds the camera.
 *
 * The handler allocates nothing, takes no lock and opens no file: the nursery has already read this
 * program's symbols and its libraries' addresses.
 */
#ifndef WORKER_CRASH_H
#define WORKER_CRASH_H

/** Read what the handler will need.  Nursery, once all libraries are loaded. */
void crash_prepare(void);

/** Handle SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT from now on.  Worker, after the fork. */
void crash_install(void);

#endif /* WORKER_CRASH_H */
