/*
 * Messages between master, nursery and workers: one table each way declares every message, its
 * payload, how many descriptors it carries and when it may arrive.  Every process, loop thread.
 * Channels are non-blocking close-on-exec SOCK_SEQPACKET pairs: one record is one message.
 * docs/architecture.md draws who sends what to whom.
 */
#ifndef COMMON_IPC_H
#define COMMON_IPC_H

#include <stddef.h>
#include <stdint.h>

/* Bump on any change to the tables or the payloads below; READY carries it. */
#define IPC_VERSION 11u
#define IPC_URL_MAX 2048     /* camera URL, NUL included */
#define IPC_CAMERA_ID_MAX 64 /* stream ID or configured name, NUL included */
#define IPC_PEER_MAX 64      /* "[address]:port", NUL included */
#define IPC_HEADER_MAX 128   /* a request header value that the worker answers to */
#define IPC_BYTES_MAX 2048   /* of requests that come along with a connection */
#define IPC_ACCESS_LIST_MAX 1024
#define IPC_LEFT_MAX 255
#define IPC_PAYLOAD_MAX 4096
#define IPC_HISTOGRAM_BUCKETS 12

/* Phases of the receiver in which a message may arrive. */
enum ipc_phase { IPC_PH_BOOT = 1 << 0, IPC_PH_RUN = 1 << 1, IPC_PH_DRAIN = 1 << 2 };

/* How to reach a camera: cam_type, or derived from the scheme. */
enum ipc_transport {
    IPC_TRANSPORT_RTSP_TCP,
    IPC_TRANSPORT_RTSP_UDP,
    IPC_TRANSPORT_RTSP_HTTP,
    IPC_TRANSPORT_RTSP_MULTICAST,
    IPC_TRANSPORT_RTMP,
    IPC_TRANSPORT_HTTP_FLV,
    IPC_TRANSPORT_COUNT
};

enum ipc_client_kind { IPC_CLIENT_STREAM, IPC_CLIENT_SNAPSHOT, IPC_CLIENT_MJPEG };
enum ipc_join { IPC_JOIN_LIVE, IPC_JOIN_GOP, IPC_JOIN_KEY };
enum ipc_picture { IPC_PICTURE_NEWEST, IPC_PICTURE_KEY, IPC_PICTURE_COUNT };
enum ipc_hevc { IPC_HEVC_ENHANCED, IPC_HEVC_LEGACY };
enum ipc_access_mode { IPC_ACCESS_ANY, IPC_ACCESS_NAMED, IPC_ACCESS_LIST, IPC_ACCESS_MODE_COUNT };

#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wpadded"
/* Payloads: fixed size, explicit widths, no pointers, no implicit padding. */

/* Limits that a reload may change. */
struct ipc_limits {
    uint64_t gop_max_bytes;
    uint32_t connect_timeout_ms;
    uint32_t stall_timeout_ms;
    uint32_t idle_timeout_ms;
    uint32_t reconnect_window_ms;
    uint32_t queue_max_ms;
    uint32_t viewer_stall_timeout_ms;
};

/* Which hosts and addresses a camera may have: camera_access.h. */
struct ipc_access {
    uint32_t mode;    /* enum ipc_access_mode */
    uint32_t trusted; /* 1: the configuration file names this camera, its own host is allowed */
    char list[IPC_ACCESS_LIST_MAX]; /* of IPC_ACCESS_LIST */
};

/* What a reload may change of a camera. */
struct ipc_settings {
    struct ipc_limits limits;
    struct ipc_access access;
    uint32_t always_on;    /* 1: stay connected without viewers */
    uint32_t tls_insecure; /* 1: the camera may have any certificate */
    uint32_t log_level;    /* enum log_level */
    uint32_t reserved;
};

/* The camera that this worker serves for the rest of its life. */
struct ipc_assign {
    struct ipc_settings settings;
    uint32_t transport; /* enum ipc_transport */
    uint32_t reserved;
    char camera_id[IPC_CAMERA_ID_MAX];
    char url[IPC_URL_MAX]; /* normalised, credentials percent-encoded: never log it */
};

/* One viewer or one snapshot request, with its socket. */
struct ipc_client {
    uint64_t conn_id;    /* master-wide, for logs */
    int64_t accepted_us; /* clock_us() when the connection was accepted */
    uint32_t kind;       /* enum ipc_client_kind */
    uint32_t join;       /* enum ipc_join */
    uint32_t hevc;       /* enum ipc_hevc */
    uint32_t audio;      /* 1: AAC, 0: no audio track */
    uint32_t allow_h265; /* 0: an HEVC camera is transcoded to H.264 for this viewer */
    uint32_t head;       /* 1: HEAD, headers only */
    uint32_t width;      /* of a snapshot, pixels; 0: as the camera's */
    uint32_t height;
    uint32_t quality; /* JPEG, 1..100 */
    uint32_t fps;     /* of an MJPEG stream */
    uint32_t picture; /* enum ipc_picture */
    uint32_t wait_ms; /* for a newer picture than if_none_match; 0: do not wait */
    uint32_t crop_x;  /* of the camera's picture, pixels */
    uint32_t crop_y;
    uint32_t crop_width; /* 0: not cropped */
    uint32_t crop_height;
    uint32_t websocket;  /* 1: answer the WebSocket handshake, frame as RFC 6455 */
    uint32_t keep;       /* 1: the connection stays after a snapshot (RFC 9112 section 9.3) */
    uint32_t requests;   /* on this connection so far, this one included */
    uint32_t head_bytes; /* the request head itself, at the start of bytes; 0: the same request may
                            not be answered again without the master */
    uint32_t rest_bytes; /* behind it: what came after the request (pipelining) */
    uint32_t ticket;     /* comes back with LEFT or RETURN */
    char peer[IPC_PEER_MAX];
    char origin[IPC_HEADER_MAX];             /* Origin header to echo, or empty for `*` */
    char if_none_match[IPC_HEADER_MAX];      /* or empty */
    char websocket_key[IPC_HEADER_MAX];      /* Sec-WebSocket-Key, or empty */
    char websocket_protocol[IPC_HEADER_MAX]; /* the subprotocol to echo, or empty */
    char bytes[IPC_BYTES_MAX];
};

/* Close every client cleanly, then exit. */
struct ipc_drain {
    uint32_t grace_ms;
};

/* Permission to exit, the answer to IDLE. */
struct ipc_leave {
    uint32_t reserved;
};

struct ipc_ready {
    uint32_t version; /* IPC_VERSION of the sender */
    uint32_t pid;
};

/* The camera's state changed. */
struct ipc_state {
    uint32_t state;    /* enum ipc_camera_state */
    uint32_t error;    /* enum http_error that new viewers would get, or 0 */
    uint32_t retry_ms; /* until the next attempt, or how long an error is final */
    uint32_t restarts; /* connections made after the first */
};

/* How long something took: histogram.h has the bounds. */
struct ipc_histogram {
    uint64_t sum_us;
    uint64_t counts[IPC_HISTOGRAM_BUCKETS]; /* not cumulative */
};

/* Counters, once a second.  A worker that stays silent is killed (workers.h). */
struct ipc_stats {
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t frames_in;
    uint64_t frames_dropped;       /* skipped for slow viewers */
    uint64_t gop_overflows;        /* GOPs bigger than gop_max_bytes */
    uint64_t packets_lost;         /* RTP */
    uint64_t frames_damaged;       /* video, with lost packets or after such a frame */
    uint64_t frames_refused;       /* RTMP and HTTP cameras: no room between reading and use */
    uint64_t transcoder_dropped;   /* frames that the transcoder did not even decode */
    uint64_t transcoder_late;      /* frames that it decoded, too late to be encoded */
    struct ipc_histogram join;     /* from accepting a viewer to its first picture */
    struct ipc_histogram snapshot; /* from taking over a request to its picture */
    uint32_t viewers;              /* of streams and MJPEG: who wants one picture is none */
    uint32_t video_codec;          /* FourCC, big endian: 'avc1' 'hvc1'; 0 unknown */
    uint32_t audio_codec;          /* FourCC of the camera's audio, audio_format_fourcc(); 0 none */
    uint32_t width;
    uint32_t height;
    uint32_t frame_rate_mhz;        /* frames in 1000 s */
    uint32_t key_frame_interval_ms; /* between the last two; 0 unknown */
    uint32_t reserved;
};

/* Nobody has been here for the idle time: may I exit? */
struct ipc_idle {
    uint64_t clients_seen; /* CLIENT messages received; the master compares with those it sent */
};

/* Clients that were answered or have gone. */
struct ipc_left {
    uint32_t count; /* up to IPC_LEFT_MAX */
    uint32_t tickets[IPC_LEFT_MAX];
};

/* A connection that was kept after a snapshot, with what came of its next request. */
struct ipc_return {
    uint64_t conn_id;
    uint32_t requests; /* on this connection so far */
    uint32_t len;      /* of bytes */
    uint32_t ticket;   /* of the CLIENT message */
    uint32_t reserved;
    char bytes[IPC_BYTES_MAX];
};

/* Fork a worker whose channel is the descriptor that comes along. */
struct ipc_spawn {
    uint32_t worker_id;
};

/* It runs, as the master's child.  The descriptor that comes along is the read end of its stderr.
 */
struct ipc_spawned {
    uint32_t worker_id;
    uint32_t pid;
};

struct ipc_failed {
    uint32_t worker_id;
    uint32_t error; /* errno of fork() or what goes with it */
};
#pragma GCC diagnostic pop

/* X(NAME, word in API, metrics and log) */
#define IPC_CAMERA_STATES(X)    \
    X(IDLE, "idle")             \
    X(CONNECTING, "connecting") \
    X(STREAMING, "streaming")   \
    X(BACKOFF, "backoff")

enum ipc_camera_state {
#define X(U, word) IPC_CAMERA_##U,
    IPC_CAMERA_STATES(X)
#undef X
        IPC_CAMERA_STATE_COUNT, /* without a worker: stopped, or */
    IPC_CAMERA_QUARANTINED,     /* because its workers died, as only the master says */
    IPC_CAMERA_SHOWN_COUNT
};

/* clang-format off */
/* The tables.  X(NAME, name, payload, descriptors, phases) */
#define IPC_TO_WORKER(X)                                                         \
    X(ASSIGN,  assign,  struct ipc_assign,  0, IPC_PH_BOOT)                      \
    X(SETTINGS, settings, struct ipc_settings, 0, IPC_PH_RUN | IPC_PH_DRAIN)    \
    X(CLIENT,  client,  struct ipc_client,  1, IPC_PH_RUN | IPC_PH_DRAIN)        \
    X(LEAVE,   leave,   struct ipc_leave,   0, IPC_PH_BOOT | IPC_PH_RUN)         \
    X(DRAIN,   drain,   struct ipc_drain,   0, IPC_PH_BOOT | IPC_PH_RUN)

#define IPC_FROM_WORKER(X)                                                       \
    X(READY,   ready,   struct ipc_ready,   0, IPC_PH_BOOT)                      \
    X(STATE,   state,   struct ipc_state,   0, IPC_PH_RUN | IPC_PH_DRAIN)        \
    X(STATS,   stats,   struct ipc_stats,   0, IPC_PH_BOOT | IPC_PH_RUN | IPC_PH_DRAIN) \
    X(IDLE,    idle,    struct ipc_idle,    0, IPC_PH_RUN | IPC_PH_DRAIN)        \
    X(LEFT,    left,    struct ipc_left,    0, IPC_PH_RUN | IPC_PH_DRAIN)        \
    X(RETURN,  return,  struct ipc_return,  1, IPC_PH_RUN | IPC_PH_DRAIN)

#define IPC_TO_NURSERY(X)                                                        \
    X(SPAWN,   spawn,   struct ipc_spawn,   1, IPC_PH_RUN)

#define IPC_FROM_NURSERY(X)                                                      \
    X(NURSERY, nursery, struct ipc_ready,   0, IPC_PH_BOOT)                      \
    X(SPAWNED, spawned, struct ipc_spawned, 1, IPC_PH_RUN)                       \
    X(FAILED,  failed,  struct ipc_failed,  0, IPC_PH_RUN)

#define IPC_ALL(X) IPC_TO_WORKER(X) IPC_FROM_WORKER(X) IPC_TO_NURSERY(X) IPC_FROM_NURSERY(X)

enum ipc_type {
#define X(U, l, type, fds, ph) IPC_##U,
    IPC_ALL(X)
#undef X
    IPC_TYPE_COUNT
};
/* clang-format on */

struct ipc_desc {
    const char *name;
    uint16_t len;
    uint8_t fds;
    uint8_t phases;
};
extern const struct ipc_desc ipc_desc[IPC_TYPE_COUNT];

struct ipc_hdr {
    uint16_t type; /* enum ipc_type */
    uint16_t len;  /* payload bytes, exactly ipc_desc[type].len */
    uint32_t seq;
};

struct ipc_msg {
    struct ipc_hdr hdr;
    int fd; /* owned by the message until fd_take()n; -1 if none */
    _Alignas(8) unsigned char payload[IPC_PAYLOAD_MAX];
};

/**
 * Send one message.
 *
 * @param sock    SOCK_SEQPACKET end, non-blocking.  Borrowed.
 * @param payload exactly ipc_desc[type].len bytes.  Borrowed.
 * @param fd      NULL, or the descriptor to hand over.  Moved on success (closed here, *fd is -1).
 * @return 0, or negative errno: -EAGAIN when the queue is full (nothing was sent).
 */
int ipc_send(int sock, enum ipc_type type, const void *payload, int *fd);

/**
 * Receive one message and check it against the table.
 *
 * @param phase the receiver's phase; a message not allowed in it is refused.
 * @param msg   filled on 1; msg->fd is then owned by the caller (ipc_msg_free()).
 * @return 1 message, 0 peer closed, -EAGAIN nothing there, -EPROTO peer broke the protocol
 *         (every descriptor received has been closed), -EMFILE this process has no descriptor
 *         left (msg is filled in without its descriptor, channel still good), other negative errno.
 */
int ipc_recv(int sock, enum ipc_phase phase, struct ipc_msg *msg);

/** Pure part of ipc_recv(), fuzzed: check header, length, descriptor count and phase. */
int ipc_check(const struct ipc_hdr *hdr, size_t nbytes, int nfds, enum ipc_phase phase);

/** @return the word of a state; "stopped" for IPC_CAMERA_STATE_COUNT: a camera without a worker. */
const char *ipc_camera_state_name(enum ipc_camera_state state);

/** Is there a NUL within the first size bytes?  For the strings of a payload. */
int ipc_string_ok(const char *s, size_t size);

void ipc_msg_free(struct ipc_msg *msg);

#endif /* COMMON_IPC_H */
