/* Names of the cameras' video codecs.  Worker, any thread; pure. */
#ifndef WORKER_VIDEO_CODEC_H
#define WORKER_VIDEO_CODEC_H

#include <libavcodec/codec_id.h>
#include <stdint.h>

/** As the API and the X-Snapshot-Codec header say it: "H.264"; "other" for a codec that no camera
 * of ours has. */
const char *video_codec_name(enum AVCodecID codec);

/** The FourCC of struct ipc_stats: 'avc1' for H.264; 0 for a codec that no camera of ours has. */
uint32_t video_codec_fourcc(enum AVCodecID codec);

#endif /* WORKER_VIDEO_CODEC_H */
