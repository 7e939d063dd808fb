/*
 * Configuration: defaults < file < environment < flags.  Master, before the loop and on SIGHUP.
 * Reads one file and the environment; changes nothing outside struct conf.
 */
#ifndef MASTER_CONF_H
#define MASTER_CONF_H

#include "common/ipc.h"
#include "common/log.h"
#include "common/sandbox_mode.h"
#include "common/url.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONF_BIND_MAX 64 /* an IPv4 or IPv6 address, NUL included */
#define CONF_CAMERAS_MAX 4096
#define CONF_NAME_MAX 32    /* of a user or group, NUL included */
#define CONF_SECRET_MAX 129 /* a token or key, NUL included */
#define CONF_TEXT_MAX 8192  /* error, help or version text of conf_load() */

/* clang-format off */
/*
 * Every option, once.  X(section, key, type, default, min, max, help)
 * Types: UINT32 (uint32_t), UINT64 (uint64_t), ADDRESS (char[CONF_BIND_MAX]),
 * LOG_LEVEL, LOG_FORMAT (the enums of common/log.h), CAMERAS (char[IPC_ACCESS_LIST_MAX],
 * camera_access.h), NAME (char[CONF_NAME_MAX]), SANDBOX (the enum of common/sandbox_mode.h),
 * SECRET (char[CONF_SECRET_MAX], up to max characters, never shown), YES_NO (bool).
 * min and max are for numbers.
 * Environment: CAM_HTTPFLV_KEY for [server], CAM_HTTPFLV_SECTION_KEY for the others.
 */
#define CONF_OPTIONS(X)                                                                            \
    X(server, bind,                ADDRESS,    "0.0.0.0",  0, 0,                                   \
      "address to listen on; :: for IPv6 and IPv4")                                                \
    X(server, flv_port,            UINT32,     "8005",     0, 65535,                               \
      "port of the streams; 0: the system picks one")                                              \
    X(server, snapshot_port,       UINT32,     "8006",     0, 65535,                               \
      "port of snapshots and operations; 0: the system picks one")                                 \
    X(server, log_level,           LOG_LEVEL,  "info",     0, 0,                                   \
      "error, warn, info, debug or trace")                                                         \
    X(server, log_format,          LOG_FORMAT, "text",     0, 0,                                   \
      "text or json")                                                                              \
    X(server, user,                NAME,       "",         0, 0,                                   \
      "whom root becomes when the ports are open; empty: nobody else")                             \
    X(server, group,               NAME,       "",         0, 0,                                   \
      "in the place of that user's own group")                                                     \
    X(server, sandbox,             SANDBOX,    "on",       0, 0,                                   \
      "shut workers in: on, off or require")                                                       \
    X(server, spare_workers,       UINT32,     "2",        0, 64,                                  \
      "workers forked ahead of need")                                                              \
    X(server, max_cameras,         UINT32,     "256",      1, 65536,                               \
      "cameras at once; beyond: 503 too_many_cameras")                                             \
    X(server, max_viewers,         UINT32,     "10000",    1, 1000000,                             \
      "viewers at once; beyond: 503 too_many_viewers")                                             \
    X(server, max_viewers_per_camera, UINT32,  "0",        0, 1000000,                             \
      "likewise of one camera; 0: no limit")                                                       \
    X(server, max_requests_per_minute, UINT32, "0",        0, 1000000,                             \
      "of one client address; beyond: 503 overloaded; 0: no limit")                                \
    X(camera, connect_timeout_ms,  UINT32,     "10000",    100, 600000,                            \
      "until the first picture of a camera")                                                       \
    X(camera, stall_timeout_ms,    UINT32,     "5000",     100, 600000,                            \
      "silence after which a camera is connected anew")                                            \
    X(camera, idle_timeout_ms,     UINT32,     "30000",    0, 86400000,                            \
      "stay connected after the last viewer or snapshot")                                          \
    X(camera, reconnect_window_ms, UINT32,     "60000",    0, 86400000,                            \
      "viewers wait so long for a camera that went away")                                          \
    X(camera, gop_max_bytes,       UINT64,     "33554432", 65536, 1073741824,                      \
      "frames kept since the last key frame, per camera")                                          \
    X(camera, tls_verify,          YES_NO,     "yes",      0, 0,                                      \
      "check the certificates of rtsps cameras: yes or no")                                        \
    X(viewer, queue_max_ms,        UINT32,     "3000",     100, 600000,                            \
      "a viewer behind by more skips to the next key frame")                                       \
    X(viewer, stall_timeout_ms,    UINT32,     "15000",    100, 600000,                            \
      "a viewer that takes nothing for so long is disconnected")                                   \
    X(access, cameras,             CAMERAS,    "any",      0, 0,                                   \
      "any, named, or host patterns and networks (10.0.0.0/8, *.cams.example)")                    \
    X(access, token,               SECRET,     "",         0, 64,                                  \
      "needed as ?token= or Authorization: Bearer")                                                \
    X(access, signing_key,         SECRET,     "",         0, 128,                                 \
      "then ?expires=UNIX&signature=HEX is accepted too")
/* clang-format on */

/* A [camera "name"] section. */
struct conf_camera {
    char name[IPC_CAMERA_ID_MAX]; /* letters, digits, `.`, `_`, `-` */
    struct camera_url url;
    enum ipc_transport transport;
    bool always_on; /* stay connected without viewers */
};

struct conf {
    struct {
        char bind[CONF_BIND_MAX];
        uint32_t flv_port;
        uint32_t snapshot_port;
        enum log_level log_level;
        enum log_format log_format;
        char user[CONF_NAME_MAX];
        char group[CONF_NAME_MAX];
        enum sandbox_mode sandbox;
        uint32_t spare_workers;
        uint32_t max_cameras;
        uint32_t max_viewers;
        uint32_t max_viewers_per_camera;
        uint32_t max_requests_per_minute;
    } server;
    struct {
        uint32_t connect_timeout_ms;
        uint32_t stall_timeout_ms;
        uint32_t idle_timeout_ms;
        uint32_t reconnect_window_ms;
        uint64_t gop_max_bytes;
        bool tls_verify;
    } camera;
    struct {
        uint32_t queue_max_ms;
        uint32_t stall_timeout_ms;
    } viewer;
    struct {
        char cameras[IPC_ACCESS_LIST_MAX];
        char token[CONF_SECRET_MAX];
        char signing_key[CONF_SECRET_MAX];
    } access;
    struct conf_camera *cameras; /* in the order of the file */
    size_t camera_count;
};

/* Positive results of conf_load(): print the text on stdout and exit 0. */
enum conf_result { CONF_RUN = 0, CONF_HELP = 1, CONF_VERSION = 2, CONF_CHECKED = 3 };

/**
 * Fill conf from everything that configures the program.
 *
 * @param conf  overwritten; conf_free() it in every case but a negative result.
 * @param argv  as main() got it.  Borrowed.
 * @param text  textlen bytes (CONF_TEXT_MAX): what to print when the result is not CONF_RUN,
 *              without a final newline.
 * @return enum conf_result; negative errno: the text names the file and line, variable or flag,
 *         and what is accepted there.
 */
int conf_load(struct conf *conf, int argc, char *const *argv, char *text, size_t textlen);

/** Fill in the defaults; no cameras. */
void conf_init(struct conf *conf);

/** @return the named camera, or NULL.  Borrowed from conf. */
const struct conf_camera *conf_find_camera(const struct conf *conf, const char *name);

/** @return what [access] cameras asks for; trusted is 0. */
struct ipc_access conf_access(const struct conf *conf);

void conf_free(struct conf *conf);

#endif /* MASTER_CONF_H */
