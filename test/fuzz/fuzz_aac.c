/* AAC from a camera: any configuration, any packets through the pass-through. */
#include "worker/audio/audio_passthrough.h"
#include "worker/media/aac.h"

#include <libavutil/log.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    int64_t last_us;
    unsigned sum;
};

/* audio_emit_fn */
static void take(void *ctx, struct frame *frame)
{
    struct seen *seen = ctx;
    if (frame->pts_us <= seen->last_us || frame->len == 0)
        abort();
    seen->last_us = frame->pts_us;
    for (size_t i = 0; i < frame->len; i++)
        seen->sum += frame->data[i];
    frame_unref(&frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct aac_config config = {.sample_rate = 16000, .channels = 1};
    struct audio_passthrough *pass;
    struct seen seen = {.last_us = INT64_MIN};
    int64_t pts_us = 1000000;

    av_log_set_level(AV_LOG_QUIET);
    size_t config_len = size > 0 ? data[0] & 7u : 0;
    if (size < 1 + config_len)
        return 0;
    if (aac_config_parse(data + 1, config_len, &config) != 0 || !aac_config_is_plain(&config))
        config = (struct aac_config){.sample_rate = 16000, .channels = 1};
    if (audio_passthrough_open(&pass, config.sample_rate, config.channels, take, &seen) != 0)
        return 0;
    data += 1 + config_len;
    size -= 1 + config_len;
    while (size >= 2) { /* length, step of the time stamp, packet */
        size_t len = data[0];
        pts_us += (int8_t)data[1] * 4000;
        data += 2;
        size -= 2;
        len = len < size ? len : size;
        (void)audio_passthrough_push(pass, data, len, pts_us, 0);
        data += len;
        size -= len;
    }
    audio_passthrough_close(&pass);
    return 0;
}
