#include "worker/rtsp/rtsp_patience.h"

#include "worker/media/gather.h"

#include <stdio.h>

#define BYE_US 1000000

static uint32_t timeout_ms(const struct rtsp_patience *p)
{
    return p->accepted_us != 0 ? p->limits->stall_timeout_ms : p->limits->connect_timeout_ms;
}

void rtsp_patience_accept(struct rtsp_patience *patience, int64_t now_us)
{
    patience->accepted_us = now_us;
    patience->bye_us = 0;
}

void rtsp_patience_bye(struct rtsp_patience *patience, int64_t now_us)
{
    if (patience->accepted_us != 0 && patience->bye_us == 0)
        patience->bye_us = now_us;
}

int64_t rtsp_patience_deadline(const struct rtsp_patience *patience)
{
    const struct rtsp_patience *p = patience;
    int64_t since_us = p->accepted_us != 0 ? p->accepted_us : p->started_us;
    int64_t by_us = since_us + (int64_t)timeout_ms(p) * 1000;
    return p->bye_us != 0 && p->bye_us + BYE_US < by_us ? p->bye_us + BYE_US : by_us;
}

int64_t rtsp_patience_gather_us(const struct rtsp_patience *patience)
{
    return gather_interval_us(patience->limits->stall_timeout_ms);
}

void rtsp_patience_text(const struct rtsp_patience *patience, const char *state, char *text,
                        size_t size)
{
    if (patience->accepted_us != 0)
        (void)snprintf(text, size, "no media for %u ms", timeout_ms(patience));
    else
        (void)snprintf(text, size, "no media within %u ms, state: %s", timeout_ms(patience), state);
}
