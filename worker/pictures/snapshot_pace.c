#include "worker/pictures/snapshot_pace.h"

void snapshot_pace_frame(struct snapshot_pace *pace, int64_t dts_us, bool key)
{
    int64_t since_key_us = pace->has_key ? dts_us - pace->key_dts_us : 0;
    if (key) {
        pace->has_key = true;
        pace->key_dts_us = dts_us;
    }
    if (key || since_key_us > pace->gop_us)
        pace->gop_us = since_key_us;
}

void snapshot_pace_disconnect(struct snapshot_pace *pace)
{
    pace->has_key = false;
}

void snapshot_pace_request(struct snapshot_pace *pace, int64_t now_us)
{
    pace->asked_often = pace->asked_us != 0 && now_us - pace->asked_us < pace->gop_us / 2;
    pace->asked_us = now_us;
}

void snapshot_pace_touch(struct snapshot_pace *pace, int64_t now_us)
{
    pace->asked_us = now_us;
}

bool snapshot_pace_is_fast(const struct snapshot_pace *pace, int64_t now_us)
{
    return pace->asked_often && now_us - pace->asked_us < pace->gop_us / 2;
}

int64_t snapshot_pace_idle_us(const struct snapshot_pace *pace, int64_t now_us)
{
    return now_us - pace->asked_us;
}
