/* Sandbox settings that depend on the build: sanitizers need more than a worker may do. */
#ifndef WORKER_SANDBOX_BUILD_H
#define WORKER_SANDBOX_BUILD_H

/* The leak and race checkers read their own process's memory and map terabytes. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANDBOX_SANITIZER 1
#endif
#endif
#ifndef SANDBOX_SANITIZER
#define SANDBOX_SANITIZER 0
#endif

/* Enough for 8K pictures and the largest gop_max_bytes, but far below a machine's memory. */
#define SANDBOX_DATA_BYTES (4ull << 30)
/* RLIMIT_DATA does not count what is only read, for which there are page tables all the same.  libc
 * reserves 64 MB for each of its arenas, 8 MB for a thread's stack. */
#define SANDBOX_ADDRESS_BYTES (4 * SANDBOX_DATA_BYTES)

#endif /* WORKER_SANDBOX_BUILD_H */
