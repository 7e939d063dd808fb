#include "worker/rtp/sdp.h"
#include "worker/rtp/sdp_fmtp.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct sdp *parse(const char *text)
{
    struct sdp *sdp = calloc(1, sizeof(*sdp));
    sdp_parse(sdp, text, strlen(text));
    return sdp;
}

static void test_usual(void **state)
{
    struct sdp *sdp = parse("v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=x\r\nt=0 0\r\na=control:*\r\n"
                            "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
                            "a=fmtp:96 packetization-mode=1;sprop-parameter-sets=Z0IA,aM4=\r\n"
                            "a=control:trackID=1\r\n"
                            "m=audio 0 RTP/AVP 97\r\na=rtpmap:97 mpeg4-generic/16000/2\r\n"
                            "a=control:trackID=2\r\n"
                            "m=application 0 RTP/AVP 107\r\na=control:trackID=3\r\n");
    assert_int_equal(sdp->track_count, 2);
    assert_string_equal(sdp->control, "*");
    const struct sdp_track *v = sdp_choose(sdp, TRACK_VIDEO);
    assert_string_equal(v->codec, "H264");
    assert_int_equal(v->payload_type, 96);
    assert_int_equal(v->clock_rate, 90000);
    assert_string_equal(v->control, "trackID=1");
    assert_string_equal(v->fmtp, "packetization-mode=1;sprop-parameter-sets=Z0IA,aM4=");
    const struct sdp_track *a = sdp_choose(sdp, TRACK_AUDIO);
    assert_string_equal(a->codec, "mpeg4-generic");
    assert_int_equal(a->clock_rate, 16000);
    assert_int_equal(a->channels, 2);
    free(sdp);
}

/* No o=, a broken c=, bare line feeds, spaces, HEVC by its other name. */
static void test_sloppy(void **state)
{
    struct sdp *sdp = parse("v=0\nc=IN IP4\n m=video 0 RTP/AVP 98 \na=rtpmap:98  HEVC/90000 \n"
                            "a=control: t\nnonsense\n=\nm=\nm=audio\nm=video x y\n");
    const struct sdp_track *v = sdp_choose(sdp, TRACK_VIDEO);
    assert_non_null(v);
    assert_string_equal(v->codec, "H265");
    assert_string_equal(v->control, "t");
    assert_null(sdp_choose(sdp, TRACK_AUDIO));
    free(sdp);
}

/* Ways to name RTP, and what is none. */
static void test_profiles(void **state)
{
    static const char *const taken[] = {"RTP/AVP", "rtp/avpf", "RTP/AVP/TCP", "TCP/RTP/AVP"};
    static const char *const other[] = {"udp", "TCP", "TCP/MSRP", "RTSP", "/"};
    char text[128];
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        (void)snprintf(text, sizeof(text), "m=video 0 %s 96\na=rtpmap:96 H264/90000\n", taken[i]);
        struct sdp *sdp = parse(text);
        assert_non_null(sdp_choose(sdp, TRACK_VIDEO));
        assert_false(sdp_choose(sdp, TRACK_VIDEO)->encrypted);
        free(sdp);
    }
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        (void)snprintf(text, sizeof(text), "m=video 0 %s 96\na=rtpmap:96 H264/90000\n", other[i]);
        struct sdp *sdp = parse(text);
        assert_null(sdp_choose(sdp, TRACK_VIDEO));
        free(sdp);
    }
}

/* What cannot be used has a name at least. */
static void test_transport_stream(void **state)
{
    struct sdp *sdp = parse("m=video 0 RTP/AVP 33\n");
    assert_string_equal(sdp_choose(sdp, TRACK_VIDEO)->codec, "MP2T");
    free(sdp);
}

static void test_static_types(void **state)
{
    struct sdp *sdp = parse("m=video 0 RTP/AVP 26\nm=audio 0 RTP/AVP 8\n");
    assert_int_equal(sdp_choose(sdp, TRACK_AUDIO)->clock_rate, 8000);
    assert_int_equal(sdp_choose(sdp, TRACK_VIDEO)->clock_rate, 90000);
    char text[512];
    int pt;
    assert_true(sdp_write_track(sdp_choose(sdp, TRACK_AUDIO), text, sizeof(text), &pt) > 0);
    assert_int_equal(pt, 8);
    assert_null(strstr(text, "rtpmap"));
    free(sdp);
}

/* ONVIF: the back channel is a second audio track, sendonly. */
static void test_backchannel(void **state)
{
    struct sdp *sdp = parse("m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=recvonly\n"
                            "m=audio 0 RTP/AVP 0\na=sendonly\na=control:back\n"
                            "m=audio 0 RTP/AVP 8\na=recvonly\na=control:mic\n");
    assert_string_equal(sdp_choose(sdp, TRACK_AUDIO)->control, "mic");
    free(sdp);
    sdp = parse("m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
                "m=audio 0 RTP/AVP 0\na=sendonly\n");
    assert_null(sdp_choose(sdp, TRACK_AUDIO));
    free(sdp);
    /* Firmware that marks everything so. */
    sdp = parse("m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=sendonly\n");
    assert_non_null(sdp_choose(sdp, TRACK_VIDEO));
    free(sdp);
}

static void test_wanted_video_first(void **state)
{
    struct sdp *sdp =
        parse("m=video 0 RTP/AVP 26\na=control:jpeg\n"
              "m=video 0 RTP/AVP 97 98\na=rtpmap:97 VP8/90000\na=rtpmap:98 H264/90000\n"
              "a=control:h264\n");
    const struct sdp_track *v = sdp_choose(sdp, TRACK_VIDEO);
    assert_string_equal(v->control, "h264");
    assert_int_equal(v->payload_type, 98);
    free(sdp);
}

static void test_fmtp_elsewhere(void **state)
{
    struct sdp *sdp = parse("m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
                            "m=audio 0 RTP/AVP 97\na=rtpmap:97 PCMA/8000\n"
                            "a=fmtp:96 sprop-parameter-sets=A,B\n");
    assert_string_equal(sdp_choose(sdp, TRACK_VIDEO)->fmtp, "sprop-parameter-sets=A,B");
    assert_string_equal(sdp_choose(sdp, TRACK_AUDIO)->fmtp, "");
    free(sdp);
}

/* One that names a payload type that nothing has: MP4A-LATM/16000/1 of type 97 with fmtp:40. */
static void test_fmtp_of_another_type(void **state)
{
    struct sdp *sdp = parse("m=audio 0 RTP/AVP 97\na=rtpmap:97 MP4A-LATM/16000/1\n"
                            "a=fmtp:40 profile-level-id=1709392648;cpresent=0;config=\n"
                            "m=video 0 RTP/AVP 96 98\na=rtpmap:96 H264/90000\n"
                            "a=rtpmap:98 rtx/90000\na=fmtp:98 apt=96\n");
    assert_string_equal(sdp_choose(sdp, TRACK_AUDIO)->fmtp,
                        "profile-level-id=1709392648;cpresent=0;config=");
    assert_string_equal(sdp_choose(sdp, TRACK_VIDEO)->fmtp, "");
    free(sdp);
}

/* As libavformat reads it, however the camera writes it. */
static void test_sloppy_fmtp(void **state)
{
    static const char *const texts[] = {
        "packetization-mode=1;sprop-parameter-sets=Z0I=,aM4=",
        "packetization-mode=1;sprop-parameter-sets=Z0I=,aM4=,", /* libavformat: no PPS */
        ";; packetization-mode = 1 ; Sprop-Parameter-Sets = \"Z0I=, aM4=\" ;",
        "packetization-mode=1;\tsprop-parameter-sets=,Z0I=,,aM4=,,;",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        char line[256];
        (void)snprintf(line, sizeof(line), "m=video 0 RTP/AVP 96\na=fmtp:96 %s\n", texts[i]);
        struct sdp *sdp = parse(line);
        assert_string_equal(sdp->tracks[0].fmtp, texts[0]);
        free(sdp);
    }
    struct sdp *sdp = parse("m=audio 0 RTP/AVP 96\na=fmtp:96 mode=\"AAC-hbr\"; Config=1408; a\n");
    assert_string_equal(sdp->tracks[0].fmtp, "mode=AAC-hbr;config=1408;a");
    free(sdp);
    char small[8];
    sdp_fmtp_clean(small, sizeof(small), "abc=def;ghi");
    assert_string_equal(small, "abc=def");
}

static void test_no_rtpmap(void **state)
{
    struct sdp *sdp = parse("m=video 0 RTP/AVP 96\na=fmtp:96 sprop-vps=A;sprop-sps=B\n");
    assert_string_equal(sdp_choose(sdp, TRACK_VIDEO)->codec, "H265");
    free(sdp);
}

static void test_rewritten(void **state)
{
    struct sdp *sdp = parse("m=video 0 RTP/AVP 35\na=rtpmap:35 H264/90000\na=fmtp:35 a=b\n");
    char text[512];
    int pt;
    assert_true(sdp_write_track(sdp_choose(sdp, TRACK_VIDEO), text, sizeof(text), &pt) > 0);
    assert_int_equal(pt, 96);
    assert_non_null(strstr(text, "m=video 0 RTP/AVP 96\r\n"));
    assert_non_null(strstr(text, "a=rtpmap:96 H264/90000\r\n"));
    assert_non_null(strstr(text, "a=fmtp:96 a=b\r\n"));
    assert_int_equal(sdp_write_track(sdp_choose(sdp, TRACK_VIDEO), text, 100, &pt), -ENAMETOOLONG);
    free(sdp);
}

/* A camera that calls its codec by the other one's name. */
static void test_corrected_codecs(void **state)
{
    struct sdp *sdp =
        parse("m=video 0 RTP/AVP 96\na=rtpmap:96 H265/90000\na=fmtp:96 sprop-vps=AA\n"
              "m=video 0 RTP/AVP 97\na=rtpmap:97 h264/90000\n"
              "m=video 0 RTP/AVP 26\n"
              "m=audio 0 RTP/AVP 104\na=rtpmap:104 mpeg4-generic/16000\na=fmtp:104 config=1408\n");
    sdp_correct_codec(sdp, "H265");
    assert_string_equal(sdp->tracks[0].codec, "H264");
    assert_string_equal(sdp->tracks[0].fmtp, "");
    assert_true(sdp->tracks[0].corrected && !sdp->tracks[1].corrected);
    assert_string_equal(sdp->tracks[1].codec, "h264"); /* it is right */
    sdp_correct_codec(sdp, "H264");
    assert_string_equal(sdp->tracks[1].codec, "H265");
    assert_string_equal(sdp->tracks[2].codec, "JPEG");
    assert_string_equal(sdp->tracks[3].fmtp, "config=1408");
    free(sdp);

    sdp = parse("m=video 0 RTP/AVP 96 98 99\na=rtpmap:96 H264/90000\na=rtpmap:98 H265/90000\n"
                "a=rtpmap:99 rtx/90000\n");
    const struct sdp_track *t = &sdp->tracks[0];
    for (int i = 0; i < 2; i++) { /* there and back */
        bool first = i % 2 == 0;
        assert_string_equal(t->codec, first ? "H264" : "H265");
        assert_int_equal(t->payload_type, first ? 96 : 98);
        assert_int_equal(t->types.chosen, first ? 96 : 98);
        assert_int_equal(t->types.other_codec, first ? 98 : 96);
        assert_int_equal(t->types.refused[96 / 8], first ? 0x0C : 0x09);
        sdp_correct_codec(sdp, first ? "H264" : "H265");
    }
    free(sdp);
}

/* A static type whose rtpmap names another codec: libavformat would take it for what the number
 * says. */
static void test_rewritten_static_type(void **state)
{
    struct sdp *sdp = parse("m=video 0 RTP/AVP 33\na=rtpmap:33 H264/90000\n"
                            "m=audio 0 RTP/AVP 8\na=rtpmap:8 PCMA/8000\n");
    char text[512];
    int pt;
    assert_true(sdp_write_track(sdp_choose(sdp, TRACK_VIDEO), text, sizeof(text), &pt) > 0);
    assert_int_equal(pt, 96);
    assert_int_equal(sdp_choose(sdp, TRACK_VIDEO)->payload_type, 33);
    assert_true(sdp_write_track(sdp_choose(sdp, TRACK_AUDIO), text, sizeof(text), &pt) > 0);
    assert_int_equal(pt, 8);
    free(sdp);
}

static void test_many_tracks(void **state)
{
    char text[4096] = "";
    for (int i = 0; i < 40; i++)
        strcat(text, "m=video 0 RTP/AVP 96 97 98 99 100 101 102 103 104 105 999 -4\na=fmtp:96 x\n");
    struct sdp *sdp = parse(text);
    assert_int_equal(sdp->track_count, SDP_TRACKS_MAX);
    free(sdp);
}

static bool is_refused(const struct sdp_track *track, unsigned type)
{
    return (track->types.refused[type / 8] >> (type % 8) & 1) != 0;
}

static void test_other_types_of_a_section(void **state)
{
    struct sdp *sdp = parse("m=video 0 RTP/AVP 100 96 97 98 99\n"
                            "a=rtpmap:100 red/90000\na=rtpmap:96 H264/90000\n"
                            "a=rtpmap:97 rtx/90000\na=rtpmap:98 H264/90000\n"
                            "m=audio 0 RTP/AVP 8 13 101\na=rtpmap:101 telephone-event/8000\n");
    const struct sdp_track *video = sdp_choose(sdp, TRACK_VIDEO);
    const struct sdp_track *audio = sdp_choose(sdp, TRACK_AUDIO);
    assert_int_equal(video->types.chosen, 96);
    assert_true(is_refused(video, 100) && is_refused(video, 97));
    assert_int_equal(video->types.red, 100);
    assert_int_equal(audio->types.red, 0);
    assert_false(is_refused(video, 96));
    assert_false(is_refused(video, 98) || is_refused(video, 99)); /* who knows */
    assert_int_equal(audio->types.chosen, 8);
    assert_true(is_refused(audio, 13) && is_refused(audio, 101));
    free(sdp);
}

static void test_multicast_groups(void **state)
{
    struct sdp *sdp = parse("c=IN IP4 239.1.1.1/127\nm=video 0 RTP/AVP 96\nc=IN IP4 10.0.0.9\n"
                            "m=audio 0 RTP/AVP 8\nc=IN IP4 239.1.1.2/15/3\n"
                            "m=application 0 RTP/AVP 107\nc=IN IP4 239.1.1.3\n");
    assert_string_equal(sdp_choose(sdp, TRACK_VIDEO)->group, "239.1.1.1");
    assert_string_equal(sdp_choose(sdp, TRACK_AUDIO)->group, "239.1.1.2");
    free(sdp);
    sdp = parse("c=IN IP4 0.0.0.0\nc=IN\nc=IN IP4 x\nm=video 0 RTP/AVP 96\n"
                "m=audio 0 RTP/AVP 8\nc=IN IP6 ff02::5\n");
    assert_string_equal(sdp_choose(sdp, TRACK_VIDEO)->group, "");
    assert_string_equal(sdp_choose(sdp, TRACK_AUDIO)->group, "ff02::5");
    free(sdp);
}

static void test_audio_that_can_be_heard_first(void **state)
{
    struct sdp *sdp = parse("m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
                            "m=audio 0 RTP/AVP 111\na=rtpmap:111 SPEEX/16000\n"
                            "m=audio 0 RTP/AVP 8\na=control:second\n");
    assert_string_equal(sdp_choose(sdp, TRACK_AUDIO)->control, "second");
    free(sdp);
    sdp = parse("m=audio 0 RTP/AVP 13 101 111 63 8\na=rtpmap:101 telephone-event/8000\n"
                "a=rtpmap:111 SPEEX/16000\na=rtpmap:63 red/8000\n");
    assert_int_equal(sdp_choose(sdp, TRACK_AUDIO)->types.chosen, 8);
    assert_int_equal(sdp_choose(sdp, TRACK_AUDIO)->types.red, 63);
    free(sdp);
    sdp = parse(
        "m=audio 0 RTP/AVP 111\na=rtpmap:111 SPEEX/16000\n"); /* better than none: to say so */
    assert_string_equal(sdp_choose(sdp, TRACK_AUDIO)->codec, "SPEEX");
    free(sdp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_usual),
        cmocka_unit_test(test_sloppy),
        cmocka_unit_test(test_static_types),
        cmocka_unit_test(test_profiles),
        cmocka_unit_test(test_transport_stream),
        cmocka_unit_test(test_backchannel),
        cmocka_unit_test(test_wanted_video_first),
        cmocka_unit_test(test_fmtp_elsewhere),
        cmocka_unit_test(test_fmtp_of_another_type),
        cmocka_unit_test(test_sloppy_fmtp),
        cmocka_unit_test(test_no_rtpmap),
        cmocka_unit_test(test_rewritten),
        cmocka_unit_test(test_rewritten_static_type),
        cmocka_unit_test(test_corrected_codecs),
        cmocka_unit_test(test_many_tracks),
        cmocka_unit_test(test_other_types_of_a_section),
        cmocka_unit_test(test_audio_that_can_be_heard_first),
        cmocka_unit_test(test_multicast_groups),
    };
    return cmocka_run_group_tests_name("rtsp_sdp", tests, NULL, NULL);
}
