/* worker/rtp/rtp_jpeg: a JPEG becomes RTP payloads here, and must be the same picture again. */
#include "test/unit/picture_track.h"
#include "test/unit/read_jpeg.h"
#include "test/unit/rgb_source.h"

#define WIDTH 64
#define HEIGHT 48
#define PIECE 200
#define MAP "a=rtpmap:96 JPEG/90000"

/* A JPEG, and its parts that RFC 2435 carries. */
struct source {
    struct jpeg *jpeg;
    uint8_t tables[128];
    const uint8_t *scan; /* without EOI */
    size_t scan_len;
};

static struct source source_make(uint32_t quality)
{
    struct source s = {.jpeg = NULL};
    uint8_t rgb[WIDTH * HEIGHT * 3];
    for (size_t i = 0; i < sizeof(rgb); i++)
        rgb[i] = (uint8_t)(i * i / 97 + i % 3 * 40);
    assert_int_equal(encode_rgb(rgb, WIDTH, HEIGHT, quality, 0, &s.jpeg), 0);
    const uint8_t *p = s.jpeg->data + 2;
    size_t tables = 0;
    for (;; p += 2 + (p[2] << 8 | p[3])) {
        size_t len = (size_t)(p[2] << 8 | p[3]) - 2;
        if (p[1] == 0xDB)
            for (size_t at = 0; at < len; at += 65, tables += 64)
                memcpy(s.tables + tables, p + 4 + at + 1, 64);
        if (p[1] == 0xDA)
            break;
    }
    assert_int_equal(tables, 128);
    s.scan = p + 2 + (p[2] << 8 | p[3]);
    s.scan_len = (size_t)(s.jpeg->data + s.jpeg->len - 2 - s.scan);
    return s;
}

/* How a test sends a picture. */
struct way {
    uint8_t type;
    uint8_t q;
    const uint8_t *tables; /* in band; NULL: none, but q may need their header */
    size_t tables_len;
    uint8_t precision;
    bool no_size;
    int drop;  /* index of the piece that is lost; -1: none */
    int wrong; /* index of the piece with another offset; -1: none */
    const uint8_t *extension;
    size_t extension_len;
};

static size_t put_headers(uint8_t *p, const struct way *w, size_t offset)
{
    size_t n = 8;
    memset(p, 0, 8);
    p[1] = (uint8_t)(offset >> 16);
    p[2] = (uint8_t)(offset >> 8);
    p[3] = (uint8_t)offset;
    p[4] = w->type;
    p[5] = w->q;
    p[6] = w->no_size ? 0 : WIDTH / 8;
    p[7] = w->no_size ? 0 : HEIGHT / 8;
    if (w->type >= 64) {
        memcpy(p + n, "\x00\x04\xff\xff", 4);
        n += 4;
    }
    if (w->q >= 128 && offset == 0) {
        p[n] = 0;
        p[n + 1] = w->precision;
        p[n + 2] = (uint8_t)(w->tables_len >> 8);
        p[n + 3] = (uint8_t)w->tables_len;
        if (w->tables_len > 0)
            memcpy(p + n + 4, w->tables, w->tables_len);
        n += 4 + w->tables_len;
    }
    return n;
}

static void send_picture(struct picture_track *t, const struct source *s, const struct way *w)
{
    bool lost = false;
    int index = 0;
    for (size_t at = 0; at < s->scan_len; at += PIECE, index++) {
        uint8_t payload[1024];
        size_t piece = s->scan_len - at < PIECE ? s->scan_len - at : PIECE;
        size_t n = put_headers(payload, w, index == w->wrong ? at + 1 : at);
        memcpy(payload + n, s->scan + at, piece);
        const struct rtp_packet packet = {.marker = at + piece == s->scan_len,
                                          .payload = payload,
                                          .payload_len = n + piece,
                                          .extension = w->extension,
                                          .extension_len = w->extension_len,
                                          .extension_profile = 0xFFD8};
        if (index != w->drop)
            picture_track_packet(t, packet, lost);
        else if (packet.marker)
            t->timestamp += 3600;
        lost = index == w->drop;
    }
}

static void assert_same(const struct picture_track *t, size_t i, const struct source *s)
{
    assert_true(i < t->count);
    struct jpeg *got = malloc(sizeof(*got) + t->pictures[i].len);
    assert_non_null(got);
    got->len = t->pictures[i].len;
    memcpy(got->data, t->pictures[i].data, got->len);
    uint8_t *a = read_jpeg(got, WIDTH, HEIGHT);
    uint8_t *b = read_jpeg(s->jpeg, WIDTH, HEIGHT);
    assert_memory_equal(a, b, (size_t)WIDTH * HEIGHT * 3);
    free(a);
    free(b);
    free(got);
}

/* The tables of every Q are those that an encoder makes of the same quality. */
static void test_numbered_tables(void **state)
{
    static const uint32_t qualities[] = {1, 10, 49, 50, 51, 75, 90};
    for (size_t i = 0; i < sizeof(qualities) / sizeof(qualities[0]); i++) {
        struct picture_track *t = picture_track_open(MAP);
        struct source s = source_make(qualities[i]);
        const struct way w = {.type = 1, .q = (uint8_t)qualities[i], .drop = -1, .wrong = -1};
        send_picture(t, &s, &w);
        send_picture(t, &s, &w);
        assert_int_equal(t->count, 2);
        assert_same(t, 0, &s);
        assert_same(t, 1, &s);
        assert_int_equal(t->pictures[1].pts - t->pictures[0].pts, 3600);
        jpeg_unref(&s.jpeg);
        picture_track_close(t);
    }
}

/* Tables in band: of Q 255 in each picture; of a Q below that once. */
static void test_tables_in_band(void **state)
{
    struct picture_track *t = picture_track_open(MAP);
    struct source s = source_make(37);
    struct way w = {
        .type = 1, .q = 255, .tables = s.tables, .tables_len = 128, .drop = -1, .wrong = -1};
    send_picture(t, &s, &w);
    w.q = 130;
    w.tables_len = 0; /* these have not come yet */
    send_picture(t, &s, &w);
    assert_int_equal(t->count, 1);
    w.tables_len = 128;
    send_picture(t, &s, &w);
    w.tables_len = 0;
    send_picture(t, &s, &w);
    assert_int_equal(t->count, 3);
    for (size_t i = 0; i < t->count; i++)
        assert_same(t, i, &s);
    assert_true(t->pictures[1].lost);
    assert_false(t->pictures[2].lost);
    jpeg_unref(&s.jpeg);
    picture_track_close(t);
}

/* 16-bit tables that say the same. */
static void test_wide_tables(void **state)
{
    struct picture_track *t = picture_track_open(MAP);
    struct source s = source_make(60);
    uint8_t wide[256] = {0};
    for (size_t i = 0; i < 128; i++)
        wide[2 * i + 1] = s.tables[i];
    const struct way w = {.type = 1,
                          .q = 255,
                          .tables = wide,
                          .tables_len = 256,
                          .precision = 3,
                          .drop = -1,
                          .wrong = -1};
    send_picture(t, &s, &w);
    assert_same(t, 0, &s);
    jpeg_unref(&s.jpeg);
    picture_track_close(t);
}

static bool has(const struct picture_track *t, const void *bytes, size_t len)
{
    return memmem(t->pictures[0].data, t->pictures[0].len, bytes, len) != NULL;
}

/* The scan itself has no restart markers and is 4:2:0: only the headers are looked at. */
static void test_restart_interval_and_sampling(void **state)
{
    struct picture_track *t = picture_track_open(MAP);
    struct source s = source_make(50);
    const struct way w = {.type = 64, .q = 50, .drop = -1, .wrong = -1};
    send_picture(t, &s, &w);
    assert_int_equal(t->count, 1);
    assert_true(has(t, "\xFF\xDD\x00\x04\x00\x04", 6));
    assert_true(has(t, "\x03\x01\x21\x00\x02\x11\x01\x03\x11\x01", 10));
    jpeg_unref(&s.jpeg);
    picture_track_close(t);
}

/* Whatever is missing: no part of the picture comes, and the next one says so. */
static void test_losses(void **state)
{
    struct source s = source_make(50);
    int pieces = (int)((s.scan_len + PIECE - 1) / PIECE);
    assert_true(pieces > 3);
    for (int drop = 0; drop < pieces; drop++) {
        struct picture_track *t = picture_track_open(MAP);
        struct way w = {.type = 1, .q = 50, .drop = drop, .wrong = -1};
        send_picture(t, &s, &w);
        w.drop = -1;
        /* The receiver reports a loss of the last piece with the next packet. */
        uint8_t payload[1024];
        size_t n = put_headers(payload, &w, 0);
        memcpy(payload + n, s.scan, PIECE);
        picture_track_push(t, payload, n + PIECE, false, drop == pieces - 1);
        size_t at = PIECE;
        for (; at < s.scan_len; at += PIECE) {
            size_t piece = s.scan_len - at < PIECE ? s.scan_len - at : PIECE;
            n = put_headers(payload, &w, at);
            memcpy(payload + n, s.scan + at, piece);
            picture_track_push(t, payload, n + piece, at + piece == s.scan_len, false);
        }
        assert_int_equal(t->count, 1);
        assert_true(t->pictures[0].lost);
        assert_same(t, 0, &s);
        picture_track_close(t);
    }
    jpeg_unref(&s.jpeg);
}

/* A camera that loses pieces before it numbers its packets. */
static void test_wrong_offset(void **state)
{
    struct picture_track *t = picture_track_open(MAP);
    struct source s = source_make(50);
    struct way w = {.type = 1, .q = 50, .drop = -1, .wrong = 2};
    send_picture(t, &s, &w);
    assert_int_equal(t->count, 0);
    w.wrong = -1;
    send_picture(t, &s, &w);
    assert_int_equal(t->count, 1);
    assert_true(t->pictures[0].lost);
    jpeg_unref(&s.jpeg);
    picture_track_close(t);
}

/* Above 2040 pixels the size stands elsewhere. */
static void test_size_elsewhere(void **state)
{
    static const char *const descriptions[] = {MAP "\na=framesize:96 64-48",
                                               MAP "\na=x-dimensions: 64,48",
                                               MAP "\na=fmtp:96 x-dimensions=64,48", MAP};
    static const uint8_t onvif[] = {0xFF,   0xD8, 0xFF,  0xC0, 0, 17,   8,    0,
                                    HEIGHT, 0,    WIDTH, 3,    1, 0x22, 0,    2,
                                    0x11,   1,    3,     0x11, 1, 0xFF, 0xFF, 0xFF};
    struct source s = source_make(50);
    for (size_t i = 0; i < 4; i++) {
        struct picture_track *t = picture_track_open(descriptions[i]);
        struct way w = {.type = 1, .q = 50, .drop = -1, .wrong = -1, .no_size = true};
        if (i == 3) {
            send_picture(t, &s, &w);
            assert_int_equal(t->count, 0); /* nobody says it */
            w.extension = onvif;
            w.extension_len = sizeof(onvif);
        }
        send_picture(t, &s, &w);
        assert_int_equal(t->count, 1);
        assert_same(t, 0, &s);
        picture_track_close(t);
    }
    jpeg_unref(&s.jpeg);
}

/* A size that is no multiple of 8 is rounded in the header only.  Another one counts for nothing.
 */
static void test_odd_size(void **state)
{
    static const struct {
        const char *description;
        uint8_t size[4]; /* of the frame header */
    } cases[] = {
        {MAP "\na=framesize:96 61-42", {0, 42, 0, 61}},
        {MAP "\na=x-dimensions: 57,41", {0, 41, 0, 57}},
        {MAP "\na=x-dimensions: 56,41", {0, HEIGHT, 0, WIDTH}},
        {MAP "\na=x-dimensions: 64,49", {0, HEIGHT, 0, WIDTH}},
        {MAP, {0, HEIGHT, 0, WIDTH}},
    };
    struct source s = source_make(50);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct picture_track *t = picture_track_open(cases[i].description);
        const struct way w = {.type = 1, .q = 50, .drop = -1, .wrong = -1};
        uint8_t head[9] = {0xFF, 0xC0, 0, 17, 8};
        memcpy(head + 5, cases[i].size, 4);
        send_picture(t, &s, &w);
        assert_int_equal(t->count, 1);
        assert_true(has(t, head, sizeof(head)));
        picture_track_close(t);
    }
    jpeg_unref(&s.jpeg);
}

/* Some old cameras send the file, headers and all. */
static void test_whole_files(void **state)
{
    struct picture_track *t = picture_track_open(MAP);
    struct source s = source_make(50);
    const struct way w = {.type = 1, .q = 50};
    for (size_t at = 0; at < s.jpeg->len; at += PIECE) {
        uint8_t payload[1024];
        size_t piece = s.jpeg->len - at < PIECE ? s.jpeg->len - at : PIECE;
        size_t n = put_headers(payload, &w, at);
        memcpy(payload + n, s.jpeg->data + at, piece);
        picture_track_push(t, payload, n + piece, at + piece == s.jpeg->len, false);
    }
    assert_int_equal(t->count, 1);
    assert_int_equal(t->pictures[0].len, s.jpeg->len);
    assert_memory_equal(t->pictures[0].data, s.jpeg->data, s.jpeg->len);
    jpeg_unref(&s.jpeg);
    picture_track_close(t);
}

static void test_static_payload_type(void **state)
{
    struct sdp *sdp = calloc(1, sizeof(*sdp));
    static const char text[] = "m=video 0 RTP/AVP 26\n";
    assert_non_null(sdp);
    sdp_parse(sdp, text, strlen(text));
    const struct sdp_track *track = sdp_choose(sdp, TRACK_VIDEO);
    assert_string_equal(track->codec, "JPEG");
    assert_int_equal(track->clock_rate, 90000);
    free(sdp);
}

/* H.264 goes before anything that must be transcoded. */
static void test_preference(void **state)
{
    static const char text[] = "m=video 0 RTP/AVP 26\nm=video 0 RTP/AVP 96 97\n"
                               "a=rtpmap:96 JPEG/90000\na=rtpmap:97 H264/90000\n";
    struct sdp *sdp = calloc(1, sizeof(*sdp));
    assert_non_null(sdp);
    sdp_parse(sdp, text, strlen(text));
    const struct sdp_track *track = sdp_choose(sdp, TRACK_VIDEO);
    assert_string_equal(track->codec, "H264");
    assert_int_equal(track->payload_type, 97);
    free(sdp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbered_tables),
        cmocka_unit_test(test_tables_in_band),
        cmocka_unit_test(test_wide_tables),
        cmocka_unit_test(test_restart_interval_and_sampling),
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_wrong_offset),
        cmocka_unit_test(test_size_elsewhere),
        cmocka_unit_test(test_odd_size),
        cmocka_unit_test(test_whole_files),
        cmocka_unit_test(test_static_payload_type),
        cmocka_unit_test(test_preference),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
