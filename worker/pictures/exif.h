/*
 * Writes a JPEG's EXIF segment, which tells when the picture was taken: JEITA CP-3451 (Exif 2.32),
 * sections 4.5 to 4.7.  Worker, any thread; pure.
 */
#ifndef WORKER_EXIF_H
#define WORKER_EXIF_H

#include <stddef.h>
#include <stdint.h>

#define EXIF_BYTES 128 /* at most this many are written */

/**
 * Write an APP1 segment with DateTimeOriginal, SubSecTimeOriginal (milliseconds) and
 * OffsetTimeOriginal, all in UTC.  The segment belongs right after SOI.
 *
 * @param taken_us  UNIX time, from 1970 to 9999.
 * @return bytes written; 0: taken_us is out of range.
 */
size_t exif_write(uint8_t segment[EXIF_BYTES], int64_t taken_us);

#endif /* WORKER_EXIF_H */
