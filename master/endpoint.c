#include "master/endpoint.h"

#include "master/pages.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define BIT(method) (1u << (method))
#define READ (BIT(REQUEST_GET) | BIT(REQUEST_HEAD))
#define POST BIT(REQUEST_POST)
#define PUT BIT(REQUEST_PUT)
#define DELETE BIT(REQUEST_DELETE)

enum match { MATCH_IS, MATCH_PREFIX, MATCH_SUFFIX, MATCH_NAMED, MATCH_RESTART, MATCH_FILE };

struct endpoint {
    enum route_port port;
    enum match match;
    const char *path;
    enum route_kind kind;
    unsigned methods;
};

static const struct endpoint endpoints[] = {
#define X(port, match, path, kind, methods) \
    {ROUTE_PORT_##port, MATCH_##match, path, ROUTE_##kind, methods},
    ENDPOINTS(X)
#undef X
};

#define ENDPOINT_COUNT (sizeof(endpoints) / sizeof(endpoints[0]))

/* In the order in which `Allow` lists them. */
static const struct {
    enum request_method method;
    const char *name;
} methods_shown[] = {
    {REQUEST_GET, "GET"}, {REQUEST_HEAD, "HEAD"},     {REQUEST_POST, "POST"},
    {REQUEST_PUT, "PUT"}, {REQUEST_DELETE, "DELETE"}, {REQUEST_OPTIONS, "OPTIONS"},
};

static bool has_prefix(const char *path, const char *prefix)
{
    return strncmp(path, prefix, strlen(prefix)) == 0;
}

static bool has_suffix(const char *path, const char *suffix)
{
    size_t path_len = strlen(path), len = strlen(suffix);
    return path_len >= len && strcmp(path + path_len - len, suffix) == 0;
}

/* A stream may be called "restart": its ID does not count. */
static bool asks_for_restart(const struct endpoint *e, const char *path)
{
    return has_prefix(path, e->path) &&
           has_suffix(path + strlen(e->path), ROUTE_API_RESTART_SUFFIX);
}

static bool fits(const struct endpoint *e, enum route_port port, const char *path)
{
    if (e->port != port)
        return false;
    switch (e->match) {
    case MATCH_IS:
        return strcmp(path, e->path) == 0;
    case MATCH_PREFIX:
        return has_prefix(path, e->path) && !asks_for_restart(e, path);
    case MATCH_NAMED:
        return has_prefix(path, e->path);
    case MATCH_SUFFIX:
        return has_suffix(path, e->path);
    case MATCH_RESTART:
        return asks_for_restart(e, path);
    case MATCH_FILE:
        return has_prefix(path, e->path) && pages_exists(path);
    }
    return false;
}

unsigned endpoint_methods(enum route_port port, const char *path)
{
    unsigned methods = 0;
    for (size_t i = 0; i < ENDPOINT_COUNT; i++) {
        if (fits(&endpoints[i], port, path))
            methods |= endpoints[i].methods | BIT(REQUEST_OPTIONS);
    }
    return methods;
}

enum route_kind endpoint_kind(enum route_port port, const char *path, enum request_method method)
{
    size_t i = 0;
    while (i < ENDPOINT_COUNT &&
           !(fits(&endpoints[i], port, path) && (endpoints[i].methods & BIT(method)) != 0))
        i++;
    assert(i < ENDPOINT_COUNT);
    return endpoints[i].kind;
}

void endpoint_list_methods(unsigned methods, char out[ENDPOINT_METHODS_MAX])
{
    size_t n = 0;
    out[0] = '\0';
    for (size_t i = 0; i < sizeof(methods_shown) / sizeof(methods_shown[0]); i++) {
        if ((methods & BIT(methods_shown[i].method)) != 0)
            n += (size_t)snprintf(out + n, ENDPOINT_METHODS_MAX - n, "%s%s", n > 0 ? ", " : "",
                                  methods_shown[i].name);
        assert(n < ENDPOINT_METHODS_MAX);
    }
}

/* Rows that share a path are adjacent. */
static bool is_listed(size_t i, enum route_port port)
{
    const struct endpoint *e = &endpoints[i];
    return e->port == port && e->match != MATCH_FILE &&
           (i == 0 || strcmp(e->path, endpoints[i - 1].path) != 0);
}

void endpoint_list_paths(enum route_port port, char out[ENDPOINT_PATHS_MAX])
{
    size_t n = 0, left = 0;
    for (size_t i = 0; i < ENDPOINT_COUNT; i++)
        left += is_listed(i, port);
    for (size_t i = 0; i < ENDPOINT_COUNT; i++) {
        const struct endpoint *e = &endpoints[i];
        if (!is_listed(i, port))
            continue;
        left--;
        n += (size_t)snprintf(out + n, ENDPOINT_PATHS_MAX - n, "%s%s%s%s",
                              e->match == MATCH_SUFFIX ? "*" : "", e->path,
                              e->match == MATCH_PREFIX  ? "ID"
                              : e->match == MATCH_NAMED ? "NAME"
                                                        : "",
                              left == 0   ? ""
                              : left == 1 ? " and "
                                          : ", ");
        assert(n < ENDPOINT_PATHS_MAX);
    }
}
