#include "worker/rtp/rtp_feedback.h"

#include "common/bytes.h"

#include <string.h>

#define REPORT_BYTES 32u /* header and one report block */
#define RECEIVER_REPORT 201
#define PAYLOAD_FEEDBACK 206
#define PLI 1
#define PLI_BYTES 12u
#define FIR 4
#define FIR_BYTES 20u

size_t rtp_feedback_ask_key_frame(uint8_t *report, size_t len, uint8_t number)
{
    uint8_t *pli = report + len;
    uint8_t *fir = pli + PLI_BYTES;
    if (len < REPORT_BYTES || report[1] != RECEIVER_REPORT || (report[0] & 0x1F) == 0)
        return len;
    const uint8_t *own = report + 4;
    const uint8_t *source = report + 8;

    memset(pli, 0, RTP_FEEDBACK_BYTES);
    pli[0] = 0x80 | PLI;
    pli[1] = PAYLOAD_FEEDBACK;
    bytes_put16(pli + 2, PLI_BYTES / 4 - 1);
    memcpy(pli + 4, own, 4);
    memcpy(pli + 8, source, 4);

    fir[0] = 0x80 | FIR;
    fir[1] = PAYLOAD_FEEDBACK;
    bytes_put16(fir + 2, FIR_BYTES / 4 - 1);
    memcpy(fir + 4, own, 4); /* the header's media source stays 0: the entry names it */
    memcpy(fir + 12, source, 4);
    fir[16] = number;
    return len + RTP_FEEDBACK_BYTES;
}
