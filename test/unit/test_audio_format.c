/*
 * worker/audio/audio_format: what is announced, what goes out, and how long packets last.
 */
#include "test/unit/audio_tools.h"
#include "worker/audio/audio_format.h"

static void add_extradata(AVCodecParameters *par, const uint8_t *bytes, size_t len)
{
    par->extradata = av_mallocz(len + AV_INPUT_BUFFER_PADDING_SIZE);
    memcpy(par->extradata, bytes, len);
    par->extradata_size = (int)len;
}

/* What cameras announce, and the configuration that goes out.  out_rate 0: not supported. */
struct announcement {
    enum AVCodecID codec;
    int sample_rate, channels;
    uint8_t extradata[8];
    size_t extradata_len;
    int out_rate, out_channels;
};

static const struct announcement announcements[] = {
    {AV_CODEC_ID_PCM_ALAW, 0, 0, {0}, 0, 48000, 1},
    {AV_CODEC_ID_PCM_MULAW, 8000, 1, {0}, 0, 48000, 1},
    {AV_CODEC_ID_PCM_S16BE, 44100, 2, {0}, 0, 44100, 2},
    {AV_CODEC_ID_ADPCM_G722, 8000, 1, {0}, 0, 48000, 1},
    {AV_CODEC_ID_ADPCM_G726, 8000, 1, {0}, 0, 48000, 1},
    {AV_CODEC_ID_OPUS, 0, 0, {0}, 0, 48000, 2},
    {AV_CODEC_ID_OPUS, 48000, 1, {0}, 0, 48000, 1},
    {AV_CODEC_ID_MP2, 90000, 0, {0}, 0, 48000, 2},
    {AV_CODEC_ID_MP3, 11025, 1, {0}, 0, 44100, 1},
    {AV_CODEC_ID_MP3, 24000, 1, {0}, 0, 48000, 1},
    {AV_CODEC_ID_PCM_ALAW, 20000, 1, {0}, 0, 48000, 1},
    /* AAC: LC as told, by parameters alone, with more behind it, with flags cut off. */
    {AV_CODEC_ID_AAC, 44100, 2, {0x11, 0x90}, 2, 48000, 2},
    {AV_CODEC_ID_AAC, 16000, 1, {0}, 0, 16000, 1},
    {AV_CODEC_ID_AAC, 48000, 2, {0x11, 0x90, 0x56, 0xe5, 0x00}, 5, 48000, 2},
    {AV_CODEC_ID_AAC, 8000, 1, {0x15, 0x88}, 2, 8000, 1},
    /* HE-AAC, explicit: 48 kHz over a core of 24 kHz; version 2: stereo over mono. */
    {AV_CODEC_ID_AAC, 48000, 2, {0x2b, 0x11, 0x88, 0x00}, 4, 24000, 2},
    {AV_CODEC_ID_AAC, 44100, 2, {0xeb, 0x8a, 0x08, 0x00}, 4, 22050, 1},
    /* A rate written out: of the table (44100), near it (44000), far from it (40000). */
    {AV_CODEC_ID_AAC, 44100, 2, {0x17, 0x80, 0x56, 0x22, 0x10}, 5, 44100, 2},
    {AV_CODEC_ID_AAC, 44000, 2, {0x17, 0x80, 0x55, 0xf0, 0x10}, 5, 44100, 2},
    {AV_CODEC_ID_AAC, 40000, 2, {0x17, 0x80, 0x4e, 0x20, 0x10}, 5, 0, 0},
    /* 5.1; 960 samples; Main: decoded and encoded. */
    {AV_CODEC_ID_AAC, 48000, 6, {0x11, 0xb0}, 2, 48000, 2},
    {AV_CODEC_ID_AAC, 48000, 2, {0x11, 0x94}, 2, 48000, 2},
    {AV_CODEC_ID_AAC, 48000, 2, {0x09, 0x90}, 2, 48000, 2},
    /* Nothing to go by; codecs that nobody asked for. */
    {AV_CODEC_ID_AAC, 0, 0, {0}, 0, 0, 0},
    {AV_CODEC_ID_GSM, 8000, 1, {0}, 0, 0, 0},
    {AV_CODEC_ID_NONE, 8000, 1, {0}, 0, 0, 0},
    {AV_CODEC_ID_H264, 0, 0, {0}, 0, 0, 0},
};

static void test_announcements(void **state)
{
    for (size_t i = 0; i < sizeof(announcements) / sizeof(announcements[0]); i++) {
        const struct announcement *a = &announcements[i];
        AVCodecParameters *par = announce(a->codec, a->sample_rate, a->channels);
        if (a->extradata_len > 0)
            add_extradata(par, a->extradata, a->extradata_len);
        struct audio *audio;
        int rc = audio_open(&audio, par, output_take, NULL);
        if (a->out_rate == 0) {
            assert_int_equal(rc, -ENOTSUP);
            assert_null(audio);
        } else {
            assert_int_equal(rc, 0);
            const struct codec_config *c = audio_config(audio);
            if (c->sample_rate != a->out_rate || c->channels != a->out_channels)
                fail_msg("announcement %zu gives %d Hz, %d channels", i, c->sample_rate,
                         c->channels);
            assert_int_equal(c->record_len, 2);
            assert_true(audio_accepts(audio, par));
            par->sample_rate += 1;
            assert_false(audio_accepts(audio, par));
        }
        audio_close(&audio);
        avcodec_parameters_free(&par);
    }
}

/* Only what is encoded at a higher rate, and only if the rate is known, has nothing above. */
static void test_bandwidths(void **state)
{
    static const struct {
        enum AVCodecID codec;
        int sample_rate, bandwidth_hz;
    } cases[] = {
        {AV_CODEC_ID_PCM_ALAW, 8000, 4000},   {AV_CODEC_ID_PCM_MULAW, 16000, 8000},
        {AV_CODEC_ID_ADPCM_G722, 8000, 8000}, {AV_CODEC_ID_ADPCM_G726, 8000, 4000},
        {AV_CODEC_ID_PCM_S16BE, 48000, 0},    {AV_CODEC_ID_PCM_S16BE, 44100, 0},
        {AV_CODEC_ID_PCM_S16BE, 96000, 0},    {AV_CODEC_ID_MP3, 16000, 0},
        {AV_CODEC_ID_OPUS, 48000, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        AVCodecParameters *par = announce(cases[i].codec, cases[i].sample_rate, 1);
        struct audio_format format;
        assert_int_equal(audio_format_choose(par, &format), 0);
        assert_int_equal(format.bandwidth_hz, cases[i].bandwidth_hz);
        avcodec_parameters_free(&par);
    }
}

static void test_durations(void **state)
{
    /* G.722 at the 8000 Hz that RFC 3551 has it announced with is still 64 kbit/s at 16 kHz. */
    static const struct {
        enum AVCodecID codec;
        uint8_t begins[3];
        size_t len;
        int64_t us;
    } packets[] = {
        {AV_CODEC_ID_ADPCM_G722, {0}, 160, 20000},
        {AV_CODEC_ID_PCM_ALAW, {0}, 160, 20000},
        {AV_CODEC_ID_ADPCM_G726, {0}, 80, 20000},
        {AV_CODEC_ID_OPUS, {15 << 3}, 60, 20000},
        {AV_CODEC_ID_OPUS, {3 << 3 | 1}, 60, 120000},
        {AV_CODEC_ID_OPUS, {28 << 3 | 3, 3}, 60, 7500},
        {AV_CODEC_ID_OPUS, {0}, 0, 0},
        /* The announced rate is mostly a guess: the frame's own header counts. */
        {AV_CODEC_ID_MP3, {0}, 100, 0},
        {AV_CODEC_ID_MP3, {0xFF, 0xFB, 0x9C}, 100, 0},
        {AV_CODEC_ID_MP3, {0xFF, 0xFB, 0x90}, 3, 0},
        {AV_CODEC_ID_MP3, {0xFF, 0xFB, 0x90}, 100, 26122},
        {AV_CODEC_ID_MP3, {0xFF, 0xFB, 0x94}, 100, 24000},
        {AV_CODEC_ID_MP3, {0xFF, 0xF3, 0x48}, 100, 36000},
        {AV_CODEC_ID_MP3, {0xFF, 0xE3, 0x40}, 100, 52245},
        {AV_CODEC_ID_MP2, {0xFF, 0xFD, 0x88}, 100, 36000},
        {AV_CODEC_ID_MP2, {0xFF, 0xF5, 0x84}, 100, 48000},
        {AV_CODEC_ID_AAC, {0x21, 0x10}, 100, 128000},
        {AV_CODEC_ID_PCM_S16BE, {0}, 320, 20000},
    };
    for (size_t i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
        uint8_t data[400] = {packets[i].begins[0], packets[i].begins[1], packets[i].begins[2]};
        AVCodecParameters *par = announce(packets[i].codec, 8000, 1);
        struct audio *audio;
        assert_int_equal(audio_open(&audio, par, output_take, NULL), 0);
        assert_int_equal(audio_duration_us(audio, data, packets[i].len), packets[i].us);
        audio_close(&audio);
        avcodec_parameters_free(&par);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_announcements),
        cmocka_unit_test(test_bandwidths),
        cmocka_unit_test(test_durations),
    };
    return cmocka_run_group_tests_name("audio_format", tests, NULL, NULL);
}
