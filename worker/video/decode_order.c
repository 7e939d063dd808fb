#include "worker/video/decode_order.h"

#include <string.h>

#define BACKWARD_WINDOW 100 /* frames */
#define BACKWARD_LEARN 3    /* steps back within the window that mean reordering */

int decode_order_frames(const struct decode_order *order, int declared)
{
    return declared > order->learned ? declared : order->learned;
}

int64_t decode_order_latest(const struct decode_order *order, int64_t or_us)
{
    if (order->count == 0 || order->sorted_pts_us[order->count - 1] < or_us)
        return or_us;
    return order->sorted_pts_us[order->count - 1];
}

void decode_order_learn(struct decode_order *order, int declared, bool is_back)
{
    if (++order->since_backward > BACKWARD_WINDOW) {
        order->backward_count = 0;
        order->since_backward = 0;
    }
    if (!is_back || ++order->backward_count < BACKWARD_LEARN)
        return;
    order->backward_count = 0;
    int frames = decode_order_frames(order, declared);
    order->learned = frames < DECODE_ORDER_FRAMES_MAX ? frames + 1 : DECODE_ORDER_FRAMES_MAX;
}

void decode_order_forget_steps(struct decode_order *order)
{
    order->backward_count = 0;
}

int64_t decode_order_put(struct decode_order *order, int declared, int64_t pts_us,
                         int64_t duration_us)
{
    int64_t *sorted = order->sorted_pts_us;
    int frames = decode_order_frames(order, declared);

    while (order->count > frames) { /* make room for one more: the smallest have been used */
        order->count--;
        memmove(sorted, sorted + 1, (size_t)order->count * sizeof(*sorted));
    }
    int at = order->count++;
    for (; at > 0 && sorted[at - 1] > pts_us; at--)
        sorted[at] = sorted[at - 1];
    sorted[at] = pts_us;
    while (order->count <= frames) { /* the first frames: pretend that others came before them */
        memmove(sorted + 1, sorted, (size_t)order->count * sizeof(*sorted));
        sorted[0] = sorted[1] - duration_us;
        order->count++;
    }
    return sorted[0];
}
