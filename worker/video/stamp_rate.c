#include "worker/video/stamp_rate.h"

#include <math.h>
#include <stdbool.h>

#define STEP 1.04 /* factor by which each packet moves the estimate */
#define MAX 1e4
#define COARSE (1 / 30.) /* such stamps are some ticks apart: their steps are uneven */
#define NEAR 1.6         /* a rate nearer to 1 must be steady */
#define STEADY 50        /* packets that show it */
#define DOUBT 5          /* of which another one takes away so many */
#define OFF 0.02         /* it counts if it differs from 1 by more: the rest is left to the pace */

void stamp_rate_init(struct stamp_rate *rate)
{
    *rate = (struct stamp_rate){.rate = 1, .mean = 1};
}

static bool agrees(const struct stamp_rate *r, double ratio)
{
    return ratio < r->rate * STEP * STEP && ratio > r->rate / STEP / STEP;
}

static void learn(struct stamp_rate *r, double ratio)
{
    r->rate *= ratio > r->rate ? STEP : 1 / STEP;
    r->rate = fmax(1 / MAX, fmin(MAX, r->rate));
    if (!agrees(r, ratio)) {
        r->steady = r->steady > DOUBT ? r->steady - DOUBT : 0;
        return;
    }
    r->steady += r->steady < 2 * STEADY;
    r->mean += (ratio - r->mean) / r->steady;
}

double stamp_rate_take(struct stamp_rate *rate, double ratio)
{
    learn(rate, ratio);
    if (rate->rate > 1 / NEAR && rate->rate < NEAR)
        return rate->steady >= STEADY && fabs(rate->mean - 1) > OFF ? rate->mean : 1;
    return rate->rate > COARSE && agrees(rate, ratio) ? ratio : 0;
}
