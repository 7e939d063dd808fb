/*
 * Writes the source pictures of the sample cameras' loops to stdout as raw yuv420p; ffmpeg encodes
 * them once.  A test program; links nothing but libc.
 *
 * The layout is a grid of 20 columns and 18 rows, which divides every size evenly:
 *   rows 0 and 1, repeated in rows 16 and 17: the frame counter.  Row 0: white, black, 16 bits
 * (most significant first, white is 1), even parity, inverted parity.  Row 1: the inverse of row 0.
 *   rows 2..15: drifting colour gradients, a panning texture, a moving bar, fresh noise.
 * test/e2e/lib/picture.py reads the counter back; the two must agree.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRID_COLUMNS 20
#define GRID_ROWS 18
#define COUNTER_BITS 16
#define LUMA_BLACK 16
#define LUMA_WHITE 235
#define CHROMA_GREY 128
#define NOISE_BYTES (1u << 16) /* a power of two */

struct picture {
    int width, height;
    int noise_amplitude;
    uint8_t *luma, *cb, *cr;
    uint8_t *texture; /* one row of 4 * width pixels; panning moves its start */
    uint8_t noise[NOISE_BYTES * 2];
};

static uint32_t next_random(uint32_t *state)
{
    uint32_t x = *state;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

/* @return 1 if a cell of the counter's first row is white, 0 if it is black. */
static int counter_cell(unsigned counter, int column)
{
    int parity = __builtin_parity(counter & 0xffffu);

    switch (column) {
    case 0:
        return 1;
    case 1:
        return 0;
    case COUNTER_BITS + 2:
        return parity;
    case COUNTER_BITS + 3:
        return !parity;
    default:
        return (int)(counter >> (COUNTER_BITS + 1 - column)) & 1;
    }
}

static void draw_cell(struct picture *p, int column, int row, int white)
{
    size_t stride = (size_t)p->width;
    size_t w = stride / GRID_COLUMNS;
    size_t h = (size_t)p->height / GRID_ROWS;
    size_t left = (size_t)column * w;

    for (size_t y = (size_t)row * h; y < (size_t)(row + 1) * h; y++)
        memset(p->luma + y * stride + left, white ? LUMA_WHITE : LUMA_BLACK, w);
    for (size_t y = (size_t)row * h / 2; y < (size_t)(row + 1) * h / 2; y++) {
        memset(p->cb + y * stride / 2 + left / 2, CHROMA_GREY, w / 2);
        memset(p->cr + y * stride / 2 + left / 2, CHROMA_GREY, w / 2);
    }
}

static void draw_counter(struct picture *p, unsigned counter)
{
    static const int strips[] = {0, GRID_ROWS - 2};

    for (size_t i = 0; i < sizeof(strips) / sizeof(strips[0]); i++) {
        for (int column = 0; column < GRID_COLUMNS; column++) {
            int white = counter_cell(counter, column);

            draw_cell(p, column, strips[i], white);
            draw_cell(p, column, strips[i] + 1, !white);
        }
    }
}

/* A triangle wave with values 0..255 and period 512. */
static uint8_t triangle(int position)
{
    int x = position & 511;

    return (uint8_t)(x < 256 ? x : 511 - x);
}

static void draw_scene(struct picture *p, int frame, int period, uint32_t *seed)
{
    int w = p->width, h = p->height;
    int phase = frame * 512 / period; /* every movement ends where it began after one loop */
    int pan = frame * w / period;
    int bar_width = w / 16;
    int bar = (int)((long)triangle(phase * 4) * (w - bar_width) / 255);

    for (int y = 0; y < h; y++) {
        uint8_t *row = p->luma + (size_t)y * w;
        const uint8_t *texture = p->texture + pan + y % w;
        const uint8_t *noise = p->noise + (next_random(seed) & (NOISE_BYTES - 1));
        int base = 48 + triangle(y * 512 / h + phase) / 3;

        for (int x = 0; x < w; x++)
            row[x] = (uint8_t)(base + texture[x] + noise[x & (NOISE_BYTES - 1)]);
        for (int x = bar; x < bar + bar_width; x++)
            row[x] = (uint8_t)(240 - row[x]);
    }
    for (int y = 0; y < h / 2; y++) {
        uint8_t *cb = p->cb + (size_t)y * (w / 2);
        uint8_t *cr = p->cr + (size_t)y * (w / 2);

        for (int x = 0; x < w / 2; x++) {
            cb[x] = (uint8_t)(64 + triangle(x * 1024 / w + phase) / 2);
            cr[x] = (uint8_t)(64 + triangle(y * 1024 / h + 2 * phase) / 2);
        }
    }
}

static int picture_init(struct picture *p, int width, int height, int noise_amplitude)
{
    size_t pixels = (size_t)width * height;
    uint32_t seed = 0x2545f491;

    p->width = width;
    p->height = height;
    p->luma = malloc(pixels * 3 / 2);
    p->texture = malloc((size_t)width * 4);
    if (!p->luma || !p->texture)
        return -ENOMEM;
    p->cb = p->luma + pixels;
    p->cr = p->cb + pixels / 4;
    for (int x = 0; x < width * 4; x++) {
        int at = x % width;

        p->texture[x] =
            (uint8_t)(triangle(at * 512 * 24 / width) / 8 + triangle(at * 512 * 5 / width) / 8);
    }
    for (size_t i = 0; i < sizeof(p->noise); i++)
        p->noise[i] = (uint8_t)(next_random(&seed) % (unsigned)(noise_amplitude + 1));
    return 0;
}

int main(int argc, char **argv)
{
    static struct picture p;
    int frames, period;
    uint32_t seed = 1;
    int values[5]; /* in the order of the usage text */

    if (argc != 6) {
        fprintf(stderr, "usage: %s WIDTH HEIGHT FRAMES PERIOD NOISE > yuv420p\n", argv[0]);
        return 2;
    }
    for (int i = 0; i < 5; i++)
        values[i] = (int)strtol(argv[i + 1], NULL, 10);
    frames = values[2];
    period = values[3];
    if (period < 1 || picture_init(&p, values[0], values[1], values[4]) < 0)
        return 1;
    for (int i = 0; i < frames; i++) {
        draw_scene(&p, i, period, &seed);
        draw_counter(&p, (unsigned)(i % period));
        if (fwrite(p.luma, (size_t)p.width * p.height * 3 / 2, 1, stdout) != 1)
            return 1;
    }
    free(p.luma);
    free(p.texture);
    return fflush(stdout) == 0 ? 0 : 1;
}
