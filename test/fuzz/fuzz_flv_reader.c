/*
 * Any bytes as an FLV stream, in chunks; what comes out goes through access units or whole
 * pictures, as in a worker.  The first byte says how long the chunks are.
 */
#include "worker/flv/flv_reader.h"
#include "worker/video/access_unit.h"
#include "worker/video/picture_unit.h"

#include <assert.h>
#include <libavcodec/avcodec.h>
#include <libavutil/log.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sums {
    struct access_unit *video;     /* H.264 and HEVC; */
    struct picture_unit *pictures; /* ... other codecs */
    unsigned sum;                  /* so that every byte handed over is read */
};

static void on_frame(void *ctx, struct frame *frame, int64_t pts, int64_t dts)
{
    struct sums *s = ctx;
    assert(s->pictures != NULL || (frame->config->record_len > 0 && frame->config->width > 0));
    for (size_t i = 0; i < frame->len; i++)
        s->sum += frame->data[i];
    frame_unref(&frame);
}

static void free_video(struct sums *s)
{
    access_unit_free(&s->video);
    picture_unit_free(&s->pictures);
}

static int on_tracks(void *ctx, const struct media_track *video, const struct media_track *audio)
{
    struct sums *s = ctx;
    const struct access_unit_events events = {on_frame, s};
    size_t len = (size_t)video->par->extradata_size;
    free_video(s);
    s->video = access_unit_new(video->par->codec_id, video->par->extradata, len, &events);
    if (s->video == NULL)
        s->pictures = picture_unit_new(video->par->codec_id, video->par->extradata, len, &events);
    assert(s->video != NULL || s->pictures != NULL);
    assert(audio == NULL || audio->par->ch_layout.nb_channels > 0);
    assert(audio == NULL || audio->par->sample_rate > 0);
    return 0;
}

static void on_audio(void *ctx, const struct media_track *audio)
{
    (void)ctx;
    assert(audio->par->ch_layout.nb_channels > 0 && audio->par->sample_rate > 0);
}

static void on_no_audio(void *ctx, enum ipc_no_audio why)
{
    (void)ctx;
    assert(why != IPC_NO_AUDIO_NONE && why < IPC_NO_AUDIO_COUNT);
}

static bool on_packet(void *ctx, const struct media_packet *packet)
{
    struct sums *s = ctx;
    for (size_t i = 0; i < packet->len; i++)
        s->sum += packet->data[i];
    if (packet->track != TRACK_VIDEO)
        return false;
    return s->video != NULL ? access_unit_push(s->video, packet)
                            : picture_unit_push(s->pictures, packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sums sums = {.video = NULL};
    const struct media_sink sink = {.on_tracks = on_tracks,
                                    .on_audio = on_audio,
                                    .on_no_audio = on_no_audio,
                                    .on_packet = on_packet,
                                    .ctx = &sums};
    bool alive = false;
    if (size < 1)
        return 0;
    av_log_set_level(AV_LOG_QUIET);

    size_t chunk = data[0] * 16u + 1u;
    struct flv_reader *reader = flv_reader_new(&sink);
    int rc = 0;
    for (size_t pos = 1; pos < size && rc == 0; pos += chunk)
        rc = flv_reader_push(reader, data + pos, size - pos < chunk ? size - pos : chunk,
                             (int64_t)pos * 100, &alive);
    if (rc == 0)
        (void)flv_reader_finish(reader, &alive);
    flv_reader_free(&reader);
    free_video(&sums);
    return 0;
}
