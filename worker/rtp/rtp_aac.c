#include "worker/rtp/rtp_aac.h"

#include "common/bytes.h"

#include "worker/media/aac.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define HEADERS_LENGTH_BYTES 2 /* AU-headers-length, in bits */
#define HEADER_BYTES 2         /* AU-size in 13 bits, AU-Index or AU-Index-delta in 3 */
#define INDEX_BITS 3

static bool is_usual(const char *fmtp)
{
    static const char *const wanted[] = {"mode=AAC-hbr", "sizelength=13", "indexlength=3",
                                         "indexdeltalength=3"};
    static const char *const other[] = {"CTSDeltaLength", "DTSDeltaLength",
                                        "randomAccessIndication", "streamStateIndication",
                                        "auxiliaryDataSizeLength"};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        if (strcasestr(fmtp, wanted[i]) == NULL)
            return false;
    }
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++) {
        if (strcasestr(fmtp, other[i]) != NULL)
            return false;
    }
    return true;
}

bool rtp_aac_lacks_config(const char *codec, const char *fmtp)
{
    static const char name[] = "config=";
    if (strcasecmp(codec, "MP4A-LATM") != 0)
        return false;
    const char *config = strcasestr(fmtp, name);
    return config == NULL || !isxdigit((unsigned char)config[sizeof(name) - 1]);
}

bool rtp_aac_is_readable(const char *codec, const char *fmtp)
{
    if (strcasecmp(codec, "mpeg4-generic") != 0)
        return rtp_aac_lacks_config(codec, fmtp);
    return is_usual(fmtp) || strcasestr(fmtp, "sizelength=") == NULL;
}

static size_t read_adts(struct rtp_aac_frame *frames, const uint8_t *payload, size_t len)
{
    struct aac_adts adts;
    size_t at = 0;
    while (at < len && aac_adts_parse(payload + at, len - at, &adts) == 0 && adts.frame_len > 0)
        at += adts.frame_len;
    frames[0] = (struct rtp_aac_frame){payload, len};
    return len > 0 && at == len ? 1 : 0;
}

static size_t read_latm(struct rtp_aac_frame *frames, const uint8_t *payload, size_t len)
{
    size_t size = 0;
    size_t at = 0;
    do {
        if (at == len)
            return 0;
        size += payload[at];
    } while (payload[at++] == 0xff);
    frames[0] = (struct rtp_aac_frame){payload + at, size};
    return size > 0 && size == len - at ? 1 : 0;
}

static size_t read_units(struct rtp_aac_frame *frames, const uint8_t *payload, size_t len)
{
    if (len < HEADERS_LENGTH_BYTES + HEADER_BYTES)
        return 0;
    size_t bits = bytes_get16(payload);
    size_t count = bits / 8 / HEADER_BYTES;
    size_t at = HEADERS_LENGTH_BYTES + count * HEADER_BYTES;
    if (bits % (size_t)(8 * HEADER_BYTES) != 0 || count > RTP_AAC_FRAMES_MAX || at > len)
        return 0;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *header = payload + HEADERS_LENGTH_BYTES + i * HEADER_BYTES;
        size_t size = (size_t)bytes_get16(header) >> INDEX_BITS;
        if (size == 0 || size > len - at)
            return 0;
        frames[i] = (struct rtp_aac_frame){payload + at, size};
        at += size;
    }
    return at == len ? count : 0;
}

size_t rtp_aac_read(struct rtp_aac_frame *frames, const uint8_t *payload, size_t len)
{
    size_t count = read_adts(frames, payload, len);
    if (count == 0)
        count = read_units(frames, payload, len);
    return count != 0 ? count : read_latm(frames, payload, len);
}
