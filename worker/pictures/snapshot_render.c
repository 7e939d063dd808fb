/* See snapshot_render.h. */
#include "worker/pictures/snapshot_render.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct rendered *rendered_set_find(struct rendered_set *set, const struct picture_form *wanted)
{
    for (size_t i = 0; i < set->count; i++) {
        if (memcmp(&set->items[i].form, wanted, sizeof(*wanted)) == 0)
            return &set->items[i];
    }
    return NULL;
}

void rendered_set_clear(struct rendered_set *set)
{
    for (size_t i = 0; i < set->count; i++)
        jpeg_unref(&set->items[i].jpeg);
    memset(set, 0, sizeof(*set));
}

static void fit(const struct picture_form *form, int source_width, int source_height,
                uint32_t *width, uint32_t *height)
{
    bool cropped = form->crop.width > 0;
    *width = form->width;
    *height = form->height;
    picture_scaler_fit(cropped ? (int)form->crop.width : source_width,
                       cropped ? (int)form->crop.height : source_height, width, height);
}

uint64_t picture_form_pixels(const struct picture_form *form, int width, int height)
{
    uint32_t form_width, form_height;
    fit(form, width, height, &form_width, &form_height);
    return (uint64_t)form_width * form_height;
}

static int render(struct render_job *job, struct rendered *r)
{
    const struct picture_crop *crop = &r->form.crop;
    uint32_t width, height;
    uint32_t quality = r->form.quality != 0 ? r->form.quality : SNAPSHOT_QUALITY_DEFAULT;
    struct jpeg_source rows;
    if (!picture_crop_fits(crop, job->frame->width, job->frame->height))
        return -ERANGE;
    fit(&r->form, job->frame->width, job->frame->height, &width, &height);
    if (width > JPEG_SIDE_MAX || height > JPEG_SIDE_MAX)
        return -EFBIG;
    int rc = picture_scaler_begin(job->scaler, job->frame, crop, width, height, &rows);
    if (rc == 0)
        rc = jpeg_encode(&rows, width, height, quality, job->set.picture.taken_us, &r->jpeg);
    picture_scaler_end(job->scaler);
    return rc;
}

void render_job_run(struct render_job *job)
{
    if (job->scaler == NULL)
        job->scaler = picture_scaler_new();
    for (size_t i = 0; i < job->set.count; i++)
        job->set.items[i].error = render(job, &job->set.items[i]);
}

struct render_failure render_failure(int error, const struct snapshot_picture *picture)
{
    struct render_failure f = {.error = HTTP_ERROR_OVERLOADED, .text = "out of memory"};
    if (error == -ENOTSUP)
        f = (struct render_failure){HTTP_ERROR_UNSUPPORTED_CODEC, "the picture cannot be decoded"};
    if (error == -ERANGE) {
        f.error = HTTP_ERROR_BAD_PARAMETER;
        (void)snprintf(f.text, sizeof(f.text), "crop: the camera's picture has %dx%d pixels",
                       picture->width, picture->height);
    }
    if (error == -EFBIG) {
        f.error = HTTP_ERROR_BAD_PARAMETER;
        (void)snprintf(f.text, sizeof(f.text),
                       "width, height: the camera's picture has %dx%d pixels, a JPEG at most %ux%u",
                       picture->width, picture->height, JPEG_SIDE_MAX, JPEG_SIDE_MAX);
    }
    return f;
}

void render_job_reset(struct render_job *job)
{
    rendered_set_clear(&job->set);
    picture_scaler_free(&job->scaler);
    av_frame_free(&job->frame);
    memset(job, 0, sizeof(*job));
}
