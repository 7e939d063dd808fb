/* See snapshot_job.h. */
#include "worker/snapshot_job.h"

#include "common/log.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>

static int feed(struct snapshot_job *job)
{
    for (size_t i = 0; i < job->frame_count; i++) {
        int rc =
            picture_decoder_feed(job->decoder, job->frames[i], job->seqs[i], i == 0 && job->gap);
        if (rc == 0)
            job->lost = 0;
        else
            job->lost++;
        if (rc != 0 && rc != -EAGAIN)
            return rc;
    }
    return 0;
}

static void take_newest(struct snapshot_job *job, struct picture *newest)
{
    const struct snapshot_picture p = {.seq = newest->id, .received_us = newest->received_us};
    if (job->has_picture && job->picture.seq == p.seq && job->picture.received_us == p.received_us)
        return;
    for (size_t i = 0; i < job->rendered_count; i++)
        jpeg_unref(&job->rendered[i].jpeg);
    job->has_picture = true;
    job->picture = p;
}

static int render(struct snapshot_job *job, const AVFrame *frame, struct rendered *r)
{
    uint32_t width = r->rendition.width;
    uint32_t height = r->rendition.height;
    const uint8_t *rgb;
    picture_scaler_fit(frame->width, frame->height, &width, &height);
    int rc = picture_scaler_rgb(job->scaler, frame, width, height, &rgb);
    return rc != 0 ? rc : jpeg_encode(rgb, width, height, r->rendition.quality, &r->jpeg);
}

void snapshot_job_run(struct snapshot_job *job)
{
    if (job->decoder == NULL) {
        job->decoder = picture_decoder_new();
        job->scaler = picture_scaler_new();
    }
    job->made = 0;
    job->error = feed(job);
    struct picture newest;
    if (!picture_decoder_newest(job->decoder, &newest))
        return;
    take_newest(job, &newest);
    if (!job->render || !snapshot_job_is_fresh(job))
        return;
    for (size_t i = 0; i < job->rendered_count && job->error == 0; i++) {
        if (!job->rendered[i].wanted || job->rendered[i].jpeg != NULL)
            continue;
        job->error = render(job, newest.frame, &job->rendered[i]);
        job->made++;
    }
}

bool snapshot_job_is_fresh(const struct snapshot_job *job)
{
    return job->has_picture && job->lost <= SNAPSHOT_LOST_MAX;
}

void snapshot_job_drop_rendered(struct snapshot_job *job)
{
    for (size_t i = 0; i < job->rendered_count; i++)
        jpeg_unref(&job->rendered[i].jpeg);
    job->rendered_count = 0;
}

void snapshot_job_reset(struct snapshot_job *job)
{
    bool had_decoder = job->decoder != NULL;
    for (size_t i = 0; i < job->frame_count; i++)
        frame_unref(&job->frames[i]);
    snapshot_job_drop_rendered(job);
    picture_decoder_free(&job->decoder);
    picture_scaler_free(&job->scaler);
    memset(job, 0, sizeof(*job));
    if (had_decoder)
        (void)malloc_trim(0); /* tens of megabytes, in the pool threads' arenas */
}
