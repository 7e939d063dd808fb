/*
 * The last words of a worker: which signal ended it, in which function, and who had called that.
 * There is no core dump, because a core holds pictures and the camera's password.  The line goes to
 * stderr, where the master adds the camera.
 *
 * The handler allocates nothing, takes no lock and opens no file: the nursery has read the symbols
 * of this program and where its libraries lie.
 */
#ifndef WORKER_CRASH_H
#define WORKER_CRASH_H

/** Read what the handler will need.  Nursery, when all libraries are loaded. */
void crash_prepare(void);

/** Handle SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT from now on.  Worker, after the fork. */
void crash_install(void);

#endif /* WORKER_CRASH_H */
