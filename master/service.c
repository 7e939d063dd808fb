#include "master/service.h"

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#define KEPT_NAME "takeover-"
#define NAMELESS "stored" /* systemd's name for what it keeps without one */

static void on_watchdog(uv_timer_t *timer)
{
    struct service *service = timer->data;
    notifier_tell_now(&service->notifier, "WATCHDOG=1");
}

static bool finds_store(const struct service *service)
{
    const char *text = getenv(SERVICE_STORE_VARIABLE);
    if (text == NULL || strcmp(text, "0") == 0 || service->notifier.fd == -1)
        return false;
    char *end;
    errno = 0;
    unsigned long max = strtoul(text, &end, 10);
    if (isdigit((unsigned char)text[0]) && *end == '\0' && errno == 0 && max >= SERVICE_STORE_MIN)
        return true;
    log_warnx(NULL,
              SERVICE_STORE_VARIABLE " is \"%s\": a restart disconnects viewers; it has to be a "
                                     "number of at least %d, and the unit's "
                                     "FileDescriptorStoreMax= too",
              text, SERVICE_STORE_MIN);
    return false;
}

/* --- the descriptors that systemd hands over ---------------------------------- */

static void drop(struct service *service, const char *name)
{
    char text[NOTIFIER_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
    notifier_tell(&service->notifier, text);
}

/* @return false: it is not one that service_keep() makes. */
static bool read_kept_name(const char *name, uint64_t *number)
{
    size_t len = strlen(KEPT_NAME);
    char *end;
    if (strncmp(name, KEPT_NAME, len) != 0 || !isdigit((unsigned char)name[len]))
        return false;
    errno = 0;
    *number = strtoull(name + len, &end, 10);
    return *end == '\0' && errno == 0;
}

static void take_kept(struct service *service, int fd, uint64_t number)
{
    if (service->kept_count < SERVICE_KEPT_MAX)
        service->kept[service->kept_count++] = (struct service_kept){fd, number};
    else
        fd_close(&fd);
}

/* Nothing of ours. */
static void refuse_nameless(struct service *service, int fd)
{
    log_warnx(NULL, "systemd keeps a descriptor without a name for this service, which is not one "
                    "of ours: it is closed");
    fd_close(&fd);
    drop(service, NAMELESS);
}

/* Our ports are all that is left when the kept ones are taken. @return 0 or -EINVAL. */
static int take_named(struct service *service, int count, char *const *names)
{
    int sockets[2] = {-1, -1};
    int found = 0;
    for (int i = 0; i < count; i++) {
        int fd = SD_LISTEN_FDS_START + i;
        uint64_t number;
        if (read_kept_name(names[i], &number))
            take_kept(service, fd, number);
        else if (strcmp(names[i], NAMELESS) == 0)
            refuse_nameless(service, fd);
        else if (found < 2 && sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, -1) > 0)
            sockets[found++] = fd;
        else
            return -EINVAL;
    }
    if (found == 1)
        return -EINVAL;
    service->sockets[ROUTE_PORT_STREAM] = sockets[0];
    service->sockets[ROUTE_PORT_SNAPSHOT] = sockets[1];
    return 0;
}

static int take_descriptors(struct service *service)
{
    char **names = NULL;
    int count = sd_listen_fds_with_names(1, &names);
    int rc = count > 0 ? take_named(service, count, names) : count;
    for (int i = 0; i < count; i++)
        free(names[i]);
    free(names);
    return rc;
}

int service_open(struct service *service, uv_loop_t *loop)
{
    service->sockets[ROUTE_PORT_STREAM] = service->sockets[ROUTE_PORT_SNAPSHOT] = -1;
    service->kept_count = 0;
    service->watchdog_ms = 0;
    notifier_open(&service->notifier, loop);
    service->has_store = finds_store(service);
    (void)uv_timer_init(loop, &service->watchdog);
    service->watchdog.data = service;
    uv_unref((uv_handle_t *)&service->watchdog);
    uint64_t limit_us;
    if (sd_watchdog_enabled(0, &limit_us) > 0) {
        uint64_t period_ms = limit_us / 2000; /* half of it: sd_watchdog_enabled(3) */
        service->watchdog_ms = (int64_t)(limit_us / 1000);
        (void)uv_timer_start(&service->watchdog, on_watchdog, 0, period_ms > 0 ? period_ms : 1);
    }
    return take_descriptors(service);
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

/* --- what systemd keeps ------------------------------------------------------ */

bool service_has_store(const struct service *service)
{
    return service->has_store;
}

int service_keep(struct service *service, uint64_t number, int fd)
{
    char text[NOTIFIER_TEXT_MAX];
    (void)snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=" KEPT_NAME "%" PRIu64, number);
    return notifier_send(&service->notifier, text, fd);
}

void service_drop(struct service *service, uint64_t number)
{
    char name[sizeof(KEPT_NAME) + 20];
    (void)snprintf(name, sizeof(name), KEPT_NAME "%" PRIu64, number);
    drop(service, name);
}

int service_kept(const struct service *service, size_t i, uint64_t *number)
{
    if (i >= service->kept_count)
        return -1;
    *number = service->kept[i].number;
    return service->kept[i].fd;
}

int service_take_kept(struct service *service, uint64_t *number)
{
    if (service->kept_count == 0)
        return -1;
    int fd = service_kept(service, service->kept_count - 1, number);
    service->kept_count--;
    return fd;
}

void service_close(struct service *service)
{
    while (service->kept_count > 0)
        fd_close(&service->kept[--service->kept_count].fd);
    fd_close(&service->sockets[ROUTE_PORT_STREAM]);
    fd_close(&service->sockets[ROUTE_PORT_SNAPSHOT]);
    notifier_close(&service->notifier);
    uv_close((uv_handle_t *)&service->watchdog, NULL);
}
