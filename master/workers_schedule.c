/*
 * The schedule of starts: whose worker starts next, and how many workers a client holds.  Master,
 * loop thread.
 */
#include "common/clock.h"
#include "master/workers_private.h"

#define START_MS 500 /* a worker that takes longer to start does not hold up the others */
/* No more are looked at to tell whose turn it is.  As few as workers.c lets start at a time, but
 * those whose time was moved (worker_excuse()) count once more. */
#define STARTS_MAX 32

bool workers_waits_for_start(const struct worker *w)
{
    return w->unforked != -1 && !w->reaped;
}

static bool is_for(const struct worker *w, const struct worker *like)
{
    return (w->owner != NULL) == (like->owner != NULL) && w->requested == like->requested &&
           client_key_equal(&w->client, &like->client);
}

struct starts {
    const struct worker *list[STARTS_MAX];
    size_t count;
};

static struct starts find_starts(const struct workers *ws)
{
    struct starts starts = {.count = 0};
    const struct worker *w;
    int64_t since_ms = clock_ms() - START_MS;
    LIST_FOREACH(w, &ws->list, link)
    {
        bool begins = w->unforked == -1 && !w->reaped && w->phase == IPC_PH_BOOT &&
                      w->state != WORKER_ENDING && w->asked.at_ms > since_ms;
        if (begins && starts.count < STARTS_MAX)
            starts.list[starts.count++] = w;
    }
    return starts;
}

/* Clients with fewer starts under way come first, spare workers last. */
static size_t rank_of(const struct starts *starts, const struct worker *w)
{
    size_t rank = 0;
    if (w->owner == NULL)
        return SIZE_MAX;
    for (size_t i = 0; i < starts->count; i++)
        rank += is_for(starts->list[i], w);
    return rank;
}

struct worker *workers_next_to_start(const struct workers *ws)
{
    const struct starts starts = find_starts(ws);
    struct worker *first = NULL;
    size_t best = SIZE_MAX;
    struct worker *w;
    LIST_FOREACH(w, &ws->list, link)
    {
        bool waits = workers_waits_for_start(w) && !w->held;
        size_t rank = waits ? rank_of(&starts, w) : SIZE_MAX;
        if (!waits || rank > best)
            continue;
        first = w; /* the newest is at the head */
        best = rank;
    }
    return first;
}

size_t workers_count_starts(const struct workers *ws)
{
    return find_starts(ws).count;
}

struct workers_held workers_held_by(const struct workers *workers, const struct client_key *client)
{
    struct workers_held held = {.busy = workers_busy(workers)};
    const struct worker *w;
    LIST_FOREACH(w, &workers->list, link)
    {
        bool own = w->requested && client_key_equal(&w->client, client);
        held.requested += w->requested && w->state == WORKER_BUSY;
        held.own += own && w->state == WORKER_BUSY;
        held.leaving += own && (w->state == WORKER_LEAVING || w->state == WORKER_ENDING);
    }
    return held;
}
