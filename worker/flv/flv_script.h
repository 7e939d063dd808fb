/*
 * Reads which tracks an onMetaData script tag announces (Adobe FLV 10.1 E.4.4, E.5; AMF0).  Worker,
 * any thread; pure.
 */
#ifndef WORKER_FLV_SCRIPT_H
#define WORKER_FLV_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flv_script {
    bool has_video;
    bool has_audio;
};

/**
 * Read the body of a script tag.
 *
 * @param data  Borrowed.
 * @return false if it is not onMetaData, says nothing about tracks, or cannot be read.
 */
bool flv_script_read(const uint8_t *data, size_t len, struct flv_script *script);

#endif /* WORKER_FLV_SCRIPT_H */
