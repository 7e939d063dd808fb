/* See snapshot_render.h. */
#include "worker/pictures/snapshot_render.h"

#include <string.h>

struct rendered *rendered_set_find(struct rendered_set *set, const struct picture_form *wanted)
{
    for (size_t i = 0; i < set->count; i++) {
        const struct picture_form *r = &set->items[i].form;
        if (r->width == wanted->width && r->height == wanted->height &&
            r->quality == wanted->quality)
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

static int render(struct render_job *job, struct rendered *r)
{
    uint32_t width = r->form.width;
    uint32_t height = r->form.height;
    const uint8_t *rgb;
    picture_scaler_fit(job->frame->width, job->frame->height, &width, &height);
    int rc = picture_scaler_rgb(job->scaler, job->frame, width, height, &rgb);
    return rc != 0 ? rc : jpeg_encode(rgb, width, height, r->form.quality, 0, &r->jpeg);
}

void render_job_run(struct render_job *job)
{
    if (job->scaler == NULL)
        job->scaler = picture_scaler_new();
    job->error = 0;
    for (size_t i = 0; i < job->set.count; i++) {
        int rc = job->set.items[i].jpeg == NULL ? render(job, &job->set.items[i]) : 0;
        if (rc != 0)
            job->error = rc; /* a smaller one may succeed all the same */
    }
}

void render_job_reset(struct render_job *job)
{
    rendered_set_clear(&job->set);
    picture_scaler_free(&job->scaler);
    av_frame_free(&job->frame);
    memset(job, 0, sizeof(*job));
}
