/* master/text_readers: who makes room for another text. */
#include "master/text_readers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define READERS 6

static const struct client_key greedy = {{1, 1}}, modest = {{1, 2}};

/* Each one reads a text of ten bytes. */
static struct rig {
    struct text_reader_list list;
    struct text_reader readers[READERS];
    size_t bytes;
    int order[READERS]; /* in which they were evicted */
    int evicted;
} rig;

static int setup(void **state)
{
    rig = (struct rig){.bytes = (size_t)10 * READERS};
    TAILQ_INIT(&rig.list);
    for (int i = 0; i < READERS; i++) /* the modest one began first */
        text_reader_begin(&rig.list, &rig.readers[i], i == 0 || i == 4 ? &modest : &greedy);
    return 0;
}

static void evict(struct text_reader *reader)
{
    rig.order[rig.evicted++] = (int)(reader - rig.readers);
    rig.bytes -= 10;
    text_reader_end(&rig.list, reader);
}

static void make_room(const struct client_key *asker, size_t most)
{
    text_readers_make_room(&rig.list, asker, &rig.bytes, most, evict);
}

static void assert_order(const int *order, int count)
{
    assert_int_equal(rig.evicted, count);
    assert_memory_equal(rig.order, order, (size_t)count * sizeof(order[0]));
}

static void test_enough_room(void **state)
{
    make_room(&greedy, 60);
    assert_int_equal(rig.evicted, 0);
}

/* Whoever asks for one text after the other pushes out its own, not that of a client with a slow
 * line, which reads for longer. */
static void test_own_ones_go_first(void **state)
{
    make_room(&greedy, 30);
    assert_order((const int[]){1, 2, 3}, 3);
}

static void test_then_whoever_reads_for_longest(void **state)
{
    make_room(&modest, 20);
    assert_order((const int[]){0, 4, 1, 2}, 4);
    make_room(&modest, 0);
    assert_order((const int[]){0, 4, 1, 2, 3, 5}, 6);
    assert_true(TAILQ_EMPTY(&rig.list));
}

static void test_comes_and_goes(void **state)
{
    text_reader_end(&rig.list, &rig.readers[1]);
    text_reader_end(&rig.list, &rig.readers[1]);
    text_reader_begin(&rig.list, &rig.readers[2], &greedy); /* its next text */
    make_room(&greedy, 40);
    assert_order((const int[]){3, 5}, 2);
}

#define CASE(test) cmocka_unit_test_setup(test, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_enough_room),
        CASE(test_own_ones_go_first),
        CASE(test_then_whoever_reads_for_longest),
        CASE(test_comes_and_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
