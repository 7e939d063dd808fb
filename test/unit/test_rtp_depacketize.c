/* worker/rtp/rtp_depacketize and worker/rtp/fu_repair: what cameras put into RTP, as NAL units
 * again. */
#include "worker/rtp/rtp_depacketize.h"

#include <libavcodec/avcodec.h>
#include <libavutil/log.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct {
    char text[65536]; /* one line per media packet: NAL units in hex, then flags */
    size_t len;
    size_t packets;
    int64_t pts[64];
} out;

static struct rtp_depacketizer *dep;
static uint32_t timestamp;

static void put(const char *text)
{
    out.len += (size_t)snprintf(out.text + out.len, sizeof(out.text) - out.len, "%s", text);
}

static void on_media(void *ctx, const struct media_packet *packet)
{
    (void)ctx;
    for (size_t i = 0; i < packet->len; i++) {
        char hex[3];
        (void)snprintf(hex, sizeof(hex), "%02x", packet->data[i]);
        put(hex);
    }
    for (size_t i = 0; i < AV_INPUT_BUFFER_PADDING_SIZE; i++)
        assert_true(packet->form == MEDIA_RAW || packet->data[packet->len + i] == 0);
    put(packet->last ? " last" : "");
    put(packet->cut ? " cut" : "");
    put(packet->lost_before ? " lost\n" : "\n");
    assert_true(out.packets < 64);
    out.pts[out.packets++] = packet->pts;
}

static void open_track(const char *description, enum track kind)
{
    struct sdp *sdp = calloc(1, sizeof(*sdp));
    sdp_parse(sdp, description, strlen(description));
    memset(&out, 0, sizeof(out));
    timestamp = 1000;
    assert_int_equal(rtp_depacketizer_open(sdp_choose(sdp, kind), on_media, NULL, &dep), 0);
    free(sdp);
}

static void open_h264(void)
{
    open_track("m=video 0 RTP/AVP 99\na=rtpmap:99 H264/90000\na=fmtp:99 packetization-mode=1\n",
               TRACK_VIDEO);
}

static void push(const char *hex, bool marker, bool lost)
{
    uint8_t payload[256];
    size_t len = strlen(hex) / 2;
    for (size_t i = 0; i < len; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        payload[i] = (uint8_t)byte;
    }
    const struct rtp_packet packet = {.payload_type = 99,
                                      .marker = marker,
                                      .timestamp = timestamp,
                                      .ssrc = 1,
                                      .payload = payload,
                                      .payload_len = len};
    rtp_depacketizer_push(dep, &packet, lost, timestamp, 1);
    if (marker)
        timestamp += 3600;
}

static void assert_out(const char *text)
{
    assert_string_equal(out.text, text);
    rtp_depacketizer_free(&dep);
}

static void test_single_and_aggregate(void **state)
{
    open_h264();
    push("67aa", false, false);
    push("180002"
         "68bb"
         "0003"
         "06cccc",
         false, false); /* STAP-A */
    push("6511", true, false);
    assert_out("0000000167aa\n0000000168bb0000000106cccc\n000000016511 last\n");
}

/* RED (RFC 2198) that the description does not name, from GStreamer's rtpredenc: alone, with error
 * correction, and with an older payload before. */
static void test_wrapped_in_red(void **state)
{
    open_h264();
    push("6067aa", false, false);
    push("6068bb", false, false);
    push("606511", true, false);
    push("7a01020304", false, false);
    push("e0000002606511"
         "41b1",
         true, false);
    push("607c85a1", false, true);
    push("7a01020304", false, true);
    push("607c45a3", true, false);
    assert_out("0000000167aa\n0000000168bb\n000000016511 last\n0000000141b1 last\n"
               "0000000165a1 cut lost\n");
    open_track("m=video 0 RTP/AVP 96\na=rtpmap:96 H265/90000\n", TRACK_VIDEO);
    push("604001aa", false, false);
    push("60620193a1", false, false);
    push("60620153a2", true, false);
    push("600201b1", true, false);
    assert_out("000000014001aa\n000000012601a1a2 last\n000000010201b1 last\n");
}

/* A few NAL units of type 0 are nothing; they are left out later. */
static void test_type_that_is_not_used(void **state)
{
    open_h264();
    push("67aa", false, false);
    for (int i = 0; i < 5; i++) {
        push("6000", false, false);
        push("41b1", true, false);
        push("41b2", true, false);
    }
    for (int i = 0; i < 10; i++)
        push("41b3", true, false);
    assert_int_equal(out.packets, 1 + 5 * 3 + 10);
    rtp_depacketizer_free(&dep);
}

/* As many of them as of others, as long as what follows them cannot be a wrapped packet. */
static void test_type_that_is_not_used_with_each_picture(void **state)
{
    static const char *const private_units[] = {"6000", "60ff01", "608065", "600d01", "605f"};
    open_h264();
    for (size_t i = 0; i < 20; i++) {
        out.len = 0;
        out.packets = 0;
        push(private_units[i % 5], false, false);
        push("41b1", true, false);
        assert_non_null(strstr(out.text, "0000000141b1 last\n"));
    }
    rtp_depacketizer_free(&dep);
}

/* What follows them may be anything, once a packet has come that cannot be wrapped. */
static void test_private_units_that_look_wrapped(void **state)
{
    open_h264();
    push("67aa", false, false);
    push("41b1", true, false);
    for (size_t i = 0; i < 10; i++) {
        out.len = 0;
        out.packets = 0;
        push("6067bb", false, false);
        push("61b2", true, false);
        assert_string_equal(out.text, "000000016067bb\n0000000161b2 last\n");
    }
    rtp_depacketizer_free(&dep);
}

static void test_fragments(void **state)
{
    open_h264();
    push("7c85a1", false, false);
    push("7c05a2", false, false);
    push("7c45a3", true, false);
    push("5c81b1", false, false);
    push("5c41b2", true, false);
    assert_out("0000000165a1a2a3 last\n0000000141b1b2 last\n");
}

static void test_joining_in_the_middle(void **state)
{
    open_h264();
    push("7c05a2", false, false);
    push("7c45a3", true, false);
    push("41b1", true, false);
    assert_out("0000000141b1 last\n");
}

/* The first fragment's type is the unit's, whatever the others say: moonfire-nvr issue 344. */
static void test_fragments_of_another_type(void **state)
{
    open_h264();
    for (int i = 0; i < 2; i++) {
        push("7c85a1", false, false);
        push("7c0ca2", false, false);
        push("7c4ca3", false, false);
        push("7c85b1", false, false);
        push("7c4cb2", true, false);
    }
    push("41b1", true, false);
    push("7c0ca2", false, true); /* its start was lost */
    push("7c05a3", false, false);
    push("7c4ca4", true, false);
    push("41b2", true, false);
    assert_out("0000000165a1a2a3\n0000000165b1b2 last\n0000000165a1a2a3\n0000000165b1b2 last\n"
               "0000000141b1 last\n0000000141b2 last lost\n");
}

static void test_lost_fragment(void **state)
{
    open_h264();
    push("7c85a1", false, false);
    push("7c05a3", false, true); /* a2 never came */
    push("7c45a4", true, false);
    push("41b1", true, false);
    assert_out("0000000165a1 cut\n0000000141b1 last lost\n");
}

/* Padding alone (RFC 3550 section 5.1) does not hide a loss. */
static void test_loss_before_padding(void **state)
{
    open_h264();
    push("7c85a1", false, false);
    push("", false, true); /* a2 never came */
    push("7c45a3", true, false);
    push("41b1", true, false);
    assert_out("0000000165a1 cut\n0000000141b1 last lost\n");
}

static void test_lost_start(void **state)
{
    open_h264();
    push("41b1", true, false);
    push("7c05a2", false, true);
    push("7c45a3", true, false);
    push("7c85c1", false, false);
    push("7c45c2", true, false);
    assert_out("0000000141b1 last\n0000000165c1c2 last lost\n");
}

static void test_lost_end(void **state)
{
    open_h264();
    push("7c85a1", false, false);
    timestamp += 3600;
    push("7c85c1", false, true);
    push("7c45c2", true, false);
    assert_out("0000000165a1 last cut\n0000000165c1c2 last lost\n");
}

/* ZLMediaKit issue 1445 and the like: bits that mean nothing. */
static void test_start_on_every_fragment(void **state)
{
    open_h264();
    for (int i = 0; i < 2; i++) {
        push("7c85a1", false, false);
        push("7c85a2", false, false);
        push("7cc5a3", true, false);
    }
    assert_out("0000000165a1a2a3 last\n0000000165a1a2a3 last\n");
}

static void test_no_start_ever(void **state)
{
    open_h264();
    push("41b1", true, false); /* we did not join in the middle */
    for (int i = 0; i < 2; i++) {
        push("7c05a1", false, false);
        push("7c05a2", false, false);
        push("7c45a3", true, false);
    }
    assert_out("0000000141b1 last\n0000000165a1a2a3 last\n0000000165a1a2a3 last\n");
}

static void test_end_on_every_fragment(void **state)
{
    open_h264();
    for (int i = 0; i < 2; i++) {
        push("7cc5a1", false, false);
        push("7c45a2", false, false);
        push("7c45a3", true, false);
    }
    assert_out("0000000165a1a2a3 last\n0000000165a1a2a3 last\n");
}

static void test_no_end_ever(void **state)
{
    open_h264();
    for (int i = 0; i < 3; i++) {
        push("7c85a1", false, false);
        push("7c05a2", true, false);
    }
    /* The first waits for the second, then it is known. */
    assert_out("0000000165a1a2 last\n0000000165a1a2 last\n0000000165a1a2 last\n");
}

/* Two slices in fragments, ends unmarked: a new start is one. */
static void test_slices_without_ends(void **state)
{
    open_h264();
    push("7c85a1", false, false);
    push("7c05a2", false, false);
    push("7c85b1", false, false);
    push("7c05b2", true, false);
    assert_out("0000000165a1a2\n0000000165b1b2 last\n");
}

/* A unit above FRAME_MAX_BYTES is dropped as soon as it is too large; the next one says so. */
static void test_too_large_unit(void **state)
{
    static uint8_t payload[60000] = {0x7c, 0x85};
    struct rtp_packet packet = {
        .payload_type = 99, .timestamp = 1000, .payload = payload, .payload_len = 60000};
    open_h264();
    for (size_t sent = 0; sent <= FRAME_MAX_BYTES; sent += sizeof(payload) - 2) {
        rtp_depacketizer_push(dep, &packet, false, timestamp, 1);
        payload[1] = 0x05;
    }
    push("7c45a1", true, false);
    push("41b1", true, false);
    assert_out("0000000141b1 last lost\n");
}

static void test_whole_unit_in_one_fragment(void **state)
{
    open_h264();
    push("7cc5a1", true, false);
    push("7cc5b1", true, false);
    assert_out("0000000165a1 last\n0000000165b1 last\n");
}

static void test_marker_on_every_packet(void **state)
{
    open_h264();
    for (int i = 0; i < 2; i++) {
        push("7c85a1", true, false);
        timestamp -= 3600;
        push("7c05a2", true, false);
        timestamp -= 3600;
        push("7c45a3", true, false);
    }
    assert_out("0000000165a1a2a3 last\n0000000165a1a2a3 last\n");
}

static void test_annex_b_in_rtp(void **state)
{
    open_h264();
    push("0000000167aa", false, false);
    push("00000168bb", false, false);
    push("000000016511", true, false);
    assert_out("0000000167aa\n0000000168bb\n000000016511 last\n");
}

static void test_hevc(void **state)
{
    open_track("m=video 0 RTP/AVP 99\na=rtpmap:99 H265/90000\n", TRACK_VIDEO);
    push("4001aa", false, false);
    push("6001"
         "0003"
         "4201bb"
         "0003"
         "4401cc",
         false, false); /* AP */
    push("620193a1", false, false);
    push("620113a2", false, false);
    push("620153a3", true, false);
    assert_out("000000014001aa\n000000014201bb000000014401cc\n000000012601a1a2a3 last\n");
}

/* An aggregate of temporal layer 1 begins as RED does: it is known by its lengths. */
static void test_hevc_aggregates_of_a_temporal_layer(void **state)
{
    static const char pair[] = "000000010202a1000000010202b2b3 last\n";
    open_track("m=video 0 RTP/AVP 99\na=rtpmap:99 H265/90000\n", TRACK_VIDEO);
    for (int i = 0; i < 5; i++)
        push("6002"
             "0003"
             "0202a1"
             "0004"
             "0202b2b3",
             true, false);
    push("0201c1", true, false);
    assert_int_equal(out.packets, 6);
    for (size_t i = 0; i < 5; i++)
        assert_memory_equal(out.text + i * strlen(pair), pair, strlen(pair));
    rtp_depacketizer_free(&dep);
    open_track("m=video 0 RTP/AVP 99\na=rtpmap:99 H265/90000\na=fmtp:99 sprop-max-don-diff=2\n",
               TRACK_VIDEO);
    push("6002"
         "00050003"
         "0202a1"
         "000004"
         "0202b2b3",
         true, false);
    assert_out(pair);
}

/* RFC 7798 section 4.4.1 and 4.4.3: numbers for the decoding order, in the first fragment only. */
static void test_hevc_decoding_order_numbers(void **state)
{
    open_track("m=video 0 RTP/AVP 99\na=rtpmap:99 H265/90000\na=fmtp:99 sprop-max-don-diff=2\n",
               TRACK_VIDEO);
    push("40010005aa", false, false);
    push("6201930006a1", false, false);
    push("620153a2", true, false);
    assert_out("000000014001aa\n000000012601a1a2 last\n");
}

/* The description was not changed with the setting: nothing comes, and the reason is known. */
static void test_other_codec_than_described(void **state)
{
    static const char *const h264[] = {"67640029ac", "0000000127420029ac", "1800052764001faa0001ff",
                                       "7800044742001e"};
    static const char *const hevc[] = {"40010c01ffff", "0000000140010c01", "6001000640010c01ffff"};
    for (size_t i = 0; i < sizeof(h264) / sizeof(h264[0]); i++) {
        open_track("m=video 0 RTP/AVP 99\na=rtpmap:99 H265/90000\n", TRACK_VIDEO);
        push("0201aa", true, false);
        assert_false(rtp_depacketizer_is_other_codec(dep));
        push(h264[i], false, false);
        assert_true(rtp_depacketizer_is_other_codec(dep));
        push("6511", true, false);
        assert_out("000000010201aa last\n");
    }
    for (size_t i = 0; i < sizeof(hevc) / sizeof(hevc[0]); i++) {
        open_h264();
        push(hevc[i], true, false);
        assert_true(rtp_depacketizer_is_other_codec(dep));
        push("2601aa", true, false);
        assert_out("");
    }
}

/* Their own parameter sets, and what only looks like the other's. */
static void test_codec_as_described(void **state)
{
    static const char *const h264[] = {"67640029ac", "400a", "40010001ff", "1800036764ff", "60"};
    static const char *const hevc[] = {"40010c01ffff", "420101016000", "2601af", "6764ff7f",
                                       "67550029"};
    open_h264();
    for (size_t i = 0; i < sizeof(h264) / sizeof(h264[0]); i++)
        push(h264[i], true, false);
    assert_false(rtp_depacketizer_is_other_codec(dep));
    rtp_depacketizer_free(&dep);
    open_track("m=video 0 RTP/AVP 99\na=rtpmap:99 H265/90000\n", TRACK_VIDEO);
    for (size_t i = 0; i < sizeof(hevc) / sizeof(hevc[0]); i++)
        push(hevc[i], true, false);
    assert_false(rtp_depacketizer_is_other_codec(dep));
    rtp_depacketizer_free(&dep);
}

static void test_hevc_of_another_layer(void **state)
{
    open_track("m=video 0 RTP/AVP 99\na=rtpmap:99 H265/90000\n", TRACK_VIDEO);
    push("0209aa", false, false);
    push("620993a1", false, false);
    push("620953a2", true, false);
    push("0201bb", true, false);
    assert_out("000000010201bb last\n");
}

static void test_empty_fragments(void **state)
{
    open_h264();
    push("7c85", false, false);
    push("7c45a2", true, false); /* of a unit without a beginning */
    push("7c85a1", false, false);
    push("7c05", false, false);
    push("7c45a3", true, false);
    assert_out("0000000165a1a3 last\n");
}

static void test_broken_payloads(void **state)
{
    static const char *const broken[] = {"7c",       "7c85", "18",   "1800",
                                         "18000541", "1a00", "1f00", "00"};
    open_h264();
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
        push(broken[i], i % 2 == 0, i % 3 == 0);
    push("6511", true, false);
    assert_non_null(strstr(out.text, "000000016511 last"));
    rtp_depacketizer_free(&dep);
}

static void test_audio(void **state)
{
    open_track("m=audio 0 RTP/AVP 8\n", TRACK_AUDIO);
    push("aabb", true, false);
    push("ccdd", true, true);
    assert_out("aabb\nccdd lost\n");
}

/* Several AAC frames in a packet (RFC 3640): their times follow the stream's pace. */
static void test_aac_frames_in_one_packet(void **state)
{
    open_track("m=audio 0 RTP/AVP 97\na=rtpmap:97 MPEG4-GENERIC/16000/1\n"
               "a=fmtp:97 streamtype=5;mode=AAC-hbr;config=1408;SizeLength=13;IndexLength=3;"
               "IndexDeltaLength=3\n",
               TRACK_AUDIO);
    for (int i = 0; i < 2; i++) {
        timestamp = 1000 + (uint32_t)i * 2048;
        push("0020"
             "0010"
             "0010"
             "aaaa"
             "bbbb",
             false, false);
    }
    assert_int_equal(out.packets, 4);
    assert_int_equal(out.pts[0], 1000);
    assert_int_equal(out.pts[1], 2024);
    assert_int_equal(out.pts[2], 3048);
    assert_int_equal(out.pts[3], 4072);
    assert_out("aaaa\nbbbb\naaaa\nbbbb\n");
}

static void open_aac(void)
{
    open_track("m=audio 0 RTP/AVP 97\na=rtpmap:97 mpeg4-generic/16000/1\n"
               "a=fmtp:97 streamtype=5;mode=AAC-hbr;config=1408;sizelength=13;indexlength=3;"
               "indexdeltalength=3\n",
               TRACK_AUDIO);
}

/* A frame of 4 bytes in two packets: libavformat joins it. */
static void test_aac_fragments(void **state)
{
    open_aac();
    push("00100020aabb", false, false);
    push("00100020ccdd", true, false);
    push("00100010eeff", true, true);
    assert_out("aabbccdd\neeff lost\n");
}

/* MP4A-LATM without cpresent=0: the configuration (LC, 16 kHz, mono) comes in band, and every bit
 * is shifted.  It goes on in ADTS: the description may tell another rate. */
static void test_latm_in_band(void **state)
{
    static const char *const descriptions[] = {
        "m=audio 0 RTP/AVP 97\na=rtpmap:97 MP4A-LATM/16000/1\n",
        "m=audio 0 RTP/AVP 97\na=rtpmap:97 MP4A-LATM/16000/1\na=fmtp:97 cpresent=1;object=2\n",
        "m=audio 0 RTP/AVP 97\na=rtpmap:97 MP4A-LATM/90000\n",
    };
    for (size_t i = 0; i < sizeof(descriptions) / sizeof(descriptions[0]); i++) {
        open_track(descriptions[i], TRACK_AUDIO);
        assert_int_equal(rtp_depacketizer_par(dep)->sample_rate, 16000);
        push("81eef77f80", true, false); /* before the first configuration */
        push("200014081fe01d55de60", true, false);
        push("81eef77f80", true, false);
        push("81ee", false, false); /* in two packets */
        push("f77f80", true, false);
        push("81ee", false, false); /* of three, of which one is lost */
        push("80", true, true);
        push("85eef77f80", true, false); /* longer than the element */
        push("20001408", true, false);
        push("81eef77f80", true, false);
        assert_out("fff16040015ffcaabbcc\nfff16040015ffcddeeff\nfff16040015ffcddeeff\n"
                   "fff16040015ffcddeeff lost\n");
    }
}

/* Of raw frames after their length, as some cameras send them without a configuration. */
/* The description has a configuration, and so have the elements, whatever it says of that. */
static void test_latm_with_two_configurations(void **state)
{
    static const char *const says[] = {"", "cpresent=1;", "cpresent=0;"};
    for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
        char text[128];
        (void)snprintf(text, sizeof(text),
                       "m=audio 0 RTP/AVP 97\na=rtpmap:97 MP4A-LATM/16000/1\n"
                       "a=fmtp:97 %sconfig=400028103fc0\n",
                       says[i]);
        open_track(text, TRACK_AUDIO);
        push("81ee", false, false); /* joined within an element */
        push("200014081fe01d55de60", true, false);
        push("200014081fe01d55de60", true, false);
        push("81eef77f80", true, false);
        rtp_depacketizer_free(&dep);
        assert_non_null(strstr(out.text, "fff16040015ffcaabbcc\nfff16040015ffcddeeff\n"));
        open_track(text, TRACK_AUDIO); /* it has none */
        for (size_t n = 0; n < 8; n++)
            push(n == 3 ? "21f800000000000000000000000000000000000000000000000000000000000000aa"
                        : "03ddeeff",
                 true, false);
        rtp_depacketizer_free(&dep);
        assert_memory_equal(out.text, "ddeeff\nddeeff\n", 14);
        assert_null(strstr(out.text, "fff1"));
    }
}

static void test_latm_without_configuration(void **state)
{
    open_track("m=audio 0 RTP/AVP 97\na=rtpmap:97 MP4A-LATM/16000/1\n"
               "a=fmtp:97 cpresent=0;config=\n",
               TRACK_AUDIO);
    push("03aabbcc", true, false);
    push("04aabb", false, false);
    push("ccdd", true, false);
    push("03ddeeff", true, false);
    assert_out("aabbcc\naabbccdd\nddeeff\n");
}

static void test_broken_aac(void **state)
{
    static const char *const broken[] = {"00",         "0010",         "001000",
                                         "00000010",   "00100000aabb", "00110010aabb",
                                         "ffff0010aa", "00100008aabb"};
    open_aac();
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++)
        push(broken[i], true, false);
    push("00100010eeff", true, false);
    assert_non_null(strstr(out.text, "eeff"));
    rtp_depacketizer_free(&dep);
}

int main(void)
{
    av_log_set_level(AV_LOG_QUIET);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_and_aggregate),
        cmocka_unit_test(test_wrapped_in_red),
        cmocka_unit_test(test_type_that_is_not_used),
        cmocka_unit_test(test_type_that_is_not_used_with_each_picture),
        cmocka_unit_test(test_private_units_that_look_wrapped),
        cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_joining_in_the_middle),
        cmocka_unit_test(test_fragments_of_another_type),
        cmocka_unit_test(test_lost_fragment),
        cmocka_unit_test(test_loss_before_padding),
        cmocka_unit_test(test_lost_start),
        cmocka_unit_test(test_lost_end),
        cmocka_unit_test(test_start_on_every_fragment),
        cmocka_unit_test(test_no_start_ever),
        cmocka_unit_test(test_end_on_every_fragment),
        cmocka_unit_test(test_no_end_ever),
        cmocka_unit_test(test_slices_without_ends),
        cmocka_unit_test(test_too_large_unit),
        cmocka_unit_test(test_whole_unit_in_one_fragment),
        cmocka_unit_test(test_marker_on_every_packet),
        cmocka_unit_test(test_annex_b_in_rtp),
        cmocka_unit_test(test_hevc),
        cmocka_unit_test(test_hevc_aggregates_of_a_temporal_layer),
        cmocka_unit_test(test_hevc_decoding_order_numbers),
        cmocka_unit_test(test_other_codec_than_described),
        cmocka_unit_test(test_codec_as_described),
        cmocka_unit_test(test_hevc_of_another_layer),
        cmocka_unit_test(test_empty_fragments),
        cmocka_unit_test(test_broken_payloads),
        cmocka_unit_test(test_audio),
        cmocka_unit_test(test_aac_frames_in_one_packet),
        cmocka_unit_test(test_aac_fragments),
        cmocka_unit_test(test_latm_in_band),
        cmocka_unit_test(test_latm_with_two_configurations),
        cmocka_unit_test(test_latm_without_configuration),
        cmocka_unit_test(test_broken_aac),
    };
    return cmocka_run_group_tests_name("rtp_depacketize", tests, NULL, NULL);
}
