/* Tables that RFC 2435 takes as known (its appendices A and B; ITU-T T.81 annex K).  Worker; pure.
 */
#ifndef WORKER_RTP_JPEG_TABLES_H
#define WORKER_RTP_JPEG_TABLES_H

#include <stddef.h>
#include <stdint.h>

#define RTP_JPEG_HUFFMAN_COUNT 4

/* One DHT segment's contents (T.81 B.2.4.2). */
struct rtp_jpeg_huffman {
    uint8_t class_and_id; /* Tc, Th */
    uint8_t counts[16];   /* codes of each length */
    const uint8_t *symbols;
    size_t len;
};

/* Luma DC, luma AC, chroma DC, chroma AC (T.81 K.3 to K.6). */
extern const struct rtp_jpeg_huffman rtp_jpeg_huffman[RTP_JPEG_HUFFMAN_COUNT];

/** Make the quantization tables of a Q of 1..99 (section 4.2): luma, chroma, in zigzag order. */
void rtp_jpeg_make_tables(uint8_t tables[2 * 64], unsigned q);

#endif /* WORKER_RTP_JPEG_TABLES_H */
