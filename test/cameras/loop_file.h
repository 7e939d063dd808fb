#ifndef TEST_CAMERAS_LOOP_FILE_H
#define TEST_CAMERAS_LOOP_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One frame of a loop: an access unit with 4-byte NAL unit lengths, or one audio frame. */
struct loop_frame {
    const uint8_t *data; /* points into the mapped file */
    size_t bytes;
    int64_t pts; /* in 1/timescale s from the start of the loop */
    bool key;
};

/* A loop file (format: head of loops.py), mapped and indexed; immutable after loop_file_open(). */
struct loop_file {
    char codec[8]; /* H264 H265 AAC G711A G711U G722 G726 OPUS */
    int64_t timescale;
    int64_t duration;    /* in 1/timescale s */
    uint8_t config[512]; /* avcC, hvcC or AudioSpecificConfig */
    size_t config_bytes;
    struct loop_frame *frames; /* in decoding order */
    size_t frame_count;
};

/**
 * Map and index a loop file.  It stays mapped until the process ends.
 *
 * @param path  Borrowed.
 * @param loop  filled on success.  Caller owns.
 * @return 0; -ENOENT: no such file; -EINVAL: not a loop file; other negative errno.
 */
int loop_file_open(const char *path, struct loop_file *loop);

#endif
