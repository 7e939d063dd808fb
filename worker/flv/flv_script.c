#include "worker/flv/flv_script.h"

#include "common/bytes.h"

#include <string.h>

#define DEPTH_MAX 8

/* Adobe FLV 10.1 E.4.4.2, SCRIPTDATAVALUE Type. */
enum {
    AMF_NUMBER = 0,
    AMF_BOOLEAN = 1,
    AMF_STRING = 2,
    AMF_OBJECT = 3,
    AMF_NULL = 5,
    AMF_UNDEFINED = 6,
    AMF_REFERENCE = 7,
    AMF_ECMA_ARRAY = 8,
    AMF_OBJECT_END = 9,
    AMF_STRICT_ARRAY = 10,
    AMF_DATE = 11,
    AMF_LONG_STRING = 12,
};

/* Unread bytes.  Reading beyond them sets bad, and all later reads return nothing. */
struct amf {
    const uint8_t *pos;
    size_t left;
    bool bad;
};

struct text {
    const uint8_t *data;
    size_t len;
};

static const uint8_t *take(struct amf *a, size_t len)
{
    static const uint8_t none[8];
    if (a->bad || len > a->left) {
        a->bad = true;
        return none;
    }
    const uint8_t *p = a->pos;
    a->pos += len;
    a->left -= len;
    return p;
}

static uint32_t take_number(struct amf *a, unsigned bytes)
{
    return (uint32_t)bytes_get(take(a, bytes), bytes);
}

static struct text take_string(struct amf *a)
{
    struct text t = {.len = take_number(a, 2)};
    t.data = take(a, t.len);
    if (a->bad)
        t.len = 0;
    return t;
}

static bool equals(struct text t, const char *s)
{
    return t.len == strlen(s) && memcmp(t.data, s, t.len) == 0;
}

/* Skip a value that holds no other values.  Returns false if it may hold some. */
static bool skip_scalar(struct amf *a, unsigned type)
{
    switch (type) {
    case AMF_NUMBER:
        (void)take(a, 8);
        return true;
    case AMF_BOOLEAN:
        (void)take(a, 1);
        return true;
    case AMF_STRING:
        (void)take_string(a);
        return true;
    case AMF_NULL:
    case AMF_UNDEFINED:
        return true;
    case AMF_REFERENCE:
        (void)take(a, 2);
        return true;
    case AMF_DATE:
        (void)take(a, 10);
        return true;
    case AMF_LONG_STRING:
        (void)take(a, take_number(a, 4));
        return true;
    default:
        return false;
    }
}

/* An entry of skip_value()'s stack: elements left in a strict array, or this for an object. */
#define IN_OBJECT UINT32_MAX

/* Skip a value with all that it holds. */
static void skip_value(struct amf *a, unsigned type)
{
    uint32_t open[DEPTH_MAX] = {0};
    unsigned depth = 0;
    do {
        if (type == AMF_OBJECT_END && depth > 0 && open[depth - 1] == IN_OBJECT) {
            depth--;
        } else if (!skip_scalar(a, type)) {
            if (depth == DEPTH_MAX) {
                a->bad = true;
                return;
            }
            if (type == AMF_ECMA_ARRAY)
                (void)take(a, 4);
            if (type == AMF_STRICT_ARRAY)
                open[depth++] = take_number(a, 4) & 0x7fffffff;
            else if (type == AMF_OBJECT || type == AMF_ECMA_ARRAY)
                open[depth++] = IN_OBJECT;
            else
                a->bad = true;
        }
        while (depth > 0 && open[depth - 1] == 0)
            depth--;
        if (depth > 0) {
            if (open[depth - 1] == IN_OBJECT)
                (void)take_string(a); /* the property's name */
            else
                open[depth - 1]--;
            type = take_number(a, 1);
        }
    } while (depth > 0 && !a->bad);
}

/* Is a track present?  A codec id is a number or a name; relays that do not know it write 0. */
static bool take_presence(struct amf *a, unsigned type)
{
    static const uint8_t zero[8];
    if (type == AMF_NUMBER)
        return memcmp(take(a, 8), zero, sizeof(zero)) != 0;
    if (type == AMF_BOOLEAN)
        return take_number(a, 1) != 0;
    if (type == AMF_STRING)
        return take_string(a).len > 0;
    skip_value(a, type);
    return false;
}

bool flv_script_read(const uint8_t *data, size_t len, struct flv_script *script)
{
    struct amf a = {.pos = data, .left = len};
    struct flv_script codec = {false, false};
    struct flv_script flag = {true, true};
    bool known = false;

    if (take_number(&a, 1) != AMF_STRING)
        return false;
    struct text name = take_string(&a);
    if (equals(name, "@setDataFrame") && take_number(&a, 1) == AMF_STRING)
        name = take_string(&a); /* a relay passes the publisher's command on */
    if (!equals(name, "onMetaData"))
        return false;
    unsigned type = take_number(&a, 1);
    if (type == AMF_ECMA_ARRAY)
        (void)take(&a, 4);
    else if (type != AMF_OBJECT)
        return false;

    for (;;) {
        struct text key = take_string(&a);
        type = take_number(&a, 1);
        if (a.bad || type == AMF_OBJECT_END)
            break;
        bool *found = equals(key, "videocodecid")   ? &codec.has_video
                      : equals(key, "audiocodecid") ? &codec.has_audio
                      : equals(key, "hasVideo")     ? &flag.has_video
                      : equals(key, "hasAudio")     ? &flag.has_audio
                                                    : NULL;
        if (found == NULL) {
            skip_value(&a, type);
            continue;
        }
        *found = take_presence(&a, type);
        known = true;
    }
    /* If the array is cut short, the part before counts: some servers cut it. */
    script->has_video = codec.has_video && flag.has_video;
    script->has_audio = codec.has_audio && flag.has_audio;
    return known;
}
