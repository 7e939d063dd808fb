/* See jpeg.h.  The only file that includes libjpeg-turbo: its libjpeg interface, which takes rows;
 * that of TurboJPEG takes whole pictures. */
#include "worker/pictures/jpeg_private.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>

#include <jpeglib.h>

/* Above this quality chroma is not subsampled, as in stb_image_write. */
#define SUBSAMPLED_QUALITY_MAX 90

struct writer {
    struct jpeg_compress_struct compress;
    struct jpeg_error_mgr errors;
    struct jpeg_destination_mgr destination;
    jmp_buf failed; /* libjpeg's errors do not return */
    struct jpeg_output *output;
    int error;
};

static _Noreturn void fail(j_common_ptr compress)
{
    struct writer *w = compress->client_data;
    longjmp(w->failed, 1);
}

static void say_nothing(j_common_ptr compress, int level)
{
    (void)compress;
    (void)level;
}

/* Let libjpeg write to the rest of the room. */
static void offer_room(struct writer *w)
{
    struct jpeg *jpeg = w->output->jpeg;
    w->destination.next_output_byte = jpeg->data + jpeg->len;
    w->destination.free_in_buffer = w->output->capacity - jpeg->len;
}

static void on_start(j_compress_ptr compress)
{
    offer_room(compress->client_data);
}

/* The room is full. */
static boolean on_full(j_compress_ptr compress)
{
    struct writer *w = compress->client_data;
    w->output->jpeg->len = w->output->capacity;
    int rc = jpeg_output_reserve(w->output, 1);
    if (rc != 0) {
        w->error = rc;
        longjmp(w->failed, 1);
    }
    offer_room(w);
    return TRUE;
}

static void on_end(j_compress_ptr compress)
{
    struct writer *w = compress->client_data;
    w->output->jpeg->len = w->output->capacity - w->destination.free_in_buffer;
}

static void set_parameters(struct jpeg_compress_struct *c, uint32_t width, uint32_t height,
                           uint32_t quality)
{
    c->image_width = width;
    c->image_height = height;
    c->input_components = 3;
    c->in_color_space = JCS_RGB;
    jpeg_set_defaults(c);
    jpeg_set_quality(c, (int)quality, TRUE);
    c->dct_method = JDCT_ISLOW;
    int sampling = quality > SUBSAMPLED_QUALITY_MAX ? 1 : 2;
    c->comp_info[0].h_samp_factor = c->comp_info[0].v_samp_factor = sampling;
}

static void write_band(struct writer *w, const struct jpeg_source *source)
{
    struct jpeg_compress_struct *c = &w->compress;
    size_t stride;
    uint32_t y = c->next_scanline;
    const uint8_t *rows = source->rows(source->ctx, y, &stride);
    if (rows == NULL) {
        w->error = -ENOTSUP;
        longjmp(w->failed, 1);
    }
    for (; c->next_scanline < c->image_height && c->next_scanline - y < JPEG_ROWS; rows += stride) {
        JSAMPROW row = (JSAMPROW)(uintptr_t)rows;
        (void)jpeg_write_scanlines(c, &row, 1);
    }
}

static int run(struct writer *w, const struct jpeg_source *source, uint32_t width, uint32_t height,
               uint32_t quality)
{
    struct jpeg_compress_struct *c = &w->compress;
    if (setjmp(w->failed) != 0)
        return w->error;
    jpeg_create_compress(c);
    c->dest = &w->destination;
    set_parameters(c, width, height, quality);
    jpeg_start_compress(c, TRUE);
    while (c->next_scanline < height)
        write_band(w, source);
    jpeg_finish_compress(c);
    return 0;
}

int jpeg_compress(const struct jpeg_source *source, uint32_t width, uint32_t height,
                  uint32_t quality, struct jpeg_output *output)
{
    struct writer w = {.output = output, .error = -EINVAL};
    w.compress.err = jpeg_std_error(&w.errors);
    w.errors.error_exit = fail;
    w.errors.emit_message = say_nothing;
    w.compress.client_data = &w;
    w.destination.init_destination = on_start;
    w.destination.empty_output_buffer = on_full;
    w.destination.term_destination = on_end;
    int rc = run(&w, source, width, height, quality);
    jpeg_destroy_compress(&w.compress);
    return rc;
}
