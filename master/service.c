#include "master/service.h"

#include "common/clock.h"
#include "common/fd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

static void on_watchdog(uv_timer_t *timer)
{
    struct service *service = timer->data;
    notifier_tell_now(&service->notifier, "WATCHDOG=1");
}

int service_open(struct service *service, uv_loop_t *loop)
{
    service->sockets[ROUTE_PORT_STREAM] = service->sockets[ROUTE_PORT_SNAPSHOT] = -1;
    notifier_open(&service->notifier, loop);
    (void)uv_timer_init(loop, &service->watchdog);
    service->watchdog.data = service;
    uv_unref((uv_handle_t *)&service->watchdog);
    uint64_t limit_us;
    if (sd_watchdog_enabled(0, &limit_us) > 0) {
        uint64_t period_ms = limit_us / 2000; /* half of it: sd_watchdog_enabled(3) */
        (void)uv_timer_start(&service->watchdog, on_watchdog, 0, period_ms > 0 ? period_ms : 1);
    }
    int count = sd_listen_fds(1);
    if (count <= 0)
        return count;
    if (count != 2)
        return -EINVAL;
    for (int i = 0; i < count; i++) {
        if (sd_is_socket(SD_LISTEN_FDS_START + i, AF_UNSPEC, SOCK_STREAM, -1) <= 0)
            return -EINVAL;
    }
    service->sockets[ROUTE_PORT_STREAM] = SD_LISTEN_FDS_START;
    service->sockets[ROUTE_PORT_SNAPSHOT] = SD_LISTEN_FDS_START + 1;
    return 0;
}

int service_take_socket(struct service *service, enum route_port kind)
{
    return fd_take(&service->sockets[kind]);
}

void service_notify_ready(struct service *service)
{
    notifier_tell(&service->notifier, "READY=1");
}

void service_notify_reloading(struct service *service)
{
    char text[NOTIFIER_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_us());
    notifier_tell(&service->notifier, text);
}

void service_notify_stopping(struct service *service)
{
    notifier_tell(&service->notifier, "STOPPING=1");
}

void service_notify_status(struct service *service, const char *status)
{
    char text[NOTIFIER_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "STATUS=%s", status);
    notifier_tell(&service->notifier, text);
}

void service_close(struct service *service)
{
    fd_close(&service->sockets[ROUTE_PORT_STREAM]);
    fd_close(&service->sockets[ROUTE_PORT_SNAPSHOT]);
    notifier_close(&service->notifier);
    uv_close((uv_handle_t *)&service->watchdog, NULL);
}
