/* Test help: a JPEG back to RGB, by libavcodec's decoder and plain arithmetic. */
#ifndef TEST_UNIT_READ_JPEG_H
#define TEST_UNIT_READ_JPEG_H

#include "worker/pictures/jpeg.h"

#include <libavcodec/avcodec.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* With JFIF's matrix: BT.601, full range. @return width * height * 3 bytes.  Caller owns; free().
 */
static inline uint8_t *read_jpeg(const struct jpeg *jpeg, int width, int height)
{
    const AVCodec *codec = avcodec_find_decoder(AV_CODEC_ID_MJPEG);
    AVCodecContext *dec = avcodec_alloc_context3(codec);
    AVPacket *pkt = av_packet_alloc();
    AVFrame *f = av_frame_alloc();
    assert_int_equal(avcodec_open2(dec, codec, NULL), 0);
    assert_int_equal(av_new_packet(pkt, (int)jpeg->len), 0);
    memcpy(pkt->data, jpeg->data, jpeg->len);
    assert_int_equal(avcodec_send_packet(dec, pkt), 0);
    assert_int_equal(avcodec_receive_frame(dec, f), 0);
    assert_int_equal(f->width, width);
    assert_int_equal(f->height, height);
    int shift = f->format == AV_PIX_FMT_YUVJ420P ? 1 : 0;
    assert_true(shift == 1 || f->format == AV_PIX_FMT_YUVJ444P);
    uint8_t *rgb = malloc((size_t)width * height * 3);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            double l = f->data[0][y * f->linesize[0] + x];
            double u = f->data[1][(y >> shift) * f->linesize[1] + (x >> shift)] - 128.0;
            double v = f->data[2][(y >> shift) * f->linesize[2] + (x >> shift)] - 128.0;
            double c[3] = {l + 1.402 * v, l - 0.344136 * u - 0.714136 * v, l + 1.772 * u};
            for (int i = 0; i < 3; i++)
                rgb[((size_t)y * width + x) * 3 + i] = (uint8_t)(c[i] < 0     ? 0
                                                                 : c[i] > 255 ? 255
                                                                              : c[i] + 0.5);
        }
    av_frame_free(&f);
    av_packet_free(&pkt);
    avcodec_free_context(&dec);
    return rgb;
}

#endif /* TEST_UNIT_READ_JPEG_H */
