/* worker/rtp/rtp_picture and the payload formats that are simpler than JPEG: payloads in, whole
 * pictures out. */
#include "test/unit/picture_track.h"

static void test_mpeg4(void **state)
{
    struct picture_track *t = picture_track_open(
        "a=rtpmap:96 MP4V-ES/90000\na=fmtp:96 profile-level-id=1;config=000001B001");
    const AVCodecParameters *par = rtp_depacketizer_par(t->depacketizer);
    assert_int_equal(par->codec_id, AV_CODEC_ID_MPEG4);
    assert_int_equal(par->extradata_size, 5);
    assert_memory_equal(par->extradata, "\x00\x00\x01\xB0\x01", 5);
    picture_track_hex(t, "0101", true, false); /* the rest of a picture */
    picture_track_hex(t, "000001b610", false, false);
    picture_track_hex(t, "aabb", true, false);
    picture_track_hex(t, "000001b650", false, false);
    picture_track_hex(t, "ccdd", true, true); /* lost: something before this */
    picture_track_hex(t, "000001b651", true, false);
    picture_track_hex(t, "000001b652", true, true); /* lost: a whole picture */
    picture_track_hex(t, "000001b653", false, false);
    picture_track_hex(t, "ee", true, true); /* lost: a part of it */
    picture_track_hex(t, "000001b654", true, false);
    picture_track_expect(t, "000001b610aabb lost\n000001b651 lost\n000001b652 lost\n"
                            "000001b654 lost\n");
    picture_track_close(t);
}

/* Without markers a picture ends where the timestamp changes. */
static void test_missing_markers(void **state)
{
    struct picture_track *t = picture_track_open("a=rtpmap:96 MP4V-ES/90000");
    picture_track_hex(t, "000001b610", false, false);
    picture_track_hex(t, "aa", false, false);
    t->timestamp += 3600;
    picture_track_hex(t, "000001b650", false, false);
    t->timestamp += 3600;
    picture_track_hex(t, "000001b651", false, true); /* the end of the one before, perhaps */
    t->timestamp += 3600;
    picture_track_hex(t, "000001b652", false, false);
    picture_track_expect(t, "000001b610aa\n000001b651 lost\n");
    assert_int_equal(t->pictures[0].pts, 1000);
    assert_int_equal(t->pictures[1].pts, 1000 + 2 * 3600);
    picture_track_close(t);
}

/* GStreamer's rtpmp4vpay fills packets with small pictures, under the time of the first. */
static void test_several_mpeg4_pictures_in_a_packet(void **state)
{
    struct picture_track *t = picture_track_open("a=rtpmap:96 MP4V-ES/90000");
    picture_track_hex(t,
                      "000001b310"
                      "000001b61011"
                      "000001b652"
                      "000001b653",
                      true, false);
    t->timestamp += 5400; /* the three took 9000 ticks */
    picture_track_hex(t,
                      "000001b654"
                      "000001b655"
                      "000001b1",
                      true, false); /* and an end code */
    picture_track_hex(t, "000001b656", false, false);
    picture_track_hex(t,
                      "000001b657"
                      "0000",
                      true, true);
    picture_track_expect(t, "000001b310000001b61011\n000001b652\n000001b653\n"
                            "000001b654\n000001b655000001b1\n");
    static const int64_t pts[] = {1000, 4600, 8200, 10000, 13000};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(t->pictures[i].pts, pts[i]);
    picture_track_close(t);
}

/* Not millions of pictures in one call. */
static void test_pictures_in_a_packet_are_bounded(void **state)
{
    struct picture_track *t = picture_track_open("a=rtpmap:96 MP4V-ES/90000");
    uint8_t data[5 * 33];
    for (size_t i = 0; i < sizeof(data); i += 5)
        memcpy(data + i, "\0\0\1\xB6", 5);
    picture_track_push(t, data, sizeof(data), true, false);
    picture_track_hex(t, "000001b610", true, false);
    picture_track_expect(t, "000001b610 lost\n");
    t->count = 0;
    picture_track_push(t, data, 5 * (PICTURES_MAX - 1), true, false);
    assert_int_equal(t->count, PICTURES_MAX - 1);
    picture_track_close(t);
}

/* A packet of padding alone follows a loss: what comes after it is no part of a whole picture. */
static void test_loss_before_padding(void **state)
{
    struct picture_track *t = picture_track_open("a=rtpmap:96 VP8/90000");
    picture_track_hex(t, "10aa", false, false);
    picture_track_hex(t, "", false, true);
    picture_track_hex(t, "00cc", true, false);
    picture_track_hex(t, "10dd", true, false);
    picture_track_expect(t, "dd lost\n");
    picture_track_close(t);
}

static void test_vp8(void **state)
{
    struct picture_track *t = picture_track_open("a=rtpmap:96 VP8/90000");
    picture_track_hex(t, "10aa", false, false);          /* S, partition 0 */
    picture_track_hex(t, "01bb", true, false);           /* partition 1 */
    picture_track_hex(t, "90f0800142e0cc", true, false); /* picture number, TL0PICIDX, TID */
    picture_track_hex(t, "908001dd", true, false);       /* short picture number */
    picture_track_hex(t, "00ee", true, false);           /* not a beginning */
    picture_track_hex(t, "10ff", false, false);
    picture_track_hex(t, "10ff", true, false); /* a second beginning: what lies between is lost */
    picture_track_hex(t, "90", true, false);   /* cut off */
    picture_track_hex(t, "1011", true, false);
    picture_track_expect(t, "aabb\ncc\ndd\n11 lost\n");
    picture_track_close(t);
}

static void test_vp9(void **state)
{
    struct picture_track *t = picture_track_open("a=rtpmap:96 VP9/90000");
    picture_track_hex(t, "8c01aa", true, false);     /* I B E */
    picture_track_hex(t, "888101bb", false, false);  /* long number, B */
    picture_track_hex(t, "848101cc", true, false);   /* E */
    picture_track_hex(t, "ac020005dd", true, false); /* L: layer, TL0PICIDX */
    picture_track_hex(t,
                      "dc0303"
                      "02ee",
                      true, false); /* P F: two references */
    picture_track_hex(t,
                      "0e1802800168010400"
                      "0102030405",
                      true, false); /* V: size, group */
    picture_track_hex(t,
                      "a80400"
                      "0177",
                      false, false); /* first spatial layer */
    picture_track_hex(t,
                      "a40402"
                      "0188",
                      true, false); /* second: left out */
    picture_track_hex(t,
                      "80"
                      "0599",
                      true, false); /* no beginning */
    picture_track_expect(t, "aa\nbbcc\ndd\nee\n0102030405\n77\n");
    picture_track_close(t);
}

static void test_h263_1998(void **state)
{
    struct picture_track *t = picture_track_open("a=rtpmap:96 H263-1998/90000");
    assert_int_equal(rtp_depacketizer_par(t->depacketizer)->codec_id, AV_CODEC_ID_H263);
    picture_track_hex(t, "040080aa", false, false);    /* P: its zeros are left out */
    picture_track_hex(t, "0000bb", true, false);       /* continues */
    picture_track_hex(t, "0410eeee82cc", true, false); /* PLEN 2 */
    picture_track_hex(t,
                      "060011"
                      "80dd",
                      true, false);                /* V */
    picture_track_hex(t, "040083", false, false);  /* a slice's start code in a picture: */
    picture_track_hex(t, "0400a0ee", true, false); /* ... GN 4 */
    picture_track_hex(t, "0400a0ee", true, false); /* no beginning */
    picture_track_hex(t, "05f800", true, false);   /* PLEN too large */
    picture_track_hex(t, "04008011", true, false);
    picture_track_expect(t, "000080aabb\n000082cc\n000080dd\n0000830000a0ee\n00008011 lost\n");
    picture_track_close(t);
}

static void test_h263_rfc2190(void **state)
{
    struct picture_track *t = picture_track_open("a=rtpmap:96 H263/90000");
    picture_track_hex(t,
                      "03000000"
                      "000080af",
                      false, false); /* mode A, EBIT 3 */
    picture_track_hex(t,
                      "a8000000"
                      "00000000"
                      "05bb",
                      true, false); /* mode B, SBIT 5: joined */
    picture_track_hex(t,
                      "00000000"
                      "000081cc",
                      false, false);
    picture_track_hex(t,
                      "c0000000"
                      "00000000"
                      "00000000"
                      "dd",
                      true, false); /* mode C */
    picture_track_hex(t,
                      "03000000"
                      "000080a8",
                      false, false);
    picture_track_hex(t,
                      "a0000000"
                      "00000000"
                      "05bb",
                      true, false); /* SBIT 4 does not fit */
    picture_track_hex(t,
                      "00000000"
                      "000000cc",
                      true, false); /* no start code */
    picture_track_hex(t,
                      "00000000"
                      "00008211",
                      true, false);
    picture_track_expect(t, "000080adbb\n000081ccdd\n00008211 lost\n");
    picture_track_close(t);
}

static void test_av1(void **state)
{
    struct picture_track *t = picture_track_open("a=rtpmap:96 AV1/90000");
    /* N, W 0: each element has its length: temporal delimiter (left out), sequence header, frame */
    picture_track_hex(t,
                      "08"
                      "0110"
                      "0308aabb"
                      "0330cccc",
                      true, false);
    /* W 2: the last has none; the first has its own size */
    picture_track_hex(t,
                      "20"
                      "043202eeee"
                      "30ff",
                      true, false);
    /* Y: a frame continues in the next payload (Z), twice */
    picture_track_hex(t,
                      "50"
                      "301111",
                      false, false);
    picture_track_hex(t,
                      "d0"
                      "2222",
                      false, false);
    picture_track_hex(t,
                      "90"
                      "33",
                      true, false);
    picture_track_hex(t,
                      "90"
                      "33",
                      true, false); /* nothing to continue */
    picture_track_hex(t,
                      "50"
                      "3044",
                      true, false); /* not continued */
    picture_track_hex(t,
                      "00"
                      "0530",
                      true, false); /* a length beyond the end */
    picture_track_hex(t,
                      "10"
                      "340877",
                      true, false); /* with an extension */
    picture_track_hex(t,
                      "08"
                      "858080808080800030cccccccc",
                      true, false); /* a length in eight bytes */
    picture_track_expect(t, "0a02aabb3202cccc\n3202eeee3201ff\n32051111222233\n36080177 lost\n"
                            "3204cccccccc\n");
    picture_track_close(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mpeg4),
        cmocka_unit_test(test_missing_markers),
        cmocka_unit_test(test_several_mpeg4_pictures_in_a_packet),
        cmocka_unit_test(test_pictures_in_a_packet_are_bounded),
        cmocka_unit_test(test_loss_before_padding),
        cmocka_unit_test(test_vp8),
        cmocka_unit_test(test_vp9),
        cmocka_unit_test(test_h263_1998),
        cmocka_unit_test(test_h263_rfc2190),
        cmocka_unit_test(test_av1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
