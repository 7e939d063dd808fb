/*
 * Every codec in, AAC-LC out: configuration, tone, noise, place in time; and what happens with
 * packets and parameters that are broken.  AUDIO_VERBOSE=1 prints what is measured.
 */
#include "common/log.h"
#include "test/unit/audio_tools.h"
#include "worker/media/aac.h"

#include <libavformat/avformat.h>
#include <libavutil/log.h>
#include <stdio.h>

static int warnings;

__attribute__((format(printf, 3, 0))) static void count_warnings(void *avcl, int level,
                                                                 const char *fmt, va_list args)
{
    if (level > AV_LOG_WARNING)
        return;
    warnings++;
    vfprintf(stderr, fmt, args);
}

static bool verbose(void)
{
    return getenv("AUDIO_VERBOSE") != NULL;
}

struct codec_case {
    const char *name;
    struct camera_audio camera;
    int out_rate;
    double snr_db; /* at least: what the camera's codec leaves of the tone */
    bool adts;     /* the camera puts ADTS headers before its frames */
};

/* clang-format off */
#define CODEC(label, encoder_name, rate, channel_count, bits, code, to, snr, headers)           \
    {.name = (label), .out_rate = (to), .snr_db = (snr), .adts = (headers),                     \
     .camera = {.encoder = (encoder_name), .sample_rate = (rate), .channels = (channel_count),  \
                .bit_rate = (bits), .code_size = (code)}}

static const struct codec_case codec_cases[] = {
    CODEC("G.711 A-law", "pcm_alaw", 8000, 1, 0, 0, 48000, 33, false),
    CODEC("G.711 u-law", "pcm_mulaw", 8000, 1, 0, 0, 48000, 33, false),
    CODEC("G.711 A-law stereo", "pcm_alaw", 8000, 2, 0, 0, 48000, 33, false),
    CODEC("G.711 A-law 16 kHz", "pcm_alaw", 16000, 1, 0, 0, 48000, 33, false),
    CODEC("G.711 A-law 48 kHz", "pcm_alaw", 48000, 1, 0, 0, 48000, 33, false),
    CODEC("G.722", "g722", 16000, 1, 64000, 0, 48000, 33, false),
    CODEC("G.726 16 kbit/s", "g726", 8000, 1, 16000, 2, 48000, 8, false),
    CODEC("G.726 24 kbit/s", "g726", 8000, 1, 24000, 3, 48000, 15, false),
    CODEC("G.726 32 kbit/s", "g726", 8000, 1, 32000, 4, 48000, 20, false),
    CODEC("G.726 40 kbit/s", "g726", 8000, 1, 40000, 5, 48000, 25, false),
    CODEC("G.726LE 16 kbit/s", "g726le", 8000, 1, 16000, 2, 48000, 8, false),
    CODEC("G.726LE 24 kbit/s", "g726le", 8000, 1, 24000, 3, 48000, 15, false),
    CODEC("G.726LE 32 kbit/s", "g726le", 8000, 1, 32000, 4, 48000, 20, false),
    CODEC("G.726LE 40 kbit/s", "g726le", 8000, 1, 40000, 5, 48000, 25, false),
    CODEC("Opus", "libopus", 48000, 1, 32000, 0, 48000, 20, false),
    CODEC("Opus stereo", "libopus", 48000, 2, 64000, 0, 48000, 20, false),
    CODEC("MP2", "mp2", 48000, 2, 128000, 0, 48000, 25, false),
    CODEC("MP2 mono", "mp2", 16000, 1, 64000, 0, 48000, 30, false),
    CODEC("MP3", "libmp3lame", 44100, 2, 128000, 0, 44100, 30, false),
    CODEC("MP3 mono", "libmp3lame", 16000, 1, 32000, 0, 48000, 25, false),
    CODEC("PCM, 8 bits", "pcm_u8", 11025, 1, 0, 0, 44100, 33, false),
    CODEC("PCM", "pcm_s16le", 22050, 2, 0, 0, 44100, 33, false),
    CODEC("ADPCM", "adpcm_swf", 22050, 1, 0, 0, 44100, 30, false),
    CODEC("ADPCM stereo", "adpcm_swf", 44100, 2, 0, 0, 44100, 30, false),
    CODEC("Nellymoser", "nellymoser", 16000, 1, 0, 0, 48000, 20, false),
    CODEC("AAC", "aac", 48000, 2, 128000, 0, 48000, 30, false),
    CODEC("AAC 8 kHz", "aac", 8000, 1, 24000, 0, 8000, 25, false),
    CODEC("AAC 16 kHz", "aac", 16000, 1, 48000, 0, 16000, 30, false),
    CODEC("AAC 44.1 kHz, ADTS", "aac", 44100, 2, 128000, 0, 44100, 30, true),
};
/* clang-format on */

/* ISO/IEC 14496-3, 1.A.2.2: LC, no CRC, one block. */
static size_t add_adts(uint8_t *to, const AVPacket *packet, int sample_rate, int channels)
{
    size_t len = (size_t)packet->size + 7;
    unsigned index = sample_rate == 44100 ? 4 : 3;
    const uint8_t header[7] = {0xff,
                               0xf1,
                               (uint8_t)(1u << 6 | index << 2),
                               (uint8_t)((unsigned)channels << 6 | len >> 11),
                               (uint8_t)(len >> 3),
                               (uint8_t)(len << 5 | 0x1f),
                               0xfc};
    memcpy(to, header, sizeof(header));
    memcpy(to + 7, packet->data, (size_t)packet->size);
    return len;
}

/* Send the camera's sound up to a time. */
static void send(const struct codec_case *cc, struct camera_audio *camera, struct audio *audio,
                 double to_s)
{
    static uint8_t buffer[65536];
    while ((double)camera->samples < to_s * camera->sample_rate && camera_audio_next(camera)) {
        const AVPacket *p = camera->packet;
        int64_t pts_us = START + av_rescale(p->pts, S, camera->sample_rate);
        size_t len = (size_t)p->size;
        if (cc->adts)
            len = add_adts(buffer, p, camera->sample_rate, camera->channels);
        else
            memcpy(buffer, p->data, len);
        if (p->duration > 0 && cc->camera.code_size == 0) {
            int64_t told = audio_duration_us(audio, buffer, len);
            int64_t truth = av_rescale(p->duration, S, camera->sample_rate);
            assert_true(llabs(told - truth) <= 1 ||
                        truth < 10 * MS); /* the last one may be short */
        }
        assert_int_equal(audio_push(audio, buffer, len, pts_us, 7), 0);
    }
}

static void check_config(const struct codec_case *cc, const struct codec_config *config)
{
    static const int rates[] = {96000, 88200, 64000, 48000, 44100, 32000,
                                24000, 22050, 16000, 12000, 11025, 8000};
    assert_int_equal(config->codec, AV_CODEC_ID_AAC);
    assert_int_equal(config->sample_rate, cc->out_rate);
    assert_int_equal(config->channels, cc->camera.channels);
    assert_int_equal(config->record_len, 2);
    assert_int_equal(config->record[0] >> 3, 2);
    int index = (config->record[0] & 7) << 1 | config->record[1] >> 7;
    assert_int_equal(rates[index], cc->out_rate);
    assert_int_equal(config->record[1] >> 3 & 15, cc->camera.channels);
    assert_int_equal(config->record[1] & 7, 0);
}

static void run_codec(const struct codec_case *cc, bool bursts, struct output *out)
{
    struct camera_audio camera = cc->camera;
    struct audio *audio;
    camera.bursts = bursts;
    camera_audio_open(&camera);
    if (cc->adts) { /* the headers say it all */
        av_freep(&camera.par->extradata);
        camera.par->extradata_size = 0;
    }
    assert_int_equal(audio_open(&audio, camera.par, output_take, out), 0);
    check_config(cc, audio_config(audio));
    assert_true(audio_accepts(audio, camera.par));
    output_open(out, audio_config(audio), 6, 0);
    send(cc, &camera, audio, 5);
    audio_close(&audio);
    assert_null(audio);
    camera_audio_close(&camera);
}

static void test_codecs(void **state)
{
    for (size_t i = 0; i < sizeof(codec_cases) / sizeof(codec_cases[0]); i++) {
        const struct codec_case *cc = &codec_cases[i];
        struct output out;
        run_codec(cc, false, &out);
        struct tone left = output_tone(&out, 0, TONE_HZ, 1, 4);
        struct tone right = output_tone(&out, out.channels - 1, TONE_HZ, 1, 4);
        double off_ms = left.phase / (2 * M_PI * TONE_HZ) * 1000;
        assert_true(out.worst_gap_us <= 1);
        assert_true(fabs(left.amplitude - AMPLITUDE) < AMPLITUDE * 0.1);
        if (out.channels == 2) {
            assert_true(fabs(right.amplitude - AMPLITUDE) < AMPLITUDE * 0.1);
            assert_true(fabs(fabs(left.phase - right.phase) - M_PI) < 0.1);
        }
        output_close(&out);

        run_codec(cc, true, &out);
        double worst_ms = 0;
        for (int s = 1; s < 4; s++) {
            double onset = output_onset(&out, s, s + 1);
            worst_ms = fmax(worst_ms, fabs(onset - (s + 0.5)) * 1000);
        }
        if (verbose())
            print_message("%-20s %d Hz, %.1f kbit/s, SNR %.1f dB, phase off by %.2f ms, "
                          "onset by %.1f ms\n",
                          cc->name, out.sample_rate, (double)out.bytes * 8 / 5000, left.snr_db,
                          off_ms, worst_ms);
        assert_true(left.snr_db >= cc->snr_db);
        assert_true(worst_ms < 5);
        output_close(&out);
    }
    assert_int_equal(warnings, 0);
}

/* LATM as it comes in a transport stream: AudioSyncStream, made by libavformat. */
static size_t mux_latm(AVFormatContext *mux, AVPacket *packet, uint8_t *to)
{
    uint8_t *bytes;
    assert_int_equal(avio_open_dyn_buf(&mux->pb), 0);
    assert_true(av_write_frame(mux, packet) >= 0);
    int len = avio_close_dyn_buf(mux->pb, &bytes);
    memset(to, 0, (size_t)len + AV_INPUT_BUFFER_PADDING_SIZE);
    memcpy(to, bytes, (size_t)len);
    av_free(bytes);
    return (size_t)len;
}

static void test_latm(void **state)
{
    static uint8_t buffer[65536];
    struct camera_audio camera = {
        .encoder = "aac", .sample_rate = 16000, .channels = 1, .bit_rate = 48000, .bursts = true};
    camera_audio_open(&camera);
    AVFormatContext *mux;
    assert_true(avformat_alloc_output_context2(&mux, NULL, "latm", NULL) >= 0);
    AVStream *stream = avformat_new_stream(mux, NULL);
    avcodec_parameters_copy(stream->codecpar, camera.par);
    stream->time_base = (AVRational){1, camera.sample_rate};
    assert_int_equal(avio_open_dyn_buf(&mux->pb), 0);
    assert_true(avformat_write_header(mux, NULL) >= 0);
    uint8_t *nothing;
    avio_close_dyn_buf(mux->pb, &nothing);
    av_free(nothing);

    AVCodecParameters *par = avcodec_parameters_alloc();
    par->codec_type = AVMEDIA_TYPE_AUDIO;
    par->codec_id = AV_CODEC_ID_AAC_LATM;
    par->sample_rate = 16000;
    av_channel_layout_default(&par->ch_layout, 1);
    struct output out;
    struct audio *audio;
    assert_int_equal(audio_open(&audio, par, output_take, &out), 0);
    output_open(&out, audio_config(audio), 4, 0);
    while (camera.samples < 3 * camera.sample_rate && camera_audio_next(&camera)) {
        int64_t pts_us = START + av_rescale(camera.packet->pts, S, camera.sample_rate);
        size_t len = mux_latm(mux, camera.packet, buffer);
        assert_int_equal(audio_push(audio, buffer, len, pts_us, 7), 0);
    }
    assert_true(fabs(output_onset(&out, 1, 2) - 1.5) < 0.005);
    assert_int_equal(warnings, 0);

    audio_close(&audio);
    output_close(&out);
    avcodec_parameters_free(&par);
    mux->pb = NULL;
    avformat_free_context(mux);
    camera_audio_close(&camera);
}

/* Broken packets cost themselves and nothing else. */
static void check_garbage(const char *encoder, int sample_rate, int bit_rate)
{
    static uint8_t buffer[65536];
    struct camera_audio camera = {.encoder = encoder,
                                  .sample_rate = sample_rate,
                                  .channels = 1,
                                  .bit_rate = bit_rate,
                                  .bursts = true};
    struct output out;
    struct audio *audio;
    unsigned random = 1;
    camera_audio_open(&camera);
    assert_int_equal(audio_open(&audio, camera.par, output_take, &out), 0);
    output_open(&out, audio_config(audio), 9, 0);
    out.decode = false;
    while (camera.samples < 8 * sample_rate && camera_audio_next(&camera)) {
        int64_t pts_us = START + av_rescale(camera.packet->pts, S, sample_rate);
        size_t len = (size_t)camera.packet->size;
        memcpy(buffer, camera.packet->data, len);
        random = random * 1664525u + 1013904223u;
        bool middle = camera.samples > sample_rate && camera.samples < 3 * sample_rate;
        if (middle && random >> 30 == 0) {
            for (size_t i = 0; i < len; i++)
                buffer[i] = (uint8_t)(random >> (i % 3 * 8) ^ i * 77);
        } else if (middle && random >> 30 == 1) {
            len = random >> 16 & 3;
        }
        int rc = audio_push(audio, buffer, len, pts_us, 7);
        assert_true(rc == 0 || rc == -EINVAL);
        if (!middle)
            assert_true(rc == 0 || camera.samples < 4 * sample_rate);
        out.decode = camera.samples > 4 * sample_rate;
    }
    assert_true(fabs(output_onset(&out, 6, 7) - 6.5) < 0.01);
    audio_close(&audio);
    output_close(&out);
    camera_audio_close(&camera);
}

static void test_garbage(void **state)
{
    av_log_set_callback(NULL); /* decoders may complain here */
    av_log_set_level(AV_LOG_QUIET);
    check_garbage("pcm_alaw", 8000, 0);
    check_garbage("g722", 16000, 64000);
    check_garbage("g726", 8000, 32000);
    check_garbage("libopus", 48000, 32000);
    check_garbage("mp2", 48000, 64000);
    check_garbage("libmp3lame", 48000, 64000);
    check_garbage("aac", 16000, 48000);
    av_log_set_callback(count_warnings);
}

/* Frames of another rate and layout in mid-stream: what goes out stays what was declared. */
static void test_input_changes(void **state)
{
    struct output out;
    struct audio *audio;
    AVCodecParameters *par = announce(AV_CODEC_ID_MP3, 0, 0);
    assert_int_equal(audio_open(&audio, par, output_take, &out), 0);
    output_open(&out, audio_config(audio), 7, 0);
    static const int rates[] = {48000, 16000, 44100};
    for (int i = 0; i < 3; i++) {
        struct camera_audio camera = {.encoder = "libmp3lame",
                                      .sample_rate = rates[i],
                                      .channels = 1 + i % 2,
                                      .bit_rate = 64000,
                                      .bursts = true};
        camera_audio_open(&camera);
        while (camera.samples < 2 * rates[i] && camera_audio_next(&camera)) {
            int64_t pts_us = START + i * 2 * S + av_rescale(camera.packet->pts, S, rates[i]);
            int rc = audio_push(audio, camera.packet->data, (size_t)camera.packet->size, pts_us, 7);
            assert_int_equal(rc, 0);
        }
        camera_audio_close(&camera);
    }
    for (int s = 0; s < 6; s++)
        assert_true(fabs(output_onset(&out, s + 0.3, s + 0.9) - (s + 0.5)) < 0.01);
    assert_true(out.worst_gap_us <= 1);
    audio_close(&audio);
    output_close(&out);
    avcodec_parameters_free(&par);
}

/* What frames of a camera go out with. */
struct channels {
    unsigned frames;
    int first, newest;
};

static void take_channels(void *ctx, struct frame *frame)
{
    struct channels *c = ctx;
    c->newest = frame->config->channels;
    if (c->frames++ == 0)
        c->first = c->newest;
    assert_int_equal(frame->config->record[1] >> 3 & 15, c->newest);
    frame_unref(&frame);
}

/* Send frames, raw, of which one in eight is of the other kind. @return what became of them. */
static struct channels send_channels(int announced, int sent, int pictures_of_silence, bool adts)
{
    const struct aac_config said = {.object_type = 2, .sample_rate = 48000, .channels = announced};
    struct channels result = {0};
    struct audio *audio;
    AVCodecParameters *par = announce(AV_CODEC_ID_AAC, 48000, announced);
    assert_int_equal(audio_open(&audio, par, take_channels, &result), 0);
    for (int i = 0; i < pictures_of_silence; i++)
        assert_int_equal(audio_fill(audio, START + i * 40 * MS, 7), 0);
    result.frames = 0;
    for (int i = 0; i < 100; i++) {
        size_t len;
        static const uint8_t end[] = {0xE0}; /* says nothing */
        const uint8_t *data = aac_silent_frame(i % 8 == 7 ? 3 - sent : sent, &len);
        if (i % 8 == 3) {
            data = end;
            len = sizeof(end);
        }
        int64_t at_us = START + pictures_of_silence * 40 * MS + i * aac_frame_us(48000);
        uint8_t packet[32];
        size_t head = adts ? AAC_ADTS_LEN : 0;
        if (adts)
            assert_int_equal(aac_adts_write(packet, &said, len), 0);
        memcpy(packet + head, data, len);
        assert_int_equal(audio_push(audio, packet, head + len, at_us, 7), 0);
    }
    assert_true(result.frames > 90);
    assert_int_equal(audio_config(audio)->channels, result.newest);
    audio_close(&audio);
    avcodec_parameters_free(&par);
    return result;
}

/* Frames tell their channels, and count; one that differs does not. */
static void test_channels_that_were_announced_wrongly(void **state)
{
    log_set_level(LOG_LEVEL_ERROR);
    for (int i = 0; i < 16; i++) {
        int announced = 1 + i % 2, sent = 1 + i / 2 % 2;
        struct channels got = send_channels(announced, sent, i % 8 < 4 ? 0 : 25, i >= 8);
        assert_int_equal(got.first, sent);
        assert_int_equal(got.newest, sent);
    }
    log_set_level(LOG_LEVEL_INFO);
}

/* What encoders put before the sound does not hide it; what is broken does not tell. */
static void test_first_element_of_sound(void **state)
{
    static const struct {
        uint8_t data[24];
        size_t len;
        int channels;
    } cases[] = {
        {{0x00}, 1, 1},
        {{0x20}, 1, 2},
        {{0xC0, 0x40}, 2, 2},       /* after an empty fill element */
        {{0xC2, 0x54, 0x40}, 3, 2}, /* after one of a byte, */
        {{0xC2, 0x54, 0x00}, 3, 1},
        {{[0] = 0xDE, [1] = 0x02, [17] = 0x40}, 18, 2}, /* of 15 bytes, the long way */
        {{[0] = 0xDE, [1] = 0x02, [17] = 0x40}, 17, 0}, /* ... and cut */
        {{0xC1, 0xAA, 0x20}, 3, 0},                     /* of more bytes than the frame has */
        {{0x81, 0x01, 0xAA, 0x20}, 4, 2},               /* after data, aligned */
        {{0x80, 0x00, 0x20}, 3, 2},
        {{0x80, 0x80, 0x81, 0x40}, 4, 0},
        {{0xE0}, 1, 0},       /* the end */
        {{0xA0, 0x20}, 2, 0}, /* a program_config_element */
        {{0xDF, 0xFF}, 2, 0},
        {{0}, 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int got = aac_frame_channels(cases[i].data, cases[i].len);
        if (got != cases[i].channels)
            fail_msg("case %zu: %d", i, got);
    }
}

/* Each is decoded without the others: no sound, all samples, no complaint of the decoder. */
static void test_silent_frame(void **state)
{
    static const int rates[] = {8000, 44100, 48000};
    warnings = 0;
    for (int i = 0; i < 6; i++) {
        struct output out;
        size_t len;
        int channels = 1 + i % 2;
        uint8_t record[AAC_CONFIG_LEN];
        aac_config_write(record, rates[i / 2], channels);
        struct codec_config *config =
            codec_config_new(TRACK_AUDIO, AV_CODEC_ID_AAC, record, sizeof(record));
        config->sample_rate = rates[i / 2];
        config->channels = channels;
        output_open(&out, config, 1, 0);
        const uint8_t *silence = aac_silent_frame(channels, &len);
        struct frame *f = frame_new(config, len);
        memcpy(f->data, silence, len);
        f->dts_us = f->pts_us = START;
        output_decode(&out, f);
        assert_true(output_level(&out, 0, AAC_FRAME_SAMPLES) == 0);
        assert_true(isnan(out.sound[0][AAC_FRAME_SAMPLES]));
        frame_unref(&f);
        output_close(&out);
        codec_config_unref(&config);
    }
    assert_int_equal(warnings, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codecs),
        cmocka_unit_test(test_latm),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_input_changes),
        cmocka_unit_test(test_silent_frame),
        cmocka_unit_test(test_channels_that_were_announced_wrongly),
        cmocka_unit_test(test_first_element_of_sound),
    };
    av_log_set_callback(count_warnings);
    return cmocka_run_group_tests_name("audio", tests, NULL, NULL);
}
