/*
 * RTP of any kind through receiver, repair of fragments and libavformat's depacketizers.
 *
 * Input: a byte that picks the codec, a byte of flags, then packets: 2 bytes length, then the
 * packet; a packet of length 0 lets the next deadline pass.
 */
#include "worker/rtp/rtp_depacketize.h"
#include "worker/rtp/rtp_receive.h"

#include <assert.h>
#include <libavcodec/defs.h>
#include <libavutil/log.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const descriptions[] = {
    "m=video 0 RTP/AVP 96 97\na=rtpmap:96 H264/90000\na=fmtp:96 packetization-mode=1\n"
    "a=rtpmap:97 rtx/90000\n",
    "m=video 0 RTP/AVP 96\na=rtpmap:96 H265/90000\n",
    "m=audio 0 RTP/AVP 97\na=rtpmap:97 MPEG4-GENERIC/16000/1\na=fmtp:97 streamtype=5;mode=AAC-hbr;"
    "config=1408;SizeLength=13;IndexLength=3;IndexDeltaLength=3\n",
    "m=audio 0 RTP/AVP 97\na=rtpmap:97 MP4A-LATM/16000/1\na=fmtp:97 "
    "cpresent=0;config=400028103fc0\n",
    "m=audio 0 RTP/AVP 8\n",
    "m=audio 0 RTP/AVP 97\na=rtpmap:97 opus/48000/2\n",
    "m=audio 0 RTP/AVP 97\na=rtpmap:97 G726-32/8000\n",
    "m=video 0 RTP/AVP 26\na=framesize:26 64-48\n",
    "m=video 0 RTP/AVP 96\na=rtpmap:96 MP4V-ES/90000\na=fmtp:96 config=000001B001\n",
    "m=video 0 RTP/AVP 96\na=rtpmap:96 H263-1998/90000\n",
    "m=video 0 RTP/AVP 34\n",
    "m=video 0 RTP/AVP 96\na=rtpmap:96 VP8/90000\n",
    "m=video 0 RTP/AVP 96\na=rtpmap:96 VP9/90000\n",
    "m=video 0 RTP/AVP 96\na=rtpmap:96 AV1/90000\n",
    "m=audio 0 RTP/AVP 97\na=rtpmap:97 MP4A-LATM/16000/1\na=fmtp:97 cpresent=1\n",
    "m=video 0 RTP/AVP 96 98 99\na=rtpmap:96 H264/90000\na=rtpmap:98 red/90000\n"
    "a=rtpmap:99 ulpfec/90000\n",
};

struct fuzz {
    struct rtp_depacketizer *depacketizer;
    size_t in;
    size_t out;
};

static void on_media(void *ctx, const struct media_packet *packet)
{
    struct fuzz *f = ctx;
    f->out += packet->len;
    /* Every byte, padding too: the sanitizer looks. */
    volatile uint8_t sum = 0;
    for (size_t i = 0; i < packet->len + AV_INPUT_BUFFER_PADDING_SIZE; i++)
        sum ^= packet->data[i];
    (void)sum;
}

static void on_packet(void *ctx, const struct rtp_packet *packet, bool lost_before,
                      int64_t received_us)
{
    struct fuzz *f = ctx;
    f->in += packet->payload_len;
    rtp_depacketizer_push(f->depacketizer, packet, lost_before, packet->timestamp, received_us);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    av_log_set_level(AV_LOG_QUIET);
    struct fuzz f = {.in = 0};
    const char *text = descriptions[data[0] % (sizeof(descriptions) / sizeof(descriptions[0]))];
    struct sdp *sdp = calloc(1, sizeof(*sdp));
    sdp_parse(sdp, text, strlen(text));
    assert(sdp->track_count == 1);
    int rc = rtp_depacketizer_open(&sdp->tracks[0], on_media, &f, &f.depacketizer);
    assert(rc == 0);
    struct rtp_receiver *r =
        rtp_receiver_new(data[1] & 1, 90000, &sdp->tracks[0].types, on_packet, &f);
    free(sdp);
    int64_t now_us = 1000;
    for (size_t at = 2; at + 2 <= size;) {
        size_t len = (size_t)data[at] << 8 | data[at + 1];
        at += 2;
        len = len < size - at ? len : size - at;
        if (len == 0 && rtp_receiver_deadline(r) != INT64_MAX) {
            now_us = rtp_receiver_deadline(r);
            rtp_receiver_timeout(r, now_us);
            assert(rtp_receiver_deadline(r) > now_us);
        }
        rtp_receiver_packet(r, data + at, len, now_us);
        at += len;
    }
    rtp_receiver_free(&r);
    rtp_depacketizer_free(&f.depacketizer);
    return 0;
}
