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
#define IPC_VERSION 16u
#define IPC_URL_MAX 2048     /* camera URL, NUL included */
#define IPC_CAMERA_ID_MAX 64 /* stream ID or configured name, NUL included */
#define IPC_PEER_MAX 64      /* "[address]:port", NUL included */
#define IPC_HEADER_MAX 128   /* a request header value that the worker answers to */
#define IPC_BYTES_MAX 2048   /* request bytes handed over with a connection */
#define IPC_ACCESS_LIST_MAX 1024
#define IPC_LEFT_MAX 255
/* Descriptors that a worker may have at first; the master raises the limit with its clients. */
#define IPC_WORKER_FILES 2048
#define IPC_PAYLOAD_MAX 4096
#define IPC_HISTOGRAM_BUCKETS 12

/* Phases of the receiver in which a message may arrive. */
enum ipc_phase {
    IPC_PH_FORKED = 1 << 3, /* a worker that is not in its sandbox yet */
    IPC_PH_BOOT = 1 << 0,
    IPC_PH_RUN = 1 << 1,
    IPC_PH_DRAIN = 1 << 2
};

/* How to reach a camera: from cam_type, or from the URL's scheme. */
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
enum ipc_av1 { IPC_AV1_H264, IPC_AV1_ENHANCED };
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
    uint32_t transcode; /* enum transcode_mode */
    uint32_t reserved;
};

/* Which hosts and addresses a camera may have: camera_access.h. */
struct ipc_access {
    uint32_t mode;    /* enum ipc_access_mode */
    uint32_t trusted; /* 1: the configuration file names this camera, its own host is allowed */
    char list[IPC_ACCESS_LIST_MAX]; /* for IPC_ACCESS_LIST; NUL-terminated */
};

/* Camera settings that a reload may change. */
struct ipc_settings {
    struct ipc_limits limits;
    struct ipc_access access;
    uint32_t always_on;    /* 1: stay connected without viewers */
    uint32_t tls_insecure; /* 1: accept any certificate */
    uint32_t log_level;    /* enum log_level */
    uint32_t reserved;
};

/* The camera that this worker serves for the rest of its life. */
struct ipc_assign {
    struct ipc_settings settings;
    uint32_t transport; /* enum ipc_transport */
    uint32_t connect;   /* 1: connect at once, although no client is there yet */
    char camera_id[IPC_CAMERA_ID_MAX];
    char url[IPC_URL_MAX]; /* normalised, credentials percent-encoded: never log it */
};

/* One viewer or one snapshot request, with its socket. */
struct ipc_client {
    uint64_t conn_id;    /* master-wide, for logs */
    int64_t accepted_us; /* clock_us() when the connection was accepted */
    uint64_t client;     /* a number for the client's address: clients take turns */
    uint32_t kind;       /* enum ipc_client_kind */
    uint32_t join;       /* enum ipc_join */
    uint32_t hevc;       /* enum ipc_hevc */
    uint32_t audio;      /* 1: AAC, 0: no audio track */
    uint32_t allow_h265; /* 0: an HEVC camera is transcoded to H.264 for this viewer */
    uint32_t av1;        /* enum ipc_av1: what this viewer gets of an AV1 camera */
    uint32_t head;       /* 1: HEAD, headers only */
    uint32_t width;      /* snapshot size in pixels; 0: the camera's */
    uint32_t height;     /* likewise; of a stream: lines that are enough if it is transcoded */
    uint32_t quality;    /* JPEG, 1..100; 0: not asked for */
    uint32_t fps;        /* MJPEG frame rate */
    uint32_t picture;    /* enum ipc_picture */
    uint32_t wait_ms;    /* longest wait for a picture newer than if_none_match; 0: do not wait */
    uint32_t crop_x;     /* crop rectangle in the camera's picture, pixels */
    uint32_t crop_y;
    uint32_t crop_width; /* 0: not cropped */
    uint32_t crop_height;
    uint32_t websocket;  /* 1: a WebSocket, RFC 6455, whose handshake is done */
    uint32_t keep;       /* 1: keep the connection after a snapshot (RFC 9112 section 9.3) */
    uint32_t requests;   /* requests on this connection so far, including this one */
    uint32_t head_bytes; /* length of the request head at the start of bytes; 0: the worker may not
                            answer a repeat of this request itself */
    uint32_t rest_bytes; /* length of the pipelined bytes that follow the head */
    uint32_t ticket;     /* LEFT or RETURN carries it back; also the number of its slot */
    uint32_t resumed;    /* 1: the answer has begun: go on after what its slot says (handover.h) */
    char camera[IPC_CAMERA_ID_MAX]; /* name by which the client asked for the camera; "": by URL */
    char peer[IPC_PEER_MAX];
    char origin[IPC_HEADER_MAX];        /* Origin header to echo, or empty for `*` */
    char if_none_match[IPC_HEADER_MAX]; /* If-None-Match, or empty */
    char bytes[IPC_BYTES_MAX];
};

/* Close every client cleanly, then exit. */
struct ipc_drain {
    uint32_t grace_ms;
};

/* Leave the camera, then exit without ending any client: another worker goes on with them. */
struct ipc_yield {
    uint32_t grace_ms; /* how long writes that have begun may take */
};

/* Permission to exit: the answer to IDLE. */
struct ipc_leave {
    uint32_t reserved;
};

struct ipc_ready {
    uint32_t version; /* IPC_VERSION of the sender */
    uint32_t pid;
};

/* The camera's state changed, or it is CONNECTING and has let the worker in, password and all: the
 * same comes once more. */
struct ipc_state {
    uint32_t state;    /* enum ipc_camera_state */
    uint32_t error;    /* enum http_error that a new viewer would get, or 0 */
    uint32_t retry_ms; /* time until the next attempt, or until a final error expires */
    uint32_t restarts; /* connections after the first */
};

/* How long something took: histogram.h has the bounds. */
struct ipc_histogram {
    uint64_t sum_us;
    uint64_t counts[IPC_HISTOGRAM_BUCKETS]; /* not cumulative */
};

/* Counters, once a second.  A worker that stays silent is killed (worker_link.h). */
struct ipc_stats {
    uint64_t bytes_in;
    uint64_t bytes_out;
    uint64_t frames_in;
    uint64_t frames_dropped;       /* skipped for slow viewers */
    uint64_t gop_overflows;        /* GOPs bigger than gop_max_bytes */
    uint64_t packets_lost;         /* RTP packets that never came */
    uint64_t packets_overrun;      /* RTP packets that came and found a socket's buffer full */
    uint64_t frames_damaged;       /* video frames that lost packets, or that follow such a frame */
    uint64_t frames_left_out;      /* torn pictures that nobody gets */
    uint64_t frames_refused;       /* RTMP and HTTP cameras: frames dropped from a full queue */
    uint64_t transcoder_dropped;   /* frames that the transcoder did not decode */
    uint64_t transcoder_late;      /* frames decoded too late to be encoded */
    uint64_t clients_refused;      /* requests that the worker answered with an error */
    struct ipc_histogram join;     /* from accepting a viewer to its first picture */
    struct ipc_histogram snapshot; /* from receiving a request to answering it with a picture */
    int64_t picture_us;            /* clock_us() when the newest picture came; 0: none has come */
    uint32_t viewers;              /* stream and MJPEG viewers; snapshot requests do not count */
    uint32_t video_codec;          /* FourCC, big endian, video_codec_fourcc(): 'avc1'; 0 unknown */
    uint32_t audio_codec;          /* FourCC of the camera's audio, audio_format_fourcc(); 0 none */
    uint32_t width;
    uint32_t height;
    uint32_t frame_rate_mhz;        /* millihertz: frames in 1000 s */
    uint32_t key_frame_interval_ms; /* between the last two key frames; 0 unknown */
    uint32_t no_audio;              /* enum ipc_no_audio */
};

/* The worker has had no clients for idle_timeout_ms and asks for permission to exit. */
struct ipc_idle {
    uint64_t clients_seen; /* CLIENT messages received; the master compares them with those sent */
};

/* Clients that were answered or have left. */
struct ipc_left {
    uint32_t count; /* up to IPC_LEFT_MAX */
    uint32_t tickets[IPC_LEFT_MAX];
};

/* A connection kept after a snapshot, with the bytes received so far of its next request. */
struct ipc_return {
    uint64_t conn_id;
    uint32_t requests; /* requests on this connection so far */
    uint32_t len;      /* used part of bytes */
    uint32_t ticket;   /* from the CLIENT message */
    uint32_t reserved;
    char bytes[IPC_BYTES_MAX];
};

/* The first message of a worker's channel.  The descriptor is its memory (handover.h), which it
 * maps before its sandbox forbids that. */
struct ipc_slots {
    uint32_t version; /* HANDOVER_VERSION of the sender */
};

/* Fork a worker.  The message's descriptor is the worker's channel. */
struct ipc_spawn {
    uint32_t worker_id;
};

/* The worker runs, as the master's child.  The descriptor is the read end of its stderr. */
struct ipc_spawned {
    uint32_t worker_id;
    uint32_t pid;
};

struct ipc_failed {
    uint32_t worker_id;
    uint32_t error; /* errno of fork() or of a call around it */
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
        IPC_CAMERA_STATE_COUNT, /* also: the camera has no worker ("stopped") */
    IPC_CAMERA_QUARANTINED,     /* no worker, because its workers died; only the master says so */
    IPC_CAMERA_UNWATCHED,       /* configured, and nobody asks for it; only the master says so */
    IPC_CAMERA_SHOWN_COUNT
};

/* Why viewers get no sound of a camera.  X(NAME, word in API) */
#define IPC_NO_AUDIO_REASONS(X)               \
    X(NONE, "") /* they get it, or unknown */ \
    X(NOT_ANNOUNCED, "not_announced")         \
    X(NOT_RECEIVED, "not_received")           \
    X(UNSUPPORTED_CODEC, "unsupported_codec") \
    X(UNREADABLE, "unreadable")               \
    X(ENCRYPTED, "encrypted")                 \
    X(NOT_ASKED_FOR, "not_asked_for")         \
    X(REFUSED, "refused")

enum ipc_no_audio {
#define X(U, word) IPC_NO_AUDIO_##U,
    IPC_NO_AUDIO_REASONS(X)
#undef X
        IPC_NO_AUDIO_COUNT
};

/* clang-format off */
/* The tables.  X(NAME, name, payload, descriptors, phases) */
#define IPC_TO_WORKER(X)                                                         \
    X(ASSIGN,  assign,  struct ipc_assign,  0, IPC_PH_BOOT)                      \
    X(SETTINGS, settings, struct ipc_settings, 0, IPC_PH_RUN | IPC_PH_DRAIN)    \
    X(CLIENT,  client,  struct ipc_client,  1, IPC_PH_RUN | IPC_PH_DRAIN)        \
    X(LEAVE,   leave,   struct ipc_leave,   0, IPC_PH_BOOT | IPC_PH_RUN)         \
    X(DRAIN,   drain,   struct ipc_drain,   0, IPC_PH_BOOT | IPC_PH_RUN)         \
    X(YIELD,   yield,   struct ipc_yield,   0, IPC_PH_RUN | IPC_PH_DRAIN)

#define IPC_FROM_WORKER(X)                                                       \
    X(READY,   ready,   struct ipc_ready,   0, IPC_PH_BOOT)                      \
    X(STATE,   state,   struct ipc_state,   0, IPC_PH_RUN | IPC_PH_DRAIN)        \
    X(STATS,   stats,   struct ipc_stats,   0, IPC_PH_BOOT | IPC_PH_RUN | IPC_PH_DRAIN) \
    X(IDLE,    idle,    struct ipc_idle,    0, IPC_PH_RUN | IPC_PH_DRAIN)        \
    X(LEFT,    left,    struct ipc_left,    0, IPC_PH_RUN | IPC_PH_DRAIN)        \
    X(RETURN,  return,  struct ipc_return,  1, IPC_PH_RUN | IPC_PH_DRAIN)

#define IPC_TO_FORKED(X)                                                         \
    X(SLOTS,   slots,   struct ipc_slots,   1, IPC_PH_FORKED)

#define IPC_TO_NURSERY(X)                                                        \
    X(SPAWN,   spawn,   struct ipc_spawn,   1, IPC_PH_RUN)

#define IPC_FROM_NURSERY(X)                                                      \
    X(NURSERY, nursery, struct ipc_ready,   0, IPC_PH_BOOT)                      \
    X(SPAWNED, spawned, struct ipc_spawned, 1, IPC_PH_RUN)                       \
    X(FAILED,  failed,  struct ipc_failed,  0, IPC_PH_RUN)

#define IPC_ALL(X) \
    IPC_TO_WORKER(X) IPC_FROM_WORKER(X) IPC_TO_FORKED(X) IPC_TO_NURSERY(X) IPC_FROM_NURSERY(X)

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
    int fd; /* owned by the message until fd_take() takes it; -1 if none */
    _Alignas(8) unsigned char payload[IPC_PAYLOAD_MAX];
};

/**
 * Send one message.
 *
 * @param sock    non-blocking SOCK_SEQPACKET socket.  Borrowed.
 * @param payload exactly ipc_desc[type].len bytes.  Borrowed.
 * @param fd      NULL, or the descriptor to hand over.  Moved on success (closed here, *fd is -1).
 * @return 0, or negative errno: -EAGAIN if the queue is full (nothing was sent).
 */
int ipc_send(int sock, enum ipc_type type, const void *payload, int *fd);

/**
 * Receive one message and check it against the table.
 *
 * @param phase the receiver's phase; a message not allowed in it is refused.
 * @param msg   filled on 1; msg->fd is then owned by the caller (ipc_msg_free()).
 * @return 1: a message; 0: the peer closed; -EAGAIN: no message yet; -EPROTO: the peer broke the
 *         protocol (all received descriptors are closed); -EMFILE: this process has no descriptor
 *         left (msg is filled without its descriptor, the channel stays usable); other negative
 *         errno.
 */
int ipc_recv(int sock, enum ipc_phase phase, struct ipc_msg *msg);

/** The pure part of ipc_recv(), fuzzed: check header, length, descriptor count and phase. */
int ipc_check(const struct ipc_hdr *hdr, size_t nbytes, int nfds, enum ipc_phase phase);

/** @return the state's word; "stopped" for IPC_CAMERA_STATE_COUNT, a camera without a worker. */
const char *ipc_camera_state_name(enum ipc_camera_state state);

/** Is there a NUL within the first size bytes?  Check each string of a payload with it. */
int ipc_string_ok(const char *s, size_t size);

/** Close the descriptor that came with a message, if nobody has taken it. */
void ipc_msg_free(struct ipc_msg *msg);

#endif /* COMMON_IPC_H */
