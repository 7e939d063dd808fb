/*
 * The configuration: the table of options, and struct conf, which is generated from it.  Master;
 * pure.  conf_load.h fills it in.
 */
#ifndef MASTER_CONF_H
#define MASTER_CONF_H

#include "common/ipc.h"
#include "common/log_level.h"
#include "common/sandbox_mode.h"
#include "common/transcode_mode.h"
#include "common/url.h"
#include "master/text_index.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONF_BIND_MAX 64 /* an IPv4 or IPv6 address, NUL included */
#define CONF_CAMERAS_MAX 4096
#define CONF_NAME_MAX 32  /* user or group name, NUL included */
#define CONF_PATH_MAX 512 /* absolute path of a file, NUL included */
#define CONF_PROXIES_MAX 512
#define CONF_TITLE_MAX 128  /* bytes of a camera's title or group, NUL included */
#define CONF_SECRET_MAX 129 /* token or key, NUL included */

/* clang-format off */
/*
 * Every option, once: struct conf, the reader, --help and --check-config come from this table.
 * X(section, key, type, default, min, max, change, help)
 *
 * type     one of the CONF_MEMBER_ types below.  min and max are for numbers; a SECRET has up to
 *          max characters.
 * change   RELOAD: SIGHUP applies it; START: only a restart applies it, SIGHUP keeps the old value
 *          and logs that.
 * help     what the option does; the accepted values are appended to it.
 *
 * Environment: CAM_HTTPFLV_KEY for [server], CAM_HTTPFLV_SECTION_KEY for the others.
 */
#define CONF_SERVER_OPTIONS(X)                                                                     \
    X(server, bind,                ADDRESS,    "0.0.0.0",  0, 0, START,                            \
      "address to listen on; :: for IPv6 and IPv4")                                                \
    X(server, flv_port,            UINT32,     "8005",     0, 65535, START,                        \
      "port for streams and the page; 0: the system picks one")                                    \
    X(server, snapshot_port,       UINT32,     "8006",     0, 65535, START,                        \
      "port for snapshots, API and metrics; 0: the system picks one")                              \
    X(server, log_level,           LOG_LEVEL,  "info",     0, 0, RELOAD,                           \
      "least important messages to log")                                                           \
    X(server, log_format,          LOG_FORMAT, "text",     0, 0, RELOAD,                           \
      "form of a log line")                                                                        \
    X(server, user,                NAME,       "",         0, 0, START,                            \
      "user to become after opening the ports, when started by root; empty: stay root")            \
    X(server, group,               NAME,       "",         0, 0, START,                            \
      "group to become instead of that user's own")                                                \
    X(server, sandbox,             SANDBOX,    "on",       0, 0, START,                            \
      "sandbox for workers; require: refuse to start on a kernel that lacks part of it")           \
    X(server, spare_workers,       UINT32,     "2",        0, 64, RELOAD,                          \
      "workers forked ahead of need")                                                              \
    X(server, max_cameras,         UINT32,     "256",      1, 65536, RELOAD,                       \
      "cameras at once; more get 503 too_many_cameras")                                            \
    X(server, max_viewers,         UINT32,     "10000",    1, 1000000, RELOAD,                     \
      "viewers at once; more get 503 too_many_viewers")                                            \
    X(server, max_viewers_per_camera, UINT32,  "0",        0, 1000000, RELOAD,                     \
      "viewers of one camera at once; 0: no limit")                                                \
    X(server, max_requests_per_minute, UINT32, "0",        0, 1000000, RELOAD,                     \
      "requests of one client address; more get 503 overloaded; 0: no limit")                      \
    X(server, client_share,        UINT32,     "50",       1, 100, RELOAD,                         \
      "percent of what the others leave that one client address may hold; 100: no limit")          \
    X(server, trusted_proxies,     PROXIES,    "",         0, 0, RELOAD,                           \
      "proxies whose X-Forwarded-For says who the client is")                                      \
    X(server, proxy_protocol,      PROXIES,    "",         0, 0, RELOAD,                           \
      "proxies whose connections begin with a PROXY header, which says who the client is")

#define CONF_CAMERA_OPTIONS(X)                                                                     \
    X(camera, connect_timeout_ms,  UINT32,     "10000",    100, 600000, RELOAD,                    \
      "time for a camera to deliver its first picture")                                            \
    X(camera, stall_timeout_ms,    UINT32,     "5000",     100, 600000, RELOAD,                    \
      "reconnect to a camera that has sent nothing for this long")                                 \
    X(camera, idle_timeout_ms,     UINT32,     "30000",    0, 86400000, RELOAD,                    \
      "stay connected for this long after the last viewer or snapshot")                            \
    X(camera, reconnect_window_ms, UINT32,     "60000",    0, 86400000, RELOAD,                    \
      "keep viewers for this long while their camera is away")                                     \
    X(camera, gop_max_bytes,       UINT64,     "33554432", 65536, 1073741824, RELOAD,              \
      "memory for the frames since the last whole key frame, per camera")                                \
    X(camera, transcode,           TRANSCODE,  "auto",     0, 0, RELOAD,                           \
      "HEVC to H.264: for players known to need it, only when asked for, or never")                \
    X(camera, tls_verify,          YES_NO,     "yes",      0, 0, RELOAD,                           \
      "verify the certificates of rtsps, rtmps and https cameras")

#define CONF_VIEWER_OPTIONS(X)                                                                     \
    X(viewer, queue_max_ms,        UINT32,     "3000",     100, 600000, RELOAD,                    \
      "a viewer that falls behind by more skips to the next key frame")                            \
    X(viewer, stall_timeout_ms,    UINT32,     "15000",    100, 600000, RELOAD,                    \
      "disconnect a viewer that has taken nothing for this long")

#define CONF_ACCESS_OPTIONS(X)                                                                     \
    X(access, cameras,             CAMERAS,    "any",      0, 0, RELOAD,                           \
      "cameras that cam_url may ask for")                                                          \
    X(access, token,               SECRET,     "",         0, 64, RELOAD,                          \
      "requests need it, as ?token= or Authorization: Bearer; empty: no token")                    \
    X(access, signing_key,         SECRET,     "",         0, 128, RELOAD,                         \
      "accept URLs signed with this key: ?expires=UNIX&signature=HEX")                             \
    X(access, manage,              YES_NO,     "no",       0, 0, RELOAD,                           \
      "requests with the token may save cameras and remove them; needs a token")                   \
    X(access, manage_file,         PATH,       "/var/lib/cam-httpflv/cameras.ini", 0, 0, RELOAD,   \
      "file for the cameras that requests save")

#define CONF_OPTIONS(X)                                                                            \
    CONF_SERVER_OPTIONS(X) CONF_CAMERA_OPTIONS(X) CONF_VIEWER_OPTIONS(X) CONF_ACCESS_OPTIONS(X)

/* Keys of a [camera "name"] section.  X(key, value, help) */
#define CONF_CAMERA_KEYS(X)                                                                        \
    X(url,       "URL",       "the camera's, with user name and password; viewers ask for ?cam=NAME") \
    X(type,      "TRANSPORT", "rtsp-tcp, rtsp-udp, rtsp-http, rtsp-multicast or rtmp; by default, " \
                              "the URL decides")                                                  \
    X(sub,       "",          "URL of the camera's smaller stream; viewers ask for ?cam=NAME&stream=sub") \
    X(sub_type,  "TRANSPORT", "transport of the sub-stream, as type")                                 \
    X(title,     "",          "what the page calls the camera, in any script; by default its name")   \
    X(group,     "",          "group of the page that the camera belongs to, in any script")          \
    X(always_on, "no",        "yes: stay connected without viewers")

/* The member of struct conf for each type of option. */
#define CONF_MEMBER_UINT32(key)     uint32_t key;
#define CONF_MEMBER_UINT64(key)     uint64_t key;
#define CONF_MEMBER_YES_NO(key)     bool key;
#define CONF_MEMBER_ADDRESS(key)    char key[CONF_BIND_MAX];
#define CONF_MEMBER_NAME(key)       char key[CONF_NAME_MAX];
#define CONF_MEMBER_PATH(key)       char key[CONF_PATH_MAX];
#define CONF_MEMBER_PROXIES(key)    char key[CONF_PROXIES_MAX];
#define CONF_MEMBER_SECRET(key)     char key[CONF_SECRET_MAX]; /* never shown */
#define CONF_MEMBER_LOG_LEVEL(key)  enum log_level key;
#define CONF_MEMBER_LOG_FORMAT(key) enum log_format key;
#define CONF_MEMBER_SANDBOX(key)    enum sandbox_mode key;
#define CONF_MEMBER_TRANSCODE(key)  enum transcode_mode key;
#define CONF_MEMBER_CAMERAS(key)    struct ipc_access key; /* trusted is 0 */
#define CONF_MEMBER(section, key, type, initial, min, max, change, help) CONF_MEMBER_##type(key)
/* clang-format on */

/* The names of sub-streams end in it.  No name in the file can hold a colon. */
#define CONF_SUB_SUFFIX ":sub"
/* The longest name of a camera that has one. */
#define CONF_SUB_NAME_MAX ((int)(IPC_CAMERA_ID_MAX - sizeof(CONF_SUB_SUFFIX)))

/* A [camera "name"] section, or its sub-stream, which is a camera of its own. */
struct conf_camera {
    char name[IPC_CAMERA_ID_MAX]; /* letters, digits, `.`, `_`, `-` */
    struct camera_url url;
    char key[IPC_URL_MAX];      /* url_format() of url: secret */
    char title[CONF_TITLE_MAX]; /* UTF-8; "": none */
    char group[CONF_TITLE_MAX]; /* likewise */
    enum ipc_transport transport;
    char sub_key[IPC_URL_MAX]; /* likewise of its sub-stream; "": none.  Secret */
    enum ipc_transport sub_transport;
    bool is_sub;    /* it is the sub-stream of another one */
    bool always_on; /* stay connected without viewers */
    bool saved;     /* from [access] manage_file; false: from the configuration file */
};

struct conf {
    struct {
        CONF_SERVER_OPTIONS(CONF_MEMBER)
    } server;
    struct {
        CONF_CAMERA_OPTIONS(CONF_MEMBER)
    } camera;
    struct {
        CONF_VIEWER_OPTIONS(CONF_MEMBER)
    } viewer;
    struct {
        CONF_ACCESS_OPTIONS(CONF_MEMBER)
    } access;
    struct conf_camera *cameras; /* in the order of the files, the configuration's first */
    size_t camera_count;
    struct conf_camera *subs; /* the sub-streams of cameras (conf_camera.h) */
    size_t sub_count;
    size_t hidden_count;     /* saved cameras whose names the configuration file has, too */
    struct text_index names; /* struct conf_camera by name, sub-streams too */
    struct {
        const char *path; /* NULL: no file.  Borrowed from argv. */
        uint32_t mode;    /* its permission bits */
        bool secrets;     /* it holds passwords, a token or a key */
    } file;
};

/** @return the named camera, or NULL.  Borrowed from conf. */
const struct conf_camera *conf_find_camera(const struct conf *conf, const char *name);

/** Does it hold a camera's password, a token or a key? */
bool conf_has_secrets(const struct conf *conf);

/** Wipe and free the cameras. */
void conf_clear_cameras(struct conf *conf);

/** Free the cameras and wipe the secrets. */
void conf_free(struct conf *conf);

#endif /* MASTER_CONF_H */
