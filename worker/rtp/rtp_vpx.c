#include "worker/rtp/rtp_payload.h"

/* Bytes not read yet; reading beyond them sets bad. */
struct cursor {
    const uint8_t *pos;
    size_t left;
    bool bad;
};

static uint8_t take(struct cursor *c)
{
    if (c->left == 0) {
        c->bad = true;
        return 0;
    }
    c->left--;
    return *c->pos++;
}

static void skip(struct cursor *c, size_t len)
{
    c->bad |= len > c->left;
    len = len <= c->left ? len : c->left;
    c->pos += len;
    c->left -= len;
}

/* A picture number has 7 bits, or 15 if its first bit says so. */
static void skip_picture_id(struct cursor *c)
{
    if ((take(c) & 0x80) != 0)
        skip(c, 1);
}

static bool append_rest(struct rtp_buffer *out, const struct cursor *c)
{
    return !c->bad && c->left > 0 && rtp_buffer_append(out, c->pos, c->left);
}

/* RFC 7741 section 4.2.  S with partition index 0 begins a picture. */
bool rtp_vp8_add(struct rtp_buffer *out, const struct rtp_packet *packet, bool first)
{
    struct cursor c = {packet->payload, packet->payload_len, false};
    uint8_t head = take(&c);
    bool begins = (head & 0x17) == 0x10;
    if ((head & 0x80) != 0) {
        uint8_t extension = take(&c);
        if ((extension & 0x80) != 0)
            skip_picture_id(&c);
        skip(&c, (extension & 0x40) != 0);
        skip(&c, (extension & 0x30) != 0);
    }
    return begins == first && append_rest(out, &c);
}

/* RFC 9628 section 4.2.1: scalability structure. */
static void skip_structure(struct cursor *c)
{
    uint8_t head = take(c);
    if ((head & 0x10) != 0)
        skip(c, ((size_t)(head >> 5) + 1) * 4);
    if ((head & 0x08) == 0)
        return;
    for (unsigned pictures = take(c); pictures > 0 && !c->bad; pictures--)
        skip(c, take(c) >> 2 & 3);
}

/* RFC 9628 section 4.2: I P L F B E V Z.  Of a picture in several spatial layers only the first is
 * taken: it is whole by itself. */
bool rtp_vp9_add(struct rtp_buffer *out, const struct rtp_packet *packet, bool first)
{
    struct cursor c = {packet->payload, packet->payload_len, false};
    uint8_t head = take(&c);
    bool flexible = (head & 0x10) != 0;
    bool upper_layer = false;
    if ((head & 0x80) != 0)
        skip_picture_id(&c);
    if ((head & 0x20) != 0) {
        upper_layer = (take(&c) & 0x0E) != 0;
        skip(&c, !flexible);
    }
    for (unsigned refs = 0; flexible && (head & 0x40) != 0 && refs < 3; refs++)
        if ((take(&c) & 1) == 0)
            break;
    if ((head & 0x02) != 0)
        skip_structure(&c);
    if (upper_layer)
        return !first && !c.bad;
    bool begins = (head & 0x08) != 0;
    return begins == first && append_rest(out, &c);
}
