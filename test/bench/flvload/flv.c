/* Checks the framing of a stream of FLV tags and takes the time of each (load.h). */
#include "load.h"

#include <string.h>

enum { FILE_HEADER, TAG_HEADER, TAG_BODY, TAG_END };
enum { AUDIO, VIDEO };

static uint32_t be24(const uint8_t *p)
{
    return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | be24(p + 1);
}

/* Is the tag a picture or sound, not a configuration?  Enhanced RTMP's dialect too. */
static bool is_coded(const struct flv_state *f, int track, bool *key)
{
    const uint8_t *p = f->start;
    bool coded;
    *key = false;
    if (f->start_len < 2)
        return false;
    if (track == AUDIO)
        return p[0] >> 4 == 10 ? p[1] == 1 : p[0] >> 4 != 9 || (p[0] & 15) == 1;
    if (p[0] & 0x80)
        coded = (p[0] & 15) == 1 || (p[0] & 15) == 3;
    else
        coded = p[1] == 1;
    *key = coded && (p[0] >> 4 & 7) == 1;
    return coded;
}

static void measure_stamp(struct conn *c, const struct arrival *arrival)
{
    int64_t sent_us = stamp_read(c->flv.start, c->flv.start_len);
    if (sent_us == 0 || arrival->received_us == 0)
        return;
    double delay_ms = (double)(arrival->received_us - sent_us) / 1e3;
    long bucket = delay_ms > 0 ? (long)(delay_ms / DELAY_BUCKET_MS) : 0;
    totals.delays[bucket < DELAY_BUCKETS ? bucket : DELAY_BUCKETS - 1]++;
    if (delay_ms > c->delay_max_ms)
        c->delay_max_ms = delay_ms;
    if (delay_ms > totals.delay_max_ms)
        totals.delay_max_ms = delay_ms;
}

static void check_timestamp(struct conn *c, int track)
{
    int32_t step_ms = (int32_t)(c->flv.timestamp_ms - c->last_ms[track]);
    if (c->has_last[track]) {
        if (step_ms < 0)
            c->backward++;
        if (track == VIDEO && step_ms > (int32_t)options.gap_ms) {
            c->gaps++;
            if ((uint32_t)step_ms > c->gap_max_ms)
                c->gap_max_ms = (uint32_t)step_ms;
        }
    }
    c->has_last[track] = true;
    c->last_ms[track] = c->flv.timestamp_ms;
}

static void on_tag(struct conn *c, const struct arrival *arrival)
{
    struct flv_state *f = &c->flv;
    bool key;
    if (f->type == 18)
        return;
    int track = f->type == 9 ? VIDEO : AUDIO;
    c->videos += track == VIDEO;
    if (!is_coded(f, track, &key))
        return;
    if (key && c->first_key_s < 0)
        c->first_key_s = arrival->read_s - c->started_s;
    check_timestamp(c, track);
    if (track == AUDIO)
        return;
    double wait_ms = (arrival->read_s - c->picture_s) * 1000;
    if (c->picture_s > 0 && wait_ms > c->wait_max_ms)
        c->wait_max_ms = wait_ms;
    c->picture_s = arrival->read_s;
    double behind_ms = arrival->read_s * 1000 - f->timestamp_ms;
    if (behind_ms < c->edge_ms)
        c->edge_ms = behind_ms;
    if (arrival->read_s - c->started_s < options.settle_s)
        return;
    if (behind_ms - c->edge_ms > c->behind_max_ms)
        c->behind_max_ms = behind_ms - c->edge_ms;
    measure_stamp(c, arrival);
}

static void on_file_header(struct conn *c)
{
    const uint8_t *h = c->flv.header;
    if (memcmp(h, "FLV\1", 4) != 0 || be32(h + 5) != 9 || be32(h + 9) != 0)
        conn_fail(c, ERROR_SIGNATURE);
    c->flv.state = TAG_HEADER;
}

static void on_tag_header(struct conn *c)
{
    struct flv_state *f = &c->flv;
    f->type = f->header[0];
    f->size = f->left = be24(f->header + 1);
    f->timestamp_ms = be24(f->header + 4) | (uint32_t)f->header[7] << 24;
    f->start_len = 0;
    if (f->type != 8 && f->type != 9 && f->type != 18)
        conn_fail(c, ERROR_TAG_TYPE);
    else if (be24(f->header + 8) != 0)
        conn_fail(c, ERROR_STREAM_ID);
    f->state = f->left > 0 ? TAG_BODY : TAG_END;
}

static void on_tag_end(struct conn *c, const struct arrival *arrival)
{
    if (be32(c->flv.header) != c->flv.size + 11)
        conn_fail(c, ERROR_PREVIOUS_SIZE);
    else
        on_tag(c, arrival);
    c->flv.state = TAG_HEADER;
}

static size_t feed_body(struct flv_state *f, const uint8_t *data, size_t len)
{
    size_t used = len < f->left ? len : f->left;
    size_t room = sizeof(f->start) - f->start_len, kept = used < room ? used : room;
    memcpy(f->start + f->start_len, data, kept);
    f->start_len += (unsigned)kept;
    f->left -= (uint32_t)used;
    if (f->left == 0)
        f->state = TAG_END;
    return used;
}

/* One of the three headers of fixed size. */
static size_t feed_header(struct conn *c, const uint8_t *data, size_t len,
                          const struct arrival *arrival)
{
    struct flv_state *f = &c->flv;
    size_t want = (f->state == FILE_HEADER ? 13 : f->state == TAG_HEADER ? 11 : 4) - f->header_len;
    size_t used = len < want ? len : want;
    memcpy(f->header + f->header_len, data, used);
    f->header_len += (unsigned)used;
    if (used < want)
        return used;
    f->header_len = 0;
    if (f->state == FILE_HEADER)
        on_file_header(c);
    else if (f->state == TAG_HEADER)
        on_tag_header(c);
    else
        on_tag_end(c, arrival);
    return used;
}

void flv_feed(struct conn *conn, const uint8_t *data, size_t len, const struct arrival *arrival)
{
    while (len > 0 && conn->error == ERROR_NONE) {
        size_t used = conn->flv.state == TAG_BODY ? feed_body(&conn->flv, data, len)
                                                  : feed_header(conn, data, len, arrival);
        data += used;
        len -= used;
    }
}
