/* See snapshot_lane.h. */
#include "worker/pictures/snapshot_lane.h"

#include "common/clock.h"
#include "common/histogram.h"
#include "common/log.h"
#include "worker/pictures/camera_jpeg.h"
#include "worker/pictures/snapshot_client.h"
#include "worker/pictures/snapshot_required.h"

#include <stdlib.h>
#include <string.h>

/* --- memory ---------------------------------------------------------------- */

bool snapshot_lane_holds_memory(const struct snapshot_lane *lane)
{
    return lane->made.count > 0 || picture_feed_holds_memory(lane->feed);
}

static bool has_clients(const struct snapshot_lane *lane)
{
    for (size_t i = 0; i < lane->clients->count; i++) {
        const struct snapshot_client *client = lane->clients->items[i];
        if (snapshot_client_kind(client) == lane->kind &&
            (snapshot_client_is_unanswered(client) || snapshot_client_is_streaming(client)))
            return true;
    }
    return false;
}

void snapshot_lane_check(struct snapshot_lane *lane, int64_t now_us)
{
    if (has_clients(lane))
        snapshot_pace_touch(&lane->pace, now_us);
    if (!snapshot_lane_holds_memory(lane) ||
        snapshot_pace_idle_us(&lane->pace, now_us) <= SNAPSHOT_KEEP_MS * INT64_C(1000))
        return;
    log_debug(NULL, "nobody asks for pictures: memory given back");
    rendered_set_clear(&lane->made);
    picture_feed_forget(lane->feed);
}

/* --- to whom a picture is due ---------------------------------------------- */

/* May this older picture go to a client whose patience has run out? */
static bool is_second_best(const struct snapshot_lane *lane, const struct snapshot_picture *picture)
{
    struct picture_feed_newest newest;
    return picture_feed_get(lane->feed, &newest) && newest.stamp.seq == picture->stamp.seq &&
           clock_us() - picture->stamp.received_us <= SNAPSHOT_OLD_MAX_MS * INT64_C(1000);
}

/* The form due to a client of this lane, or NULL. */
static const struct picture_form *due_in_lane(const struct snapshot_lane *lane,
                                              const struct snapshot_client *client, uint64_t *seq)
{
    return snapshot_client_kind(client) == lane->kind ? snapshot_client_due(client, seq) : NULL;
}

/* The same, if the picture of the set is new enough for the client. */
static const struct picture_form *due_form(const struct snapshot_lane *lane,
                                           const struct snapshot_client *client,
                                           const struct rendered_set *set)
{
    uint64_t seq;
    const struct picture_form *form = due_in_lane(lane, client, &seq);
    if (form == NULL || snapshot_client_knows(client, &set->picture))
        return NULL;
    if (seq <= set->newest_until)
        return form;
    bool accepts_older = snapshot_client_accepts_older(client, clock_ms());
    return accepts_older && is_second_best(lane, &set->picture) ? form : NULL;
}

bool snapshot_lane_is_due(const struct snapshot_lane *lane, const struct picture_form *wanted)
{
    uint64_t seq;
    for (size_t i = 0; i < lane->clients->count; i++) {
        const struct picture_form *form = due_in_lane(lane, lane->clients->items[i], &seq);
        if (form != NULL && (wanted == NULL || memcmp(form, wanted, sizeof(*form)) == 0))
            return true;
    }
    return false;
}

bool snapshot_lane_has_due(const struct snapshot_lane *lane)
{
    struct picture_feed_newest newest;
    uint64_t seq;
    if (!picture_feed_get(lane->feed, &newest))
        return false;
    const struct snapshot_picture picture = {.stamp = newest.stamp};
    for (size_t i = 0; i < lane->clients->count; i++) {
        const struct snapshot_client *client = lane->clients->items[i];
        if (due_in_lane(lane, client, &seq) != NULL && seq <= newest.until &&
            !snapshot_client_knows(client, &picture))
            return true;
    }
    return false;
}

/* --- answering ------------------------------------------------------------- */

void snapshot_lane_answer(struct snapshot_lane *lane)
{
    for (size_t i = 0; i < lane->clients->count; i++) {
        struct snapshot_client *client = lane->clients->items[i];
        const struct picture_form *form = due_form(lane, client, &lane->made);
        const struct rendered *r = form != NULL ? rendered_set_find(&lane->made, form) : NULL;
        if (r == NULL || r->jpeg == NULL)
            continue;
        if (snapshot_client_is_unanswered(client))
            histogram_add(&lane->stats->times,
                          (clock_ms() - snapshot_client_opened_ms(client)) * 1000);
        snapshot_client_answer(client, &lane->made.picture, r->jpeg);
    }
}

/* Take the job's JPEGs; keep earlier ones of the same picture while there is room. */
static void take_rendered(struct snapshot_lane *lane, struct rendered_set *made)
{
    struct rendered_set *kept = &lane->made;
    for (size_t i = 0; i < made->count; i++)
        lane->stats->pictures += made->items[i].jpeg != NULL;
    if (made->picture.stamp.seq == kept->picture.stamp.seq) {
        for (size_t i = 0; i < kept->count && made->count < SNAPSHOT_FORMS_MAX; i++) {
            struct rendered *old = &kept->items[i];
            if (rendered_set_find(made, &old->form) == NULL) {
                made->items[made->count++] = *old;
                old->jpeg = NULL;
            }
        }
    }
    rendered_set_clear(kept);
    *kept = *made;
    memset(made, 0, sizeof(*made));
}

/* Refuse the clients whose form could not be made; other forms may have been.  An answered MJPEG
 * client is closed, or its form would be tried again at once, for ever. */
static void fail_unserved(const struct snapshot_lane *lane, struct rendered_set *set)
{
    for (size_t i = 0; i < lane->clients->count; i++) {
        struct snapshot_client *client = lane->clients->items[i];
        const struct picture_form *form = due_form(lane, client, set);
        const struct rendered *r = form != NULL ? rendered_set_find(set, form) : NULL;
        if (r == NULL || r->jpeg != NULL)
            continue;
        struct render_failure f = render_failure(r->error, &set->picture);
        if (snapshot_client_is_streaming(client))
            snapshot_client_end(client, f.text);
        else
            snapshot_client_fail(client, f.error, f.text);
    }
}

/* --- making JPEGs ----------------------------------------------------------- */

/* Whose form comes next: clients take turns, and each one's requests are served in order.
 * @return NULL: all due forms that this picture answers are in the set. */
static const struct snapshot_client *next_in_turn(const struct snapshot_lane *lane,
                                                  struct rendered_set *set)
{
    const struct snapshot_client *next = NULL;
    uint64_t longest_ago = UINT64_MAX;
    for (size_t i = 0; i < lane->clients->count; i++) {
        const struct snapshot_client *client = lane->clients->items[i];
        const struct picture_form *form = due_form(lane, client, set);
        if (form == NULL || rendered_set_find(set, form) != NULL)
            continue;
        uint64_t last = snapshot_turns_last(&lane->turns, snapshot_client_request(client)->client);
        bool earlier = next == NULL ||
                       snapshot_client_due_since_us(client) < snapshot_client_due_since_us(next);
        if (last < longest_ago || (last == longest_ago && earlier)) {
            next = client;
            longest_ago = last;
        }
    }
    return next;
}

/* List due forms.  Those that do not fit are left for the next job, which begins with them. */
static void list_forms(struct snapshot_lane *lane, struct rendered_set *set)
{
    const struct snapshot_client *client;
    uint64_t pixels = 0, seq;
    while (set->count < SNAPSHOT_FORMS_MAX && (client = next_in_turn(lane, set)) != NULL) {
        const struct picture_form *form = snapshot_client_due(client, &seq);
        pixels += picture_form_pixels(form, set->picture.width, set->picture.height);
        if (set->count > 0 && pixels > SNAPSHOT_JOB_PIXELS_MAX)
            return;
        set->items[set->count++] = (struct rendered){.form = *form};
        snapshot_turns_take(&lane->turns, snapshot_client_request(client)->client);
    }
}

static struct snapshot_picture describe(const struct picture_stamp *stamp, int width, int height)
{
    int64_t age_us = clock_us() - stamp->received_us;
    bool by_camera = stamp->captured_us != 0;
    return (struct snapshot_picture){.stamp = *stamp,
                                     .width = width,
                                     .height = height,
                                     .taken_us =
                                         by_camera ? stamp->captured_us : clock_unix_us() - age_us};
}

bool snapshot_lane_begin_job(struct snapshot_lane *lane, struct render_job *job)
{
    struct picture_feed_newest newest;
    if (!picture_feed_get(lane->feed, &newest))
        return false;
    bool same = lane->made.count > 0 && lane->made.picture.stamp.seq == newest.stamp.seq;
    if (same) {
        lane->made.newest_until = newest.until;
        snapshot_lane_answer(lane);
    }
    if (newest.frame == NULL)
        return false;
    job->set.picture = same ? lane->made.picture
                            : describe(&newest.stamp, newest.frame->width, newest.frame->height);
    job->set.newest_until = newest.until;
    list_forms(lane, &job->set);
    if (job->set.count == 0)
        return false;
    if (job->frame == NULL)
        job->frame = av_frame_alloc();
    if (job->frame == NULL || av_frame_ref(job->frame, newest.frame) < 0)
        abort(); /* only counts references: small */
    return true;
}

void snapshot_lane_finish_job(struct snapshot_lane *lane, struct render_job *job)
{
    av_frame_unref(job->frame);
    fail_unserved(lane, &job->set);
    take_rendered(lane, &job->set);
    snapshot_lane_answer(lane);
}

/* --- a JPEG camera ---------------------------------------------------------- */

/* The form of pictures as the camera sends them. */
static const struct picture_form own_form;

void snapshot_lane_take_own(struct snapshot_lane *lane)
{
    struct rendered_set *made = &lane->made;
    uint64_t seq = frame_ring_head(lane->ring);
    const struct frame *f = snapshot_frame_before(lane->ring, &seq);
    if (f == NULL || f->config->codec != AV_CODEC_ID_MJPEG ||
        !snapshot_lane_is_due(lane, &own_form))
        return;
    if (made->count == 0 || made->picture.stamp.seq != seq) {
        rendered_set_clear(made);
        const struct picture_stamp stamp = picture_stamp_of(f, seq);
        made->picture = describe(&stamp, f->config->width, f->config->height);
    }
    made->newest_until = frame_ring_head(lane->ring);
    if (rendered_set_find(made, &own_form) != NULL || made->count == SNAPSHOT_FORMS_MAX)
        return;
    struct jpeg *jpeg = camera_jpeg_make(f, made->picture.taken_us);
    if (jpeg != NULL)
        made->items[made->count++] = (struct rendered){.form = own_form, .jpeg = jpeg};
    lane->stats->pictures += jpeg != NULL;
}
