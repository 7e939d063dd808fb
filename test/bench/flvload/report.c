/* What all connections saw, as text and as one line for scripts (load.h). */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const error_names[ERROR_COUNT] = {"none",        "connect",   "http-status",
                                                     "http-header", "chunk",     "signature",
                                                     "tag-type",    "stream-id", "PreviousTagSize"};

struct distribution {
    int n;
    double min, median, p99, max;
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of one figure of every connection; negative ones are missing. */
static struct distribution distribution_of(const struct conn *conns,
                                           double (*figure)(const struct conn *))
{
    struct distribution d = {0};
    double *v = calloc((size_t)options.conns, sizeof(*v));
    if (v == NULL)
        abort();
    for (int i = 0; i < options.conns; i++) {
        double value = figure(&conns[i]);
        if (value >= 0)
            v[d.n++] = value;
    }
    if (d.n > 0) {
        qsort(v, (size_t)d.n, sizeof(*v), compare);
        d.min = v[0];
        d.median = v[d.n / 2];
        d.p99 = v[(int)((d.n - 1) * 0.99 + 0.5)];
        d.max = v[d.n - 1];
    }
    free(v);
    return d;
}

static double connected_ms(const struct conn *c)
{
    return c->connected_s * 1000;
}

static double first_byte_ms(const struct conn *c)
{
    return c->first_byte_s * 1000;
}

static double first_key_ms(const struct conn *c)
{
    return c->first_key_s * 1000;
}

static double behind_max_ms(const struct conn *c)
{
    return c->has_last[1] ? c->behind_max_ms : -1;
}

static double delay_max_ms(const struct conn *c)
{
    return c->delay_max_ms > 0 ? c->delay_max_ms : -1;
}

static double wait_max_ms(const struct conn *c)
{
    return c->wait_max_ms > 0 ? c->wait_max_ms : -1;
}

static double delay_quantile_ms(double q)
{
    uint64_t all = 0, seen = 0;
    for (int i = 0; i < DELAY_BUCKETS; i++)
        all += totals.delays[i];
    for (int i = 0; i < DELAY_BUCKETS; i++) {
        seen += totals.delays[i];
        if (all > 0 && (double)seen >= q * (double)all)
            return (i + 1) * DELAY_BUCKET_MS;
    }
    return 0;
}

static void print_row(const char *name, struct distribution d)
{
    if (!options.quiet)
        printf("%-34s min %8.2f median %8.2f p99 %8.2f max %8.2f (n %d)\n", name, d.min, d.median,
               d.p99, d.max, d.n);
}

static void print_values(const char *name, struct distribution d)
{
    printf(" %s_n=%d %s_min=%.3f %s_median=%.3f %s_p99=%.3f %s_max=%.3f", name, d.n, name, d.min,
           name, d.median, name, d.p99, name, d.max);
}

void report(const struct conn *conns, const struct run_times *times)
{
    int errors[ERROR_COUNT] = {0}, no_key = 0;
    unsigned long gaps = 0, backward = 0, videos = 0;
    uint32_t gap_max_ms = 0;
    for (int i = 0; i < options.conns; i++) {
        const struct conn *c = &conns[i];
        errors[c->error]++;
        no_key += c->first_key_s < 0;
        gaps += c->gaps;
        backward += c->backward;
        videos += c->videos;
        if (c->gap_max_ms > gap_max_ms)
            gap_max_ms = c->gap_max_ms;
    }
    struct distribution connect = distribution_of(conns, connected_ms);
    struct distribution first_byte = distribution_of(conns, first_byte_ms);
    struct distribution first_key = distribution_of(conns, first_key_ms);
    struct distribution behind = distribution_of(conns, behind_max_ms);
    struct distribution delay = distribution_of(conns, delay_max_ms);
    struct distribution wait = distribution_of(conns, wait_max_ms);
    print_row("connected ms", connect);
    print_row("first byte ms", first_byte);
    print_row("first key frame ms", first_key);
    print_row("worst frame behind live edge ms", behind);
    print_row("worst frame delay ms", delay);
    print_row("longest wait for a picture ms", wait);
    for (int i = 1; i < ERROR_COUNT; i++) {
        if (errors[i] > 0)
            fprintf(stderr, "flvload: %d connections: %s\n", errors[i], error_names[i]);
    }
    double mbps = times->steady_s > 0 ? (double)times->steady_bytes * 8e-6 / times->steady_s : 0;
    printf("KV conns=%d connected=%d closed=%d errors=%d no_key=%d backward=%lu gaps=%lu "
           "gap_max_ms=%u videos=%lu mbps=%.1f steady_s=%.2f ramp_s=%.2f cpu=%.3f "
           "frame_p50_ms=%.2f frame_p99_ms=%.2f frame_p999_ms=%.2f frame_max_ms=%.2f",
           options.conns, totals.connected, totals.closed, totals.errors, no_key, backward, gaps,
           gap_max_ms, videos, mbps, times->steady_s, times->ramp_s, times->steady_cpu,
           delay_quantile_ms(0.5), delay_quantile_ms(0.99), delay_quantile_ms(0.999),
           totals.delay_max_ms);
    print_values("connect_ms", connect);
    print_values("first_byte_ms", first_byte);
    print_values("first_key_ms", first_key);
    print_values("behind_ms", behind);
    print_values("wait_ms", wait);
    printf("\n");
}

void forget_worst(struct conn *conns)
{
    for (int i = 0; i < options.conns; i++) {
        conns[i].gaps = conns[i].gap_max_ms = 0;
        conns[i].wait_max_ms = 0;
    }
}
