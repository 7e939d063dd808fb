/* How workers are shut in, as [server] sandbox says it.  Master and nursery; pure. */
#ifndef COMMON_SANDBOX_MODE_H
#define COMMON_SANDBOX_MODE_H

enum sandbox_mode {
    SANDBOX_ON,      /* with what the kernel has */
    SANDBOX_OFF,     /* for debugging */
    SANDBOX_REQUIRE, /* with all of it, or nothing runs */
    SANDBOX_MODE_COUNT
};

/** @param mode  filled on success.  @return 0, or -EINVAL: on, off and require are accepted. */
int sandbox_mode_parse(const char *text, enum sandbox_mode *mode);

/** @return what sandbox_mode_parse() takes. */
const char *sandbox_mode_name(enum sandbox_mode mode);

#endif /* COMMON_SANDBOX_MODE_H */
