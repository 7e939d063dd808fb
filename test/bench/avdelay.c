/*
 * avdelay: libavformat's own RTSP client (TCP) in front of a camera that stamps its frames
 * (stamp.h): the reference for flvdelay.  No stream probing: what is compared is the client.
 *
 *   avdelay URL SKIP FRAMES
 *
 * Prints `start US`, from before the connection to the first key frame, then `delay US` for each
 * frame: from its sending to av_read_frame() giving it out.
 */
#include "stamp.h"

#include <libavformat/avformat.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    AVFormatContext *fmt = NULL;
    AVDictionary *opts = NULL;
    AVPacket *pkt = av_packet_alloc();
    int64_t first_key_us = 0;
    long frames = 0;
    if (argc != 4 || pkt == NULL)
        return 2;
    long skip = atol(argv[2]), wanted = atol(argv[3]);
    int64_t *delays_us = calloc((size_t)wanted + 1, sizeof(*delays_us));

    av_log_set_level(AV_LOG_FATAL);
    av_dict_set(&opts, "rtsp_transport", "tcp", 0);
    av_dict_set(&opts, "fflags", "nobuffer", 0);
    int64_t begun_us = stamp_now_us();
    if (avformat_open_input(&fmt, argv[1], NULL, &opts) < 0)
        return 1;
    av_dict_free(&opts);
    while ((frames < skip + wanted || first_key_us == 0) && av_read_frame(fmt, pkt) >= 0) {
        int64_t now_us = stamp_now_us();
        if (fmt->streams[pkt->stream_index]->codecpar->codec_type == AVMEDIA_TYPE_VIDEO) {
            size_t len = pkt->size < STAMP_WITHIN ? (size_t)pkt->size : STAMP_WITHIN;
            int64_t sent_us = stamp_read(pkt->data, len);
            if (first_key_us == 0 && (pkt->flags & AV_PKT_FLAG_KEY) != 0)
                first_key_us = now_us;
            if (sent_us != 0 && ++frames > skip && frames <= skip + wanted)
                delays_us[frames - skip - 1] = now_us - sent_us;
        }
        av_packet_unref(pkt);
    }
    avformat_close_input(&fmt);
    av_packet_free(&pkt);
    if (frames < skip + wanted)
        return 1;
    printf("start %lld\n", (long long)(first_key_us - begun_us));
    for (long i = 0; i < wanted; i++)
        printf("delay %lld\n", (long long)delays_us[i]);
    return 0;
}
