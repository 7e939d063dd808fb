/*
 * flvload: many viewers of one HTTP-FLV URL in one process, and what each of them saw.  Benchmark
 * tool, single thread.
 *
 * Delay of a frame.  A camera of the benchmark says in each picture when it sends it (stamp.h); the
 * kernel says when the last byte of the picture came to the viewer's socket (SO_TIMESTAMPNS),
 * however long this process takes to read it.  Without a stamp there is the delay behind the
 * connection's live edge: the least (arrival - timestamp) that it has seen.
 */
#ifndef BENCH_FLVLOAD_LOAD_H
#define BENCH_FLVLOAD_LOAD_H

#include "../stamp.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DELAY_BUCKETS 20000
#define DELAY_BUCKET_MS 0.05

enum conn_state { CONN_IDLE, CONN_CONNECTING, CONN_HEAD, CONN_BODY, CONN_CLOSED };

enum conn_error {
    ERROR_NONE,
    ERROR_CONNECT,
    ERROR_STATUS,
    ERROR_HTTP,
    ERROR_CHUNK,
    ERROR_SIGNATURE,
    ERROR_TAG_TYPE,
    ERROR_STREAM_ID,
    ERROR_PREVIOUS_SIZE,
    ERROR_COUNT
};

/* When bytes came. */
struct arrival {
    double read_s; /* CLOCK_MONOTONIC, when they were read */
    int64_t
        received_us; /* on stamp.h's clock, when the last of them came to the socket; 0: unknown */
};

/* Where the parser of chunked transfer coding is (RFC 9112 section 7.1). */
struct chunked {
    bool used;
    int state;
    int digits;
    uint64_t left;
};

/* Where the FLV parser is. */
struct flv_state {
    int state;
    uint8_t header[13]; /* what came so far of a file header, tag header or size */
    unsigned header_len;
    uint8_t type;
    uint32_t size;
    uint32_t left;
    uint32_t timestamp_ms;
    uint8_t start[STAMP_WITHIN];
    unsigned start_len;
};

struct conn {
    int fd;
    enum conn_state state;
    enum conn_error error;
    char *head; /* of the answer, until it is complete */
    size_t head_len;
    struct chunked chunked;
    struct flv_state flv;

    double started_s;
    double connected_s; /* these three since started_s; -1: not yet */
    double first_byte_s;
    double first_key_s;

    uint64_t videos;
    bool has_last[2]; /* a coded tag of audio, video has been seen */
    uint32_t last_ms[2];
    uint32_t backward, gaps, gap_max_ms;
    double picture_s;     /* when the newest picture was complete; 0: none yet */
    double wait_max_ms;   /* the longest time between two of them */
    double edge_ms;       /* least (arrival - timestamp) */
    double behind_max_ms; /* worst delay behind it, after settling */
    double delay_max_ms;  /* worst delay of a stamped frame, after settling */
};

struct options {
    int conns;
    double seconds;
    double conns_per_second;
    double settle_s;
    uint32_t gap_ms;
    size_t buffer_bytes;
    int wait_ms;
    bool one_by_one;
    bool quiet;
    char host[256], port[16], path[2048];
};

struct totals {
    int started, connected, closed, errors;
    uint64_t bytes;
    uint64_t delays[DELAY_BUCKETS]; /* of stamped frames, after settling; the last: longer */
    double delay_max_ms;
};

/* Wall and CPU time of the run. */
struct run_times {
    double ramp_s, wall_s, steady_s, steady_cpu;
    uint64_t steady_bytes;
};

extern struct options options;
extern struct totals totals;

double now_s(void);

/** The connection broke a rule: the first one counts, and nothing more is parsed. */
void conn_fail(struct conn *conn, enum conn_error error);

/** Take bytes of the answer. @return false: the connection is to be closed. */
bool http_feed(struct conn *conn, const uint8_t *data, size_t len, const struct arrival *arrival);

/** Take bytes of the body. */
void flv_feed(struct conn *conn, const uint8_t *data, size_t len, const struct arrival *arrival);

/** Print what was measured: as text unless options.quiet, then as one "KV key=value …" line. */
void report(const struct conn *conns, const struct run_times *times);

/** Forget the largest steps and waits so far: SIGUSR1 has told them. */
void forget_worst(struct conn *conns);

#endif /* BENCH_FLVLOAD_LOAD_H */
