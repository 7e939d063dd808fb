/*
 * The pictures of one kind (newest, or newest key frame): what is decoded, the JPEGs made of it,
 * and which clients they answer.  Worker, loop thread.  Decides nothing about when to work, and
 * runs no job itself: snapshot.c does.
 */
#ifndef WORKER_SNAPSHOT_LANE_H
#define WORKER_SNAPSHOT_LANE_H

#include "common/ipc.h"
#include "worker/http/client_set.h"
#include "worker/media/frame_ring.h"
#include "worker/pictures/picture_feed.h"
#include "worker/pictures/snapshot_pace.h"
#include "worker/pictures/snapshot_render.h"
#include "worker/pictures/snapshot_stats.h"
#include "worker/pictures/snapshot_turns.h"

#include <stdbool.h>

#define SNAPSHOT_KEEP_MS 10000

struct snapshot;

struct snapshot_lane {
    enum ipc_picture kind;
    const struct frame_ring *ring;    /* Borrowed */
    const struct client_set *clients; /* of all kinds.  Borrowed */
    struct snapshot_stats *stats;     /* Borrowed */
    struct snapshot *owner;
    struct picture_feed *feed; /* NULL once closed */
    struct rendered_set made;  /* JPEGs of the picture given out now */
    struct snapshot_pace pace;
    struct snapshot_turns turns; /* of those who get JPEGs made */
};

/** Does it keep JPEGs or decoded pictures? */
bool snapshot_lane_holds_memory(const struct snapshot_lane *lane);

/** Call a few times a second: gives memory back SNAPSHOT_KEEP_MS after the last client. */
void snapshot_lane_check(struct snapshot_lane *lane, int64_t now_us);

/** Is a picture due to a client of this lane: of this form, or (NULL) of any? */
bool snapshot_lane_is_due(const struct snapshot_lane *lane, const struct picture_form *wanted);

/** Is the picture that is decoded already new enough for a client to whom one is due? */
bool snapshot_lane_has_due(const struct snapshot_lane *lane);

/** Answer every client for whom a JPEG made so far is recent enough. */
void snapshot_lane_answer(struct snapshot_lane *lane);

/** If the camera sends JPEG, clients who ask for no form get that of the newest frame. */
void snapshot_lane_take_own(struct snapshot_lane *lane);

/**
 * Answer whom the JPEGs made so far answer, and put into *job what the others need of the newest
 * picture that is decoded.
 *
 * @return true: run the job, then call snapshot_lane_finish_job(); false: there is nothing to make.
 */
bool snapshot_lane_begin_job(struct snapshot_lane *lane, struct render_job *job);

/** The job was run: take its JPEGs, answer with them, refuse whose form could not be made. */
void snapshot_lane_finish_job(struct snapshot_lane *lane, struct render_job *job);

#endif /* WORKER_SNAPSHOT_LANE_H */
