#include "worker/flv/rtmp_path.h"

#include <stdio.h>
#include <string.h>

bool rtmp_path_needs_split(const char *path)
{
    const char *query = path + strcspn(path, "?");
    const char *slist = strstr(query, "slist=");
    if (slist != NULL) /* libavformat plays what it says, and takes mslist= for it, too */
        return slist[-1] != '?' && slist[-1] != '&';
    return strchr(query, '/') != NULL;
}

/* Recordings of Adobe's server: an application of one level, whatever follows. */
static bool is_on_demand(const char *start)
{
    static const char name[] = "ondemand/";
    return strncmp(start, name, sizeof(name) - 1) == 0;
}

/* The slash after an application of one level; NULL: there is only an application.
 *
 * @param len  of the part before the query. */
static const char *first_cut(const char *start, size_t len)
{
    const char *cut = memchr(start, '/', len);
    if (cut != NULL || len == 0)
        return cut;
    cut = strrchr(start, '/');
    return cut != NULL && cut[1] != '\0' ? cut : NULL;
}

void rtmp_path_split(const char *path, struct rtmp_path *out)
{
    const char *start = path[0] == '/' ? path + 1 : path;
    size_t len = strcspn(start, "?");
    const char *cut = first_cut(start, len);
    if (cut == NULL) {
        (void)snprintf(out->app, sizeof(out->app), "%s", start);
        out->stream[0] = '\0';
        return;
    }
    size_t left = cut < start + len ? len - (size_t)(cut + 1 - start) : 0;
    const char *second = memchr(cut + 1, '/', left);
    const char *colon = memchr(cut + 1, ':', left); /* mp4:folder/file is one name */
    if (second != NULL && (colon == NULL || colon > second) && !is_on_demand(start))
        cut = second;
    (void)snprintf(out->app, sizeof(out->app), "%.*s", (int)(cut - start), start);
    (void)snprintf(out->stream, sizeof(out->stream), "%s", cut + 1);
}
