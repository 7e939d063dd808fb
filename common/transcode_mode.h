/* When to transcode HEVC to H.264: the values of [camera] transcode.  Master and worker; pure. */
#ifndef COMMON_TRANSCODE_MODE_H
#define COMMON_TRANSCODE_MODE_H

enum transcode_mode {
    TRANSCODE_AUTO,  /* for requests with allow_h265=false, and for players known to need it */
    TRANSCODE_ASKED, /* for requests with allow_h265=false alone */
    TRANSCODE_NEVER,
    TRANSCODE_MODE_COUNT
};

/** @param mode  filled on success.  @return 0, or -EINVAL: auto, asked and never are accepted. */
int transcode_mode_parse(const char *text, enum transcode_mode *mode);

/** @return the word that transcode_mode_parse() accepts. */
const char *transcode_mode_name(enum transcode_mode mode);

#endif /* COMMON_TRANSCODE_MODE_H */
