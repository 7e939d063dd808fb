/*
 * What a snapshot costs at least: libavcodec decodes the frames of a file, libjpeg-turbo encodes
 * the pictures from their planes, and nothing else.  Prints CPU milliseconds.
 *
 *   snapshot_reference FILE QUALITY       -> key_ms frame_ms encode_ms
 *
 * key_ms: decode a key frame by itself; frame_ms: decode one frame of all; encode_ms: one JPEG.
 */
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <turbojpeg.h>

static double cpu_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static void fail(const char *what)
{
    fprintf(stderr, "snapshot_reference: %s\n", what);
    exit(1);
}

static void encode(tjhandle tj, const AVFrame *f, int quality)
{
    const unsigned char *planes[3] = {f->data[0], f->data[1], f->data[2]};
    unsigned char *out = NULL;
    unsigned long len = 0;
    if (tjCompressFromYUVPlanes(tj, planes, f->width, f->linesize, f->height, TJSAMP_420, &out,
                                &len, quality, TJFLAG_ACCURATEDCT) != 0)
        fail(tjGetErrorStr2(tj));
    tjFree(out);
}

/* @return CPU time of decoding; *pictures, *encode_ms. */
static double run(const char *file, int quality, int keys_only, int *pictures, double *encode_ms)
{
    AVFormatContext *in = NULL;
    if (avformat_open_input(&in, file, NULL, NULL) < 0 || avformat_find_stream_info(in, NULL) < 0)
        fail("cannot read the file");
    int video = av_find_best_stream(in, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    const AVCodec *codec = avcodec_find_decoder(in->streams[video]->codecpar->codec_id);
    AVCodecContext *dec = avcodec_alloc_context3(codec);
    avcodec_parameters_to_context(dec, in->streams[video]->codecpar);
    dec->thread_count = 1;
    if (avcodec_open2(dec, codec, NULL) < 0)
        fail("no decoder");
    tjhandle tj = tjInitCompress();
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    double decode_ms = 0;
    *pictures = 0;
    *encode_ms = 0;
    while (av_read_frame(in, packet) >= 0) {
        if (packet->stream_index == video &&
            (!keys_only || (packet->flags & AV_PKT_FLAG_KEY) != 0)) {
            double t = cpu_ms();
            avcodec_send_packet(dec, packet);
            if (keys_only)
                avcodec_send_packet(dec, NULL);
            while (avcodec_receive_frame(dec, frame) >= 0) {
                ++*pictures;
                decode_ms += cpu_ms() - t;
                t = cpu_ms();
                if (*pictures % 10 == 1)
                    encode(tj, frame, quality);
                *encode_ms += cpu_ms() - t;
                t = cpu_ms();
            }
            decode_ms += cpu_ms() - t;
            if (keys_only)
                avcodec_flush_buffers(dec);
        }
        av_packet_unref(packet);
    }
    *encode_ms /= (*pictures + 9) / 10;
    av_frame_free(&frame);
    av_packet_free(&packet);
    tjDestroy(tj);
    avcodec_free_context(&dec);
    avformat_close_input(&in);
    return decode_ms;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        fail("FILE QUALITY");
    int keys, frames;
    double encode_ms;
    double key_ms = run(argv[1], atoi(argv[2]), 1, &keys, &encode_ms);
    double frame_ms = run(argv[1], atoi(argv[2]), 0, &frames, &encode_ms);
    printf("%.3f %.3f %.3f\n", key_ms / keys, frame_ms / frames, encode_ms);
    return 0;
}
