/* master/workers: whom a nursery that cannot be asked, or dies, concerns, and when; whose worker
 * starts next. */
#include "master/workers.h"

#include "common/clock.h"
#include "common/fd.h"
#include "common/log.h"
#include "master/workers_private.h"
#include "test/unit/log_capture.h"
#include "test/unit/played_nursery.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define STARTS_AT_ONCE 4 /* as in workers.c */
#define A_LONG_TIME_MS 60000

static struct log_capture captured;

static struct rig {
    uv_loop_t loop;
    struct conf conf;
    struct workers *workers;
    int refuses; /* what it answers to a request, 0: it takes it */
    unsigned asked, gone, closed;
    uint32_t last_id; /* which worker it was asked for last */
    bool again;       /* the owner takes another worker in on_gone() */
    bool taking;      /* in workers_take() */
    bool too_soon;    /* on_gone() came in workers_take() */
} rig;

bool __wrap_nursery_link_is_open(const struct nursery_link *link)
{
    return rig.refuses != -ENOTCONN;
}

int __wrap_nursery_link_spawn(struct nursery_link *link, uint32_t worker_id, int *channel)
{
    if (rig.refuses == 0) {
        rig.asked++;
        rig.last_id = worker_id;
        fd_close(channel);
    }
    return rig.refuses;
}

static struct worker *hold(void)
{
    struct worker *w = workers_take(rig.workers, &rig, "door", NULL, true);
    assert_non_null(w);
    return w;
}

static struct worker *take_for(const struct client_key *client)
{
    rig.taking = true;
    struct worker *w = workers_take(rig.workers, &rig, "door", client, false);
    rig.taking = false;
    if (w != NULL)
        w->asked.at_ms += A_LONG_TIME_MS; /* it is starting, however slow the computer is */
    return w;
}

static struct worker *take(void)
{
    return take_for(NULL);
}

static void on_gone(void *owner)
{
    rig.too_soon = rig.too_soon || rig.taking;
    rig.gone++;
    if (rig.again) {
        rig.workers->stillborn_ms = 0; /* the last one's end is long ago */
        assert_non_null(take());
    }
}

static const struct worker_events events = {.on_gone = on_gone};

static void on_closed(void *ctx)
{
    rig.closed++;
}

static int setup(void **state)
{
    rig = (struct rig){.again = false};
    log_capture_begin(&captured);
    if (uv_loop_init(&rig.loop) != 0 ||
        workers_open(&rig.loop, &rig.conf, &events, &rig.workers) != 0)
        return -1;
    workers_begin(rig.workers);
    return uv_timer_stop(&rig.workers->tick); /* look_again() */
}

static void close_workers(void)
{
    workers_close(rig.workers, on_closed, NULL);
    nursery->on_died(rig.workers);
    (void)uv_run(&rig.loop, UV_RUN_DEFAULT);
    rig.workers = NULL;
    assert_int_equal(rig.closed, 1);
}

static int teardown(void **state)
{
    if (rig.workers != NULL)
        close_workers();
    assert_false(rig.too_soon);
    log_capture_end(&captured);
    return uv_loop_close(&rig.loop);
}

/* Another turn, without waiting for the tick. */
static void look_again(void)
{
    assert_int_equal(raise(SIGCHLD), 0);
    for (int i = 0; i < 5; i++)
        (void)uv_run(&rig.loop, UV_RUN_NOWAIT);
}

/* It died a moment ago, and nobody has been told yet. */
static void test_taken_when_the_nursery_has_just_died(void **state)
{
    const struct ipc_leave leave = {0};
    rig.refuses = -EPIPE;
    struct worker *w = take();
    assert_non_null(w);
    assert_int_equal(w->state, WORKER_BUSY);
    assert_int_equal(rig.gone, 0);
    assert_int_equal(worker_send(w, IPC_LEAVE, &leave, NULL), 0);
    assert_non_null(worker_slot(w, 0));
    assert_int_equal(workers_busy(rig.workers), 1);
}

/* What the last program left is being taken in. */
static void test_nothing_is_forked_before_the_beginning(void **state)
{
    rig.workers->begun = false;
    const struct worker *w = take();
    look_again();
    assert_int_equal(rig.asked + rig.gone, 0);
    assert_int_not_equal(w->unforked, -1);
    workers_begin(rig.workers);
    assert_int_equal(rig.asked, 1);
    assert_int_equal(w->unforked, -1);
}

static void test_waits_for_a_nursery_that_can_be_asked(void **state)
{
    rig.refuses = -EAGAIN;
    struct worker *w = take();
    rig.workers->refused_ms += A_LONG_TIME_MS; /* it has patience, likewise */
    look_again();
    assert_int_equal(rig.gone, 0);
    rig.refuses = 0;
    look_again();
    assert_int_equal(rig.asked, 1);
    assert_int_equal(w->unforked, -1);
    assert_int_equal(rig.workers->refused_ms, 0);
}

static void test_does_not_wait_without_end(void **state)
{
    rig.refuses = -EPIPE;
    assert_non_null(take());
    rig.workers->refused_ms = clock_ms() - WORKERS_PATIENCE_MS;
    look_again();
    assert_int_equal(rig.gone, 1);
    assert_int_equal(workers_busy(rig.workers), 0);
}

/* As a camera with clients does. */
static void test_the_next_one_is_taken_when_the_last_is_gone(void **state)
{
    for (int i = 0; i < STARTS_AT_ONCE; i++)
        assert_non_null(take());
    assert_int_equal(rig.asked, STARTS_AT_ONCE);
    rig.refuses = -EPIPE;
    rig.again = true;
    nursery->on_died(rig.workers);
    assert_int_equal(rig.gone, STARTS_AT_ONCE);
    rig.again = false;
    rig.workers->refused_ms = clock_ms() - WORKERS_PATIENCE_MS;
    look_again();
    assert_int_equal(rig.gone, 2 * STARTS_AT_ONCE);
}

/* To its camera that is no death. */
static void test_one_that_was_not_asked_for_waits_for_the_next_nursery(void **state)
{
    struct worker *w = NULL;
    for (int i = 0; i < STARTS_AT_ONCE + 1; i++)
        w = take();
    assert_int_equal(rig.asked, STARTS_AT_ONCE);
    rig.refuses = -ENOTCONN;
    nursery->on_died(rig.workers);
    assert_int_equal(rig.gone, STARTS_AT_ONCE);
    assert_int_equal(w->state, WORKER_BUSY);
    assert_ptr_equal(w->owner, &rig);
    rig.refuses = 0;
    look_again();
    assert_int_equal(rig.asked, STARTS_AT_ONCE + 1);
    assert_int_equal(rig.gone, STARTS_AT_ONCE);
}

static void test_closed_while_one_waits(void **state)
{
    rig.refuses = -EPIPE;
    assert_non_null(take());
    close_workers();
    assert_int_equal(rig.gone, 1);
}

/* All that were asked for are starting, however slow the computer is. */
static void stop_time(void)
{
    struct worker *w;
    LIST_FOREACH(w, &rig.workers->list, link)
    {
        w->asked.at_ms = clock_ms() + A_LONG_TIME_MS;
    }
}

/* One of those that start is ready: the next one can start. */
static void get_ready(struct worker *w)
{
    stop_time();
    w->phase = IPC_PH_RUN;
    rig.workers->env.on_ready(rig.workers);
    stop_time();
}

static void test_clients_take_turns(void **state)
{
    const struct client_key greedy = {{1, 1}}, modest = {{1, 2}};
    struct worker *first[STARTS_AT_ONCE];
    for (int i = 0; i < STARTS_AT_ONCE; i++)
        first[i] = take_for(&greedy);
    for (int i = 0; i < 100; i++)
        (void)take_for(&greedy);
    const struct worker *theirs = take_for(&modest);
    const struct worker *configured = take();
    assert_int_equal(rig.asked, STARTS_AT_ONCE);
    get_ready(first[0]);
    assert_int_equal(rig.last_id, theirs->id);
    get_ready(first[1]);
    assert_int_equal(rig.last_id, configured->id);
    get_ready(first[2]);
    assert_int_equal(rig.last_id, STARTS_AT_ONCE + 1); /* in order again */
    assert_int_equal(rig.asked, STARTS_AT_ONCE + 3);
}

/* Spare ones that are starting are nobody's: the configuration's camera, which asked first, is
 * next.
 */
static void test_spare_ones_count_for_nobody(void **state)
{
    struct workers ws = {.conf = &rig.conf};
    const struct client_key client = {{1, 1}};
    struct worker spare = {
        .unforked = -1, .phase = IPC_PH_BOOT, .asked.at_ms = clock_ms() + A_LONG_TIME_MS};
    struct worker configured = {.unforked = 0, .owner = &rig};
    struct worker theirs = {.unforked = 0, .owner = &rig};
    worker_count_for(&theirs, &client);
    LIST_INIT(&ws.list);
    LIST_INSERT_HEAD(&ws.list, &spare, link);
    LIST_INSERT_HEAD(&ws.list, &configured, link);
    LIST_INSERT_HEAD(&ws.list, &theirs, link);
    assert_int_equal(workers_count_starts(&ws), 1);
    assert_ptr_equal(workers_next_to_start(&ws), &configured);
}

static void test_spare_ones_come_last(void **state)
{
    rig.refuses = -EAGAIN;
    rig.conf.server.spare_workers = 2;
    struct worker *taken = take(); /* others are made in its place */
    struct worker *another = take();
    rig.refuses = 0;
    rig.workers->env.on_ready(rig.workers); /* another turn, in which no channel is read */
    stop_time();
    assert_int_equal(taken->unforked, -1);
    assert_int_equal(another->unforked, -1);
    assert_int_equal(rig.asked, STARTS_AT_ONCE);
    const struct client_key late = {{1, 2}};
    struct worker *third = take_for(&late);
    (void)take_for(&late);
    const struct worker *fifth = take_for(&late);
    assert_int_equal(third->unforked, -1); /* a spare one, which is starting */
    assert_int_not_equal(fifth->unforked, -1);
    get_ready(taken);
    assert_int_equal(fifth->unforked, -1);
}

/* To choose the next one costs one look at each that waits. */
static void test_many_wait(void **state)
{
    enum { MANY = 20000, LOOKS = 100 };
    static struct worker waiting[MANY], starting[STARTS_AT_ONCE];
    struct workers ws = {.conf = &rig.conf};
    const struct client_key many = {{1, 1}};
    LIST_INIT(&ws.list);
    for (int i = 0; i < MANY; i++) {
        waiting[i] = (struct worker){.unforked = 0, .owner = &rig};
        worker_count_for(&waiting[i], &many);
        LIST_INSERT_HEAD(&ws.list, &waiting[i], link);
    }
    for (int i = 0; i < STARTS_AT_ONCE; i++) {
        starting[i] = (struct worker){.unforked = -1, .owner = &rig};
        starting[i].asked.at_ms = clock_ms() + A_LONG_TIME_MS;
        worker_count_for(&starting[i], &many);
        LIST_INSERT_HEAD(&ws.list, &starting[i], link);
    }
    int64_t began_us = clock_us();
    for (int i = 0; i < LOOKS; i++)
        assert_ptr_equal(workers_next_to_start(&ws), &waiting[0]);
    assert_true(clock_us() - began_us < INT64_C(30000000)); /* it took minutes */
}

static void test_what_a_client_holds(void **state)
{
    const struct client_key one = {{1, 1}}, other = {{1, 2}};
    struct worker *w = take_for(&one);
    (void)take_for(&one);
    (void)take_for(&other);
    (void)take();
    struct workers_held held = workers_held_by(rig.workers, &one);
    assert_int_equal(held.busy, 4);
    assert_int_equal(held.requested, 3);
    assert_int_equal(held.own, 2);
    assert_int_equal(held.leaving, 0);
    worker_count_for(w, &other); /* the first client has gone */
    assert_int_equal(workers_held_by(rig.workers, &one).own, 1);
    assert_int_equal(workers_held_by(rig.workers, &other).own, 2);
    worker_release(w);
    held = workers_held_by(rig.workers, &other);
    assert_int_equal(held.busy, 4);
    assert_int_equal(held.requested, 2);
    assert_int_equal(held.own, 1);
    assert_int_equal(held.leaving, 1);
}

/* Those that are held take nobody's turn, and start when they are told. */
static void test_held(void **state)
{
    struct worker *held[2 * STARTS_AT_ONCE];
    for (int i = 0; i < 2 * STARTS_AT_ONCE; i++)
        held[i] = hold();
    look_again();
    assert_int_equal(rig.asked + rig.gone, 0);
    assert_int_equal(workers_busy(rig.workers), 2 * STARTS_AT_ONCE);
    workers_give_up(held[5]);
    assert_int_equal(rig.gone, 1);
    assert_int_equal(rig.workers->failing_ms, 0);
    assert_non_null(take()); /* that was no failure of workers */
    assert_int_equal(rig.asked, 1);
    workers_let_start(rig.workers, held[3]);
    assert_int_equal(rig.asked, 2);
    assert_int_equal(rig.last_id, held[3]->id);
}

/* One that runs already would connect at once. */
static void test_a_spare_one_is_not_held(void **state)
{
    rig.conf.server.spare_workers = 1;
    struct worker *first = take();
    assert_int_equal(rig.asked, 2); /* and a spare one */
    const struct worker *w = hold();
    assert_int_not_equal(w->unforked, -1);
    assert_ptr_not_equal(w, first);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_taken_when_the_nursery_has_just_died),
        CASE(test_nothing_is_forked_before_the_beginning),
        CASE(test_waits_for_a_nursery_that_can_be_asked),
        CASE(test_does_not_wait_without_end),
        CASE(test_the_next_one_is_taken_when_the_last_is_gone),
        CASE(test_one_that_was_not_asked_for_waits_for_the_next_nursery),
        CASE(test_closed_while_one_waits),
        CASE(test_clients_take_turns),
        CASE(test_spare_ones_count_for_nobody),
        CASE(test_spare_ones_come_last),
        CASE(test_many_wait),
        CASE(test_what_a_client_holds),
        CASE(test_held),
        CASE(test_a_spare_one_is_not_held),
    };
    log_open(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_set_process("master");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
