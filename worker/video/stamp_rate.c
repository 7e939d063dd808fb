#include "worker/video/stamp_rate.h"

#include <math.h>
#include <stdbool.h>

#define STEP 1.04 /* factor by which each packet moves the estimate */
#define MAX 1e4
#define COARSE (1 / 30.) /* stamps at a lower rate are a few ticks apart: steps are uneven */
#define NEAR 1.6         /* a rate nearer to 1 must be steady */
#define STEADY 50        /* so many packets that agree show that it is steady */
#define DOUBT 5          /* a packet that disagrees outweighs so many that agree */
#define OFF 0.02         /* a rate this near to 1 counts as 1: the pace takes care of it */

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
