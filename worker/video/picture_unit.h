/*
 * Makes frames of one track whose codec has no NAL units, from packets that are whole pictures.
 * Worker, the source's thread.  What access_unit is for H.264 and HEVC; see there for times.
 *
 * A picture after a loss is marked damaged, and so is each later one up to the next key frame.
 * A picture that cannot be read is left out and counts as a loss.
 */
#ifndef WORKER_PICTURE_UNIT_H
#define WORKER_PICTURE_UNIT_H

#include "worker/video/access_unit.h"

struct picture_unit;

/**
 * Make an assembler.  It emits nothing before the first key frame with a complete configuration.
 *
 * @param codec      see picture_header.h.
 * @param extradata  MPEG-4's headers, AV1CodecConfigurationRecord; or NULL.  Borrowed.
 * @param events     copied.
 * @return NULL for any other codec.  Caller owns; picture_unit_free().
 */
struct picture_unit *picture_unit_new(enum AVCodecID codec, const uint8_t *extradata,
                                      size_t extradata_len,
                                      const struct access_unit_events *events);
void picture_unit_free(struct picture_unit **unit);

/** Begin a new connection to the same camera: wait for a key frame. */
void picture_unit_restart(struct picture_unit *unit, const uint8_t *extradata,
                          size_t extradata_len);

/** Take a picture (MEDIA_RAW). @return true if it is one: a sign of life. */
bool picture_unit_push(struct picture_unit *unit, const struct media_packet *packet);

#endif /* WORKER_PICTURE_UNIT_H */
