/* Names of the cameras' codecs, by the FourCC in struct ipc_stats.  Both programs; pure. */
#ifndef COMMON_CODEC_NAME_H
#define COMMON_CODEC_NAME_H

#include <stdint.h>

/** @return the name that the API and HTTP headers use ("H.264"), NULL for an unknown FourCC. */
const char *codec_name(uint32_t fourcc);

#endif /* COMMON_CODEC_NAME_H */
