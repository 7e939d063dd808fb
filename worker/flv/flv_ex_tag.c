#include "worker/flv/flv_ex_tag.h"

#include "common/bytes.h"

enum { AUDIO_MULTITRACK = 5, VIDEO_MULTITRACK = 6, MOD_EX = 7 };
enum { ONE_TRACK = 0, MANY_TRACKS_MANY_CODECS = 2 };

/* Unread bytes.  Reading beyond them sets bad, and all later reads return 0. */
struct cursor {
    const uint8_t *pos;
    size_t left;
    bool bad;
};

static uint32_t take(struct cursor *c, unsigned bytes)
{
    if (c->bad || bytes > c->left) {
        c->bad = true;
        return 0;
    }
    uint32_t value = (uint32_t)bytes_get(c->pos, bytes);
    c->pos += bytes;
    c->left -= bytes;
    return value;
}

static void skip(struct cursor *c, size_t len)
{
    if (c->bad || len > c->left) {
        c->bad = true;
        return;
    }
    c->pos += len;
    c->left -= len;
}

/* Skip modifiers, such as nanoseconds.  Returns the packet type after them. */
static unsigned skip_modifiers(struct cursor *c, unsigned packet_type)
{
    while (packet_type == MOD_EX && !c->bad) {
        uint32_t size = take(c, 1) + 1;
        if (size == 256)
            size = take(c, 2) + 1;
        skip(c, size);
        packet_type = take(c, 1) & 0xf; /* the upper half tells the modifier's kind */
    }
    return packet_type;
}

/* Find a track in a tag that has several, or one with a trackId. */
static bool read_track(struct cursor *c, int track, bool (*supported)(uint32_t fourcc),
                       struct flv_ex_tag *ex)
{
    uint32_t head = take(c, 1);
    unsigned kind = head >> 4;
    ex->packet_type = head & 0xf;
    if (kind != MANY_TRACKS_MANY_CODECS)
        ex->fourcc = take(c, 4);
    while (!c->bad && c->left > 0) {
        if (kind == MANY_TRACKS_MANY_CODECS)
            ex->fourcc = take(c, 4);
        ex->track = (int)take(c, 1);
        size_t len = kind == ONE_TRACK ? c->left : take(c, 3);
        ex->data = c->pos;
        ex->len = len;
        skip(c, len);
        if (!c->bad && (track < 0 ? supported(ex->fourcc) : ex->track == track))
            return true;
    }
    return !c->bad && track < 0 && ex->track >= 0;
}

bool flv_ex_tag_read(const uint8_t *data, size_t len, bool is_video, int track,
                     bool (*supported)(uint32_t fourcc), struct flv_ex_tag *ex)
{
    struct cursor c = {.pos = data, .left = len};
    *ex = (struct flv_ex_tag){.track = -1};
    unsigned packet_type = skip_modifiers(&c, take(&c, 1) & 0xf);
    if (packet_type == (is_video ? VIDEO_MULTITRACK : AUDIO_MULTITRACK))
        return read_track(&c, track, supported, ex);
    ex->packet_type = packet_type;
    ex->fourcc = take(&c, 4);
    ex->data = c.pos;
    ex->len = c.left;
    return !c.bad;
}
