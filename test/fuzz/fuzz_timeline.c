/* Any packets in any order: output decode times grow, presentation follows, nothing overflows. */
#include "worker/video/timeline.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A time stamp: small steps, large ones, or raw 64 bits, so that all branches are near. */
static int64_t take_stamp(uint8_t kind, int64_t *running, const uint8_t *raw)
{
    int64_t value;
    memcpy(&value, raw, sizeof(value));
    switch (kind & 3) {
    case 0:
        return *running += value & 0xffff;
    case 1:
        return *running += value % (INT64_C(1) << 40);
    case 2:
        return TIMELINE_NONE;
    default:
        return value;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { RECORD = 1 + 1 + 4 + 8 + 8 };
    struct timeline timeline;
    int64_t last[TRACK_COUNT] = {INT64_MIN, INT64_MIN};
    int64_t running = 0, received = 1000000;

    timeline_init(&timeline);
    for (; size >= RECORD; data += RECORD, size -= RECORD) {
        uint32_t passed;
        struct timeline_in in = {.track = data[0] & 1 ? TRACK_AUDIO : TRACK_VIDEO};
        struct timeline_out out;
        memcpy(&passed, data + 2, sizeof(passed));
        if ((data[0] & 0xfe) == 0xfe)
            timeline_reconnect(&timeline);
        received += data[0] & 2 ? (int64_t)passed : passed & 0xffff;
        in.received_us = received;
        in.reorder_frames = (int8_t)data[1];
        in.duration_us = data[0] & 4 ? 40000 : (int32_t)passed;
        in.wrap_us = data[0] & 8 ? INT64_C(47721858844) : 0;
        in.pts_us = take_stamp(data[0] >> 4, &running, data + 6);
        in.dts_us = take_stamp(data[0] >> 6, &running, data + 14);
        if ((data[0] & 0x1e) == 0x1e)
            timeline_report(&timeline, in.track, in.pts_us, in.dts_us, received);
        timeline_map(&timeline, &in, &out);
        if (!(out.pace > 0 && out.pace < (in.track == TRACK_AUDIO ? 2.3 : 2e4)))
            abort();
        if (out.history && in.track == TRACK_AUDIO)
            continue; /* it is left out */
        if (out.pts_us < out.dts_us ||
            (last[in.track] != INT64_MIN && out.dts_us < last[in.track] + 1000))
            abort();
        last[in.track] = out.dts_us;
    }
    return 0;
}
