/* How to sandbox workers: the values of [server] sandbox.  Master and nursery; pure. */
#ifndef COMMON_SANDBOX_MODE_H
#define COMMON_SANDBOX_MODE_H

enum sandbox_mode {
    SANDBOX_ON,      /* use the features that the kernel has */
    SANDBOX_OFF,     /* no sandbox, for debugging */
    SANDBOX_REQUIRE, /* do not start unless the kernel has every feature */
    SANDBOX_MODE_COUNT
};

/** @param mode  filled on success.  @return 0, or -EINVAL: on, off and require are accepted. */
int sandbox_mode_parse(const char *text, enum sandbox_mode *mode);

/** @return the word that sandbox_mode_parse() accepts. */
const char *sandbox_mode_name(enum sandbox_mode mode);

#endif /* COMMON_SANDBOX_MODE_H */
