/* Workers while another program takes this one's place (takeover.h).  Master, loop thread. */
#include "master/workers_private.h"

void workers_expect_child(struct workers *workers, pid_t pid)
{
    workers->expected = pid;
}

bool workers_are_settled(const struct workers *workers)
{
    const struct worker *w;
    LIST_FOREACH(w, &workers->list, link)
    {
        if (!worker_is_settled(w))
            return false;
    }
    return true;
}

struct worker *workers_restore(struct workers *workers, const struct takeover_record *record,
                               struct takeover *takeover, void *owner, const char *camera)
{
    struct worker *w = worker_restore(&workers->env, record, takeover);
    if (w == NULL)
        return NULL;
    LIST_INSERT_HEAD(&workers->list, w, link);
    closing_hold(&workers->closing);
    if (workers->next_id <= w->id)
        workers->next_id = w->id + 1;
    worker_take(w, owner, camera);
    return w;
}

static void save_process(struct takeover_writer *w, pid_t pid)
{
    const struct takeover_process process = {.pid = pid};
    if (pid > 1)
        takeover_put(w, TAKEOVER_PROCESS, &process, sizeof(process), NULL, 0);
}

void workers_save(const struct workers *workers, struct takeover_writer *w)
{
    const struct worker *worker;
    LIST_FOREACH(worker, &workers->list, link)
    {
        if (worker->state != WORKER_BUSY)
            save_process(w, worker->pid);
    }
    save_process(w, nursery_link_pid(workers->nursery));
}
