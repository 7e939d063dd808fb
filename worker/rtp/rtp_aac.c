#include "worker/rtp/rtp_aac.h"

#include "common/bytes.h"

#include <string.h>
#include <strings.h>

#define HEADERS_LENGTH_BYTES 2 /* AU-headers-length, in bits */
#define HEADER_BYTES 2         /* AU-size in 13 bits, AU-Index or AU-Index-delta in 3 */
#define INDEX_BITS 3

bool rtp_aac_is_usual(const char *codec, const char *fmtp)
{
    static const char *const wanted[] = {"mode=AAC-hbr", "sizelength=13", "indexlength=3",
                                         "indexdeltalength=3"};
    static const char *const other[] = {"CTSDeltaLength", "DTSDeltaLength",
                                        "randomAccessIndication", "streamStateIndication",
                                        "auxiliaryDataSizeLength"};
    if (strcasecmp(codec, "mpeg4-generic") != 0)
        return false;
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

size_t rtp_aac_read(struct rtp_aac_frame *frames, const uint8_t *payload, size_t len)
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
