#include "master/camera_settings.h"

static struct ipc_limits limits_of(const struct conf *conf)
{
    return (struct ipc_limits){
        .gop_max_bytes = conf->camera.gop_max_bytes,
        .connect_timeout_ms = conf->camera.connect_timeout_ms,
        .stall_timeout_ms = conf->camera.stall_timeout_ms,
        .idle_timeout_ms = conf->camera.idle_timeout_ms,
        .reconnect_window_ms = conf->camera.reconnect_window_ms,
        .queue_max_ms = conf->viewer.queue_max_ms,
        .viewer_stall_timeout_ms = conf->viewer.stall_timeout_ms,
        .transcode = (uint32_t)conf->camera.transcode,
    };
}

/* The operator's own cameras may be anywhere.  A list holds for those that requests have saved. */
static bool is_trusted(const struct conf *conf, const struct conf_camera *configured)
{
    return configured != NULL &&
           !(configured->saved && conf->access.cameras.mode == IPC_ACCESS_LIST);
}

struct ipc_settings camera_settings(const struct camera *cam, const struct conf *conf,
                                    const struct camera_set *set)
{
    struct ipc_settings settings = {
        .limits = limits_of(conf),
        .access = conf->access.cameras,
        .always_on = cam->always_on,
        .tls_insecure = !conf->camera.tls_verify,
        .log_level = (uint32_t)conf->server.log_level,
    };
    for (int i = 0; i < IPC_TRANSPORT_COUNT && settings.access.trusted == 0; i++)
        settings.access.trusted =
            is_trusted(conf, camera_set_configured(set, cam->key, (enum ipc_transport)i));
    return settings;
}
