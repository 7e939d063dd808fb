/* The page's files, as scripts/embed-web puts them into the program.  Master; constant. */
#ifndef MASTER_WEB_ASSETS_H
#define MASTER_WEB_ASSETS_H

#include <stddef.h>

struct web_asset {
    const char *path; /* as requested: "/", "/play", "/assets/…" */
    const char *type; /* Content-Type */
    const char *etag; /* with quotes; weak, the same for both forms */
    const unsigned char *data;
    size_t len;
    const unsigned char *gzip; /* RFC 1952 */
    size_t gzip_len;
};

extern const struct web_asset web_assets[];
extern const size_t web_asset_count;

#endif /* MASTER_WEB_ASSETS_H */
