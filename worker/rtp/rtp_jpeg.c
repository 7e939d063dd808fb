/* JPEG over RTP: RFC 2435 carries the scan and numbers that stand for its headers.  The headers are
 * made again here, as in its appendices A and B. */
#include "common/bytes.h"
#include "worker/rtp/rtp_jpeg_tables.h"
#include "worker/rtp/rtp_payload.h"

#include <string.h>

#define HEADER_BYTES 8
#define RESTART_HEADER_BYTES 4
#define TABLE_HEADER_BYTES 4
#define Q_IN_BAND 128
#define Q_CHANGING 255 /* these tables may differ from picture to picture */
#define TYPE_RESTART 64
#define HEAD_MAX 1024
#define ONVIF_EXTENSION 0xFFD8u

enum { SOI = 0xD8, EOI = 0xD9, SOF0 = 0xC0, SOF1 = 0xC1, SOF2 = 0xC2, DHT = 0xC4, SOS = 0xDA };
enum { DQT = 0xDB, DRI = 0xDD, APP0 = 0xE0 };

/* What the payload headers say about a picture. */
struct description {
    unsigned type; /* 0: 4:2:2, 1: 4:2:0; without TYPE_RESTART */
    unsigned q;
    unsigned width;
    unsigned height;
    unsigned restart_interval; /* 0: none */
    const uint8_t *tables;
    size_t tables_len;
    unsigned precision;   /* a bit for each table: 16-bit elements */
    uint8_t made[2 * 64]; /* the tables of a numbered Q */
};

/* Bytes not read yet. */
struct cursor {
    const uint8_t *pos;
    size_t left;
};

static const uint8_t *take(struct cursor *c, size_t len)
{
    if (len > c->left)
        return NULL;
    const uint8_t *p = c->pos;
    c->pos += len;
    c->left -= len;
    return p;
}

/* --- making headers ------------------------------------------------------- */

static uint8_t *put_marker(uint8_t *p, unsigned marker, unsigned len)
{
    return bytes_put16(bytes_put16(p, 0xFF00u | marker), len);
}

static uint8_t *put_bytes(uint8_t *p, const void *data, size_t len)
{
    memcpy(p, data, len);
    return p + len;
}

static uint8_t *put_jfif(uint8_t *p)
{
    static const uint8_t jfif[] = {'J', 'F', 'I', 'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0};
    return put_bytes(put_marker(p, APP0, 2 + sizeof(jfif)), jfif, sizeof(jfif));
}

/* Sets *wide if a table has 16-bit elements: such a picture is not baseline. */
static uint8_t *put_tables(uint8_t *p, const struct description *d, bool *wide)
{
    struct cursor c = {d->tables, d->tables_len};
    const uint8_t *table = NULL;
    size_t size = 0;
    unsigned is_wide = 0;
    for (unsigned i = 0; i < 2; i++) {
        size_t next_size = (d->precision >> i & 1u) != 0 ? 128 : 64;
        const uint8_t *next = take(&c, next_size);
        if (next != NULL) { /* else one table serves all components */
            table = next;
            size = next_size;
            is_wide = d->precision >> i & 1u;
        }
        if (table == NULL)
            return NULL;
        *wide |= is_wide != 0;
        p = put_marker(p, DQT, (unsigned)(3 + size));
        p = put_bytes(bytes_put8(p, is_wide << 4 | i), table, size);
    }
    return p;
}

/* ITU-T T.81 B.2.2: luma is sampled 2x1 or 2x2. */
static uint8_t *put_frame_header(uint8_t *p, const struct description *d, bool wide)
{
    p = put_marker(p, wide ? SOF1 : SOF0, 17);
    p = bytes_put8(p, 8);
    p = bytes_put16(bytes_put16(p, d->height), d->width);
    p = bytes_put8(p, 3);
    p = bytes_put24(p, 0x010000u | (d->type == 0 ? 0x2100u : 0x2200u));
    p = bytes_put24(p, 0x021101u);
    return bytes_put24(p, 0x031101u);
}

static uint8_t *put_huffman(uint8_t *p)
{
    for (size_t i = 0; i < RTP_JPEG_HUFFMAN_COUNT; i++) {
        const struct rtp_jpeg_huffman *h = &rtp_jpeg_huffman[i];
        p = put_marker(p, DHT, (unsigned)(3 + sizeof(h->counts) + h->len));
        p = bytes_put8(p, h->class_and_id);
        p = put_bytes(p, h->counts, sizeof(h->counts));
        p = put_bytes(p, h->symbols, h->len);
    }
    return p;
}

static uint8_t *put_scan_header(uint8_t *p)
{
    static const uint8_t scan[] = {3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0};
    return put_bytes(put_marker(p, SOS, 2 + sizeof(scan)), scan, sizeof(scan));
}

/* @return bytes; 0: the description is not complete. */
static size_t make_headers(uint8_t *head, const struct description *d)
{
    bool wide = false;
    uint8_t *p = bytes_put16(head, 0xFF00u | SOI);
    p = put_tables(put_jfif(p), d, &wide);
    if (p == NULL || d->width == 0 || d->height == 0)
        return 0;
    p = put_frame_header(p, d, wide);
    if (d->restart_interval != 0)
        p = bytes_put16(put_marker(p, DRI, 4), d->restart_interval);
    p = put_scan_header(put_huffman(p));
    return (size_t)(p - head);
}

/* --- reading -------------------------------------------------------------- */

/* ONVIF: JPEG segments in the header extension.  Take the size from the frame header. */
static void read_extension(const struct rtp_packet *packet, struct description *d)
{
    struct cursor c = {packet->extension, packet->extension_len};
    if (packet->extension_profile != ONVIF_EXTENSION)
        return;
    while (c.left >= 4 && c.pos[0] == 0xFF) {
        unsigned marker = c.pos[1];
        if (marker == SOI || marker == 0xFF) { /* 0xFF: padding */
            (void)take(&c, marker == SOI ? 2 : 1);
            continue;
        }
        const uint8_t *segment = take(&c, 2u + bytes_get16(c.pos + 2));
        if (segment == NULL)
            return;
        if (marker >= SOF0 && marker <= SOF2 && c.pos - segment >= 9) {
            d->height = bytes_get16(segment + 5);
            d->width = bytes_get16(segment + 7);
        }
    }
}

/* Tables in band (section 3.1.8), or those that an earlier picture brought. */
static bool read_tables(struct rtp_jpeg *j, struct cursor *c, struct description *d)
{
    const uint8_t *head = take(c, TABLE_HEADER_BYTES);
    if (head == NULL)
        return false;
    d->precision = head[1];
    d->tables_len = bytes_get16(head + 2);
    d->tables = take(c, d->tables_len);
    if (d->tables == NULL)
        return false;
    if (d->q == Q_CHANGING)
        return d->tables_len > 0;
    size_t at = d->q - Q_IN_BAND;
    if (d->tables_len > 0 && d->tables_len <= RTP_JPEG_TABLES_MAX) {
        memcpy(j->tables[at].data, d->tables, d->tables_len);
        j->tables[at].len = (uint16_t)d->tables_len;
        j->tables[at].precision = (uint8_t)d->precision;
    } else if (d->tables_len == 0) {
        d->tables = j->tables[at].data;
        d->tables_len = j->tables[at].len;
        d->precision = j->tables[at].precision;
    }
    return d->tables_len > 0;
}

/* The header counts units of 8 pixels, up to 255 of them.  The session's description may tell the
 * size itself. */
static void take_exact_size(const struct rtp_jpeg *j, struct description *d)
{
    bool none = d->width == 0 || d->height == 0;
    if (none || ((j->width + 7) / 8 * 8 == d->width && (j->height + 7) / 8 * 8 == d->height)) {
        d->width = j->width;
        d->height = j->height;
    }
}

/* Begin a picture: `c` stands after the headers that every payload has. */
static bool begin(struct rtp_jpeg *j, struct rtp_buffer *out, const struct rtp_packet *packet,
                  struct cursor *c, struct description *d)
{
    uint8_t head[HEAD_MAX];
    size_t len = 0;
    if (d->q >= Q_IN_BAND && !read_tables(j, c, d))
        return false;
    if (d->q < Q_IN_BAND) {
        rtp_jpeg_make_tables(d->made, d->q);
        d->tables = d->made;
        d->tables_len = sizeof(d->made);
    }
    take_exact_size(j, d);
    read_extension(packet, d);
    bool whole = c->left > 2 && c->pos[0] == 0xFF && c->pos[1] == SOI; /* some old cameras */
    if (!whole) {
        len = make_headers(head, d);
        if (d->type > 1 || len == 0)
            return false;
    }
    j->head_len = len;
    return rtp_buffer_append(out, head, len);
}

bool rtp_jpeg_add(struct rtp_jpeg *jpeg, struct rtp_buffer *out, const struct rtp_packet *packet,
                  bool first)
{
    struct cursor c = {packet->payload, packet->payload_len};
    const uint8_t *p = take(&c, HEADER_BYTES);
    if (p == NULL)
        return false;
    struct description d = {.type = p[4], .q = p[5], .width = p[6] * 8u, .height = p[7] * 8u};
    size_t offset = bytes_get24(p + 1);
    if (first)
        jpeg->scan_type = p[4];
    if (d.type >= TYPE_RESTART && d.type < 2 * TYPE_RESTART) {
        const uint8_t *restart = take(&c, RESTART_HEADER_BYTES);
        if (restart == NULL)
            return false;
        d.restart_interval = bytes_get16(restart);
        d.type -= TYPE_RESTART;
    }
    if (p[4] != jpeg->scan_type || (first && (offset != 0 || !begin(jpeg, out, packet, &c, &d))))
        return false;
    if (offset != out->len - jpeg->head_len)
        return false; /* a piece is missing */
    return rtp_buffer_append(out, c.pos, c.left);
}

bool rtp_jpeg_finish(struct rtp_buffer *out)
{
    static const uint8_t end[] = {0xFF, EOI};
    size_t len = out->len;
    if (len < 2)
        return false;
    bool ended = out->data[len - 2] == 0xFF && out->data[len - 1] == EOI;
    return ended || rtp_buffer_append(out, end, sizeof(end));
}
