/*
 * What a worker may still do once it has been forked: read a camera, write to viewers, decode.
 * Worker process, before its event loop and before the first byte of a camera; the nursery, for
 * what comes before the fork.  Whoever takes a worker over, by way of a decoder say, gets
 *
 *  - no capability, no new privileges, no core dump, SANDBOX_DATA_BYTES of memory;
 *  - no file but those of name look-ups, CA certificates, time zone and two devices, read-only
 *    (Landlock: sandbox_landlock.h);
 *  - of the system calls those in a list (seccomp: sandbox_seccomp.h): no program can be started,
 *    no process made, signalled or looked into, no file written, no code loaded, no Unix socket
 *    made, nothing listened on.
 *
 * What remains: it can connect to anything that this machine reaches, and see whether a file is
 * there.  docs/security.md tells operators.
 */
#ifndef WORKER_SANDBOX_H
#define WORKER_SANDBOX_H

#include "common/sandbox_mode.h"
#include "worker/process/sandbox_build.h"

#include <stdbool.h>

/**
 * Do what workers will not be able to: load the modules of the name service, read the time zone.
 * Says once what this kernel lacks.  Nursery, before it forks.
 *
 * @return 0; -ENOSYS with SANDBOX_REQUIRE: this kernel cannot.  That has been logged.
 */
int sandbox_prepare(enum sandbox_mode mode);

/**
 * Give everything up, for good.  Worker, right after the fork, while it has one thread.
 *
 * @return 0; negative errno: the kernel refused what sandbox_prepare() found there.  That has been
 *         logged; the process is to end.
 */
int sandbox_enter(enum sandbox_mode mode);

/**
 * Was a file of the name service replaced since sandbox_enter()?  Then this process can read
 * neither the old nor the new one, and finds no names any more; another one would.  Worker.
 */
bool sandbox_is_outdated(void);

#endif /* WORKER_SANDBOX_H */
