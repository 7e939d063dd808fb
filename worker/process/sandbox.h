/*
 * Limits a forked worker to its work: read a camera, write to viewers, decode.  The nursery
 * prepares before the fork; the worker enters the sandbox before its event loop runs and before it
 * reads a byte from a camera.  An attacker who takes over a worker, say through a decoder, gets
 *
 *  - no capabilities, no new privileges, no core dump, SANDBOX_DATA_BYTES of memory;
 *  - read access to a few files only: name look-ups, CA certificates, time zone, two devices
 *    (Landlock: sandbox_landlock.h);
 *  - only the system calls on a list (seccomp: sandbox_seccomp.h).  It cannot start a program;
 *    create, signal or inspect a process; write a file; load code; create a Unix socket; or listen.
 *
 * It can still connect to anything that this machine reaches, and see whether a file exists.
 * docs/security.md tells operators.
 */
#ifndef WORKER_SANDBOX_H
#define WORKER_SANDBOX_H

#include "common/sandbox_mode.h"
#include "worker/process/sandbox_build.h"

#include <stdbool.h>

/**
 * Do in advance what a sandboxed worker cannot: load the name service's modules, read the time
 * zone.  Logs once what this kernel lacks.  Nursery, before it forks.
 *
 * @return 0; -ENOSYS (logged): the mode is SANDBOX_REQUIRE and this kernel lacks a part.
 */
int sandbox_prepare(enum sandbox_mode mode);

/**
 * Refuse io_uring in advance, so that the event loop does without: what goes through a ring passes
 * the sandbox, and libuv gives up when a ring that it has made stops working.  It makes one with
 * the loop, whatever UV_USE_IO_URING says (1.49).  Worker, before it makes its loop.
 *
 * @return 0; negative errno (logged).  The caller must end the process.
 */
int sandbox_refuse_rings(enum sandbox_mode mode);

/**
 * Enter the sandbox; there is no way out.  Worker, right after the fork, while it has one thread.
 *
 * @return 0; negative errno (logged): the kernel refused a part that sandbox_prepare() had found.
 *         The caller must end the process.
 */
int sandbox_enter(enum sandbox_mode mode);

/**
 * Was a file of the name service replaced since sandbox_enter()?  If so, this process can read
 * neither the old file nor the new one, and can no longer resolve names; a new worker can.  Worker.
 */
bool sandbox_is_outdated(void);

#endif /* WORKER_SANDBOX_H */
