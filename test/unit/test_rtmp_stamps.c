/*
 * worker/flv/rtmp_stamps, read_ahead: RTMP whose extended timestamps are repeated or not, read as
 * libavformat reads it.
 */
#include "worker/flv/rtmp_stamps.h"

#include "common/bytes.h"
#include "worker/flv/read_ahead.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define HANDSHAKE 3073
#define CHUNK 128
#define STREAMS 500

struct sent {
    uint8_t *data;
    size_t len;
};

static void put(struct sent *s, const void *data, size_t len)
{
    s->data = realloc(s->data, s->len + len + 1);
    memcpy(s->data + s->len, data, len);
    s->len += len;
}

static void put_number(struct sent *s, uint32_t value, unsigned bytes)
{
    uint8_t b[4];
    bytes_put32(b, value);
    put(s, b + 4 - bytes, bytes);
}

static void put_basic(struct sent *s, unsigned format, unsigned id)
{
    if (id < 64) {
        put_number(s, format << 6 | id, 1);
    } else if (id < 320) {
        put_number(s, format << 6, 1);
        put_number(s, id - 64, 1);
    } else {
        put_number(s, format << 6 | 1, 1);
        put_number(s, (id - 64) & 0xff, 1);
        put_number(s, (id - 64) >> 8, 1);
    }
}

/* A message, whose byte at i is (uint8_t)(size + i); the first chunk has a header of that format.
 */
struct message {
    unsigned format, id;
    uint32_t stamp, size;
    bool repeats;
};

static void put_chunk(struct sent *s, const struct message *m, uint32_t at)
{
    unsigned format = at == 0 ? m->format : 3;
    bool extended = m->stamp >= 0xffffff;
    put_basic(s, format, m->id);
    if (format < 3)
        put_number(s, extended ? 0xffffff : m->stamp, 3);
    if (format < 2) {
        put_number(s, m->size, 3);
        put_number(s, 9, 1);
    }
    if (format == 0)
        put_number(s, 0x01000000, 4);
    if (extended && (at == 0 || m->repeats))
        put_number(s, m->stamp, 4);
    for (uint32_t i = at; i < m->size && i < at + CHUNK; i++)
        put_number(s, m->size + i, 1);
}

/* --- as libavformat reads ------------------------------------------------- */

struct reader {
    int fds[2];
    const struct sent *sent;
    size_t written, piece;
    struct {
        uint32_t stamp_field, size, left;
    } streams[STREAMS];
    unsigned messages;
};

static void read_all(struct reader *r, uint8_t *to, size_t len)
{
    while (len > 0) {
        ssize_t n = recv(r->fds[0], to, len, 0);
        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            size_t left = r->sent->len - r->written;
            size_t some = left < r->piece ? left : r->piece;
            if (some > 0) /* else it is on its way */
                assert_int_equal(write(r->fds[1], r->sent->data + r->written, some), some);
            r->written += some;
            continue;
        }
        assert_true(n > 0);
        to += n;
        len -= (size_t)n;
    }
}

static uint32_t read_number(struct reader *r, unsigned bytes)
{
    uint8_t b[4];
    read_all(r, b, bytes);
    return (uint32_t)bytes_get(b, bytes);
}

/* @return the chunk's stamp. */
static uint32_t read_chunk(struct reader *r)
{
    uint8_t b[CHUNK];
    unsigned format = read_number(r, 1);
    uint32_t id = format & 0x3f;
    format >>= 6;
    if (id < 2) {
        unsigned bytes = id + 1;
        b[1] = 0;
        read_all(r, b, bytes);
        id = (b[0] | (uint32_t)b[1] << 8) + 64;
    }
    assert_true(id < STREAMS);
    uint32_t size = r->streams[id].size;
    if (format < 3)
        r->streams[id].stamp_field = read_number(r, 3);
    if (format < 2) {
        size = read_number(r, 3);
        assert_int_equal(read_number(r, 1), 9);
    }
    if (format == 0)
        read_number(r, 4);
    uint32_t stamp = r->streams[id].stamp_field;
    if (stamp == 0xffffff)
        stamp = read_number(r, 4);
    if (r->streams[id].left == 0)
        r->streams[id].left = size;
    r->streams[id].size = size;
    uint32_t some = r->streams[id].left < CHUNK ? r->streams[id].left : CHUNK;
    if (some > 0)
        read_all(r, b, some);
    for (uint32_t i = 0; i < some; i++)
        assert_int_equal(b[i], (uint8_t)(size + size - r->streams[id].left + i));
    r->streams[id].left -= some;
    r->messages += r->streams[id].left == 0;
    return stamp;
}

/* TCP, since MSG_PEEK ends at each write() of a socketpair(). */
static void connect_both(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr *generic = (struct sockaddr *)(void *)&address;
    socklen_t len = sizeof(address);
    int on = 1;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    fds[1] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, generic, len), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, generic, &len), 0);
    assert_int_equal(connect(fds[1], generic, len), 0);
    assert_int_equal(setsockopt(fds[1], IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)), 0);
    fds[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    assert_true(fds[0] >= 0);
    close(listener);
}

static void read_sent(const struct sent *sent, size_t piece, bool ahead, unsigned messages,
                      uint32_t last_stamp)
{
    static struct read_ahead buffer;
    struct rtmp_stamps stamps = {.lost = false};
    struct reader r = {.sent = sent, .piece = piece};
    uint8_t handshake[HANDSHAKE];
    uint32_t stamp = 0;
    connect_both(r.fds);
    rtmp_stamps_begin(&stamps);
    read_all(&r, handshake, 1537);
    read_all(&r, handshake, 1536);
    if (ahead)
        read_ahead_begin(&buffer, r.fds[0]);
    while (r.messages < messages)
        stamp = read_chunk(&r);
    assert_false(stamps.lost);
    assert_int_equal(r.written, sent->len);
    assert_int_equal(stamp, last_stamp);
    read_ahead_end();
    rtmp_stamps_end();
    close(r.fds[0]);
    close(r.fds[1]);
}

static void read_in_pieces(const struct sent *sent, unsigned messages, uint32_t last_stamp)
{
    for (size_t piece = 1; piece < 9; piece++) {
        read_sent(sent, piece, false, messages, last_stamp);
        read_sent(sent, piece, true, messages, last_stamp);
    }
    read_sent(sent, 1000, true, messages, last_stamp);
}

static void put_message(struct sent *s, const struct message *m)
{
    uint32_t at = 0;
    do {
        put_chunk(s, m, at);
        at += CHUNK;
    } while (at < m->size);
}

static void test_repeated_or_not(void **state)
{
    static const uint8_t zeros[HANDSHAKE];
    (void)state;
    for (int repeats = 0; repeats < 2; repeats++) {
        const struct message messages[] = {
            {0, 4, 1000, 300, repeats},
            {0, 4, 0xffffff, 500, repeats},
            {1, 4, 0x1000000, 130, repeats},
            {2, 4, 40, 130, repeats},
            {0, 6, 0x2000000, 10, repeats},
            {0, 6, 0x2000000, 260, repeats},
            {1, 6, 0, 0, repeats},
            {0, 70, 0x3000000, 384, repeats},
            {0, 400, 0x3000000, 257, repeats},
            {3, 400, 0x3000000, 257, repeats},
        };
        struct sent s = {.data = NULL};
        put(&s, zeros, sizeof(zeros));
        for (size_t i = 0; i < 9; i++)
            put_message(&s, &messages[i]);
        if (repeats) /* a chunk that begins a message must have it */
            put_message(&s, &messages[9]);
        read_in_pieces(&s, repeats ? 10 : 9, 0x3000000);
        free(s.data);
    }
}

/* A part of what may be a stamp: poll() waits for the rest, and whoever watches over deadlines is
 * not told that there is something to read. */
static void test_a_part_of_a_stamp(void **state)
{
    static const uint8_t zeros[HANDSHAKE];
    static const struct message message = {0, 4, 0x3000000, 200, true};
    static struct read_ahead buffer;
    (void)state;
    struct sent s = {.data = NULL};
    struct rtmp_stamps stamps = {.lost = false};
    struct reader r = {.sent = &s, .piece = 100000};
    uint8_t bytes[HANDSHAKE];
    put(&s, zeros, sizeof(zeros));
    put_message(&s, &message);
    size_t rest = 3 + 200 - CHUNK; /* of the stamp, and the second chunk's data */
    s.len -= rest;
    connect_both(r.fds);
    rtmp_stamps_begin(&stamps);
    read_all(&r, bytes, 1537);
    read_all(&r, bytes, 1536);
    read_ahead_begin(&buffer, r.fds[0]);
    read_chunk(&r);
    assert_int_equal(read_number(&r, 1), 0xc4);

    struct pollfd p = {.fd = r.fds[0], .events = POLLIN};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(recv(r.fds[0], bytes, 4, 0), -1);
        assert_int_equal(errno, EAGAIN);
        assert_false(read_ahead_has_bytes());
        assert_int_equal(poll(&p, 1, 0), 0);
    }
    s.len += rest;
    assert_int_equal(write(r.fds[1], s.data + s.len - rest, rest), rest);
    assert_int_equal(poll(&p, 1, 30000), 1);
    r.written = s.len;
    assert_int_equal(read_number(&r, 4), 0x3000000);
    assert_true(read_ahead_has_bytes());
    read_all(&r, bytes, 200 - CHUNK);

    /* The same at the end of the connection. */
    r.streams[4].left = 0;
    put_message(&s, &message);
    size_t most = s.len - r.written - rest;
    assert_int_equal(write(r.fds[1], s.data + r.written, most), most);
    r.written = s.len;
    read_chunk(&r);
    assert_int_equal(read_number(&r, 1), 0xc4);
    assert_int_equal(shutdown(r.fds[1], SHUT_WR), 0);
    assert_int_equal(poll(&p, 1, 30000), 1);
    assert_int_equal(recv(r.fds[0], bytes, 4, 0), 0);
    read_ahead_end();
    rtmp_stamps_end();
    close(r.fds[0]);
    close(r.fds[1]);
    free(s.data);
}

/* Chunks of several messages take turns. */
static void test_taking_turns(void **state)
{
    static const uint8_t zeros[HANDSHAKE];
    static const struct message messages[] = {
        {0, 4, 0x4000000, 500, false}, {0, 5, 0x5000000, 500, true}, {0, 6, 7, 500, false}};
    (void)state;
    struct sent s = {.data = NULL};
    put(&s, zeros, sizeof(zeros));
    for (int round = 0; round < 3; round++)
        for (uint32_t at = 0; at < 500; at += CHUNK)
            for (size_t i = 0; i < 3; i++)
                put_chunk(&s, &messages[i], at);
    read_in_pieces(&s, 9, 7);
    free(s.data);
}

/* What it does not understand, it leaves alone. */
static void test_too_many_streams(void **state)
{
    uint8_t stamp[RTMP_STAMP_BYTES];
    struct rtmp_stamps stamps = {.lost = false};
    (void)state;
    rtmp_stamps_begin(&stamps);
    rtmp_stamps_look("\xc4", 1, 0); /* nothing came */
    rtmp_stamps_look("\xc4", 1, -1);
    for (unsigned id = 2; id < 2 + RTMP_STAMPS_STREAMS; id++) {
        uint8_t basic = (uint8_t)(0xc0 | id);
        rtmp_stamps_look(&basic, 1, 1);
        assert_false(stamps.lost);
    }
    rtmp_stamps_look("\xff", 1, 1);
    assert_true(stamps.lost);
    assert_false(rtmp_stamps_expect(4, stamp));
    rtmp_stamps_end();

    memset(&stamps, 0, sizeof(stamps));
    rtmp_stamps_begin(&stamps);
    rtmp_stamps_look("\4", 1, 1);
    rtmp_stamps_look("\0\0\0\0", 4, 4); /* three bytes should have been asked for */
    assert_true(stamps.lost);
    rtmp_stamps_end();
    rtmp_stamps_look("\4", 1, 1);
    assert_false(rtmp_stamps_expect(4, stamp));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repeated_or_not),
        cmocka_unit_test(test_a_part_of_a_stamp),
        cmocka_unit_test(test_taking_turns),
        cmocka_unit_test(test_too_many_streams),
    };
    return cmocka_run_group_tests_name("rtmp_stamps", tests, NULL, NULL);
}
