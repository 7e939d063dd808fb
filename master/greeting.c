#include "master/greeting.h"

#include "common/log.h"
#include "common/version.h"
#include "master/address.h"
#include "master/camera_file.h"
#include "master/conf_advice.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

void greeting_log_program(const struct conf *conf)
{
    log_info(NULL, "cam-httpflv %s, configuration: %s, named cameras: %zu", CAM_HTTPFLV_VERSION,
             conf->file.path != NULL ? conf->file.path : "no file", conf->camera_count);
}

void greeting_log_advice(const struct conf *conf)
{
    char buf[CONF_ADVICE_MAX] = "";
    struct conf_text text = {.buf = buf, .size = sizeof(buf)};
    if (conf_advise_file(conf, &text))
        log_warnx(NULL, "%s", buf);
    conf_text_cut(&text, 0);
    if (conf_advise_saved(conf, &text))
        log_warnx(NULL, "%s", buf);
}

void greeting_log_folder(const struct conf *conf)
{
    int rc = conf->access.manage ? camera_file_check(conf->access.manage_file) : 0;
    if (rc != 0)
        log_warnx(NULL, "no camera can be saved in the folder of %s: %s", conf->access.manage_file,
                  strerror(-rc));
}

/* --- the address ---------------------------------------------------------- */

static in_port_t port_of(const struct sockaddr *address)
{
    return address->sa_family == AF_INET6
               ? ((const struct sockaddr_in6 *)(const void *)address)->sin6_port
               : ((const struct sockaddr_in *)(const void *)address)->sin_port;
}

static bool is_any(const struct sockaddr *address)
{
    if (address->sa_family == AF_INET6)
        return IN6_IS_ADDR_UNSPECIFIED(
            &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
    return ((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr == INADDR_ANY;
}

void greeting_format_url(const struct sockaddr *listening, const struct sockaddr *outside,
                         char *out)
{
    char place[IPC_PEER_MAX];
    struct sockaddr_storage shown = {0};
    const struct sockaddr *from = is_any(listening) ? outside : listening;
    if (from->sa_family == AF_INET6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&shown;
        memcpy(in6, from, sizeof(*in6));
        in6->sin6_port = port_of(listening);
    } else {
        struct sockaddr_in *in = (struct sockaddr_in *)&shown;
        memcpy(in, from, sizeof(*in));
        in->sin_port = port_of(listening);
    }
    address_format((const struct sockaddr *)&shown, place);
    size_t len = strlen(place);
    if (ntohs(port_of(listening)) == 80)
        len -= strlen(":80");
    (void)snprintf(out, IPC_PEER_MAX, "http://%.*s/", (int)len, place);
}

/* An address at which others reach this machine, preferably IPv4; loopback if there is none. */
static void find_outside(struct sockaddr_storage *out)
{
    uv_interface_address_t *all = NULL;
    int count = 0;
    struct sockaddr_in loopback = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    memcpy(out, &loopback, sizeof(loopback));
    if (uv_interface_addresses(&all, &count) != 0)
        return;
    bool found = false;
    for (int i = 0; i < count; i++) {
        bool ipv4 = all[i].address.address4.sin_family == AF_INET;
        if (all[i].is_internal || (found && !ipv4) ||
            (!ipv4 && IN6_IS_ADDR_LINKLOCAL(&all[i].address.address6.sin6_addr)))
            continue;
        memcpy(out, &all[i].address, sizeof(all[i].address));
        found = true;
        if (ipv4)
            break;
    }
    uv_free_interface_addresses(all, count);
}

static void log_access(const struct conf *conf, const struct sockaddr *streams)
{
    char bind[INET6_ADDRSTRLEN] = "";
    char buf[CONF_ADVICE_MAX] = "";
    struct conf_text text = {.buf = buf, .size = sizeof(buf)};
    const void *ip =
        streams->sa_family == AF_INET6
            ? (const void *)&((const struct sockaddr_in6 *)(const void *)streams)->sin6_addr
            : &((const struct sockaddr_in *)(const void *)streams)->sin_addr;
    (void)inet_ntop(streams->sa_family, ip, bind, sizeof(bind));
    if (conf_advise_access(conf, bind, &text))
        log_warnx(NULL, "%s", buf);
}

void greeting_log_address(const struct conf *conf, const struct sockaddr *streams,
                          const struct sockaddr *snapshots)
{
    char url[IPC_PEER_MAX];
    char port[32] = "on the other Unix socket";
    struct sockaddr_storage outside;
    if (streams->sa_family != AF_INET && streams->sa_family != AF_INET6)
        return; /* a proxy's business */
    find_outside(&outside);
    greeting_format_url(streams, (const struct sockaddr *)&outside, url);
    if (snapshots->sa_family == AF_INET || snapshots->sa_family == AF_INET6)
        (void)snprintf(port, sizeof(port), "on port %u", ntohs(port_of(snapshots)));
    log_info(NULL, "open %s in a browser; snapshots, API and metrics are %s", url, port);
    log_access(conf, streams);
}
