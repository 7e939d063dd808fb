/* worker/flv/rtmp_opening: the first aggregate is passed off as video, by how its header is read.
 */
#include "worker/flv/rtmp_opening.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void look(uint8_t *data, size_t asked)
{
    rtmp_opening_look(data, asked, (ssize_t)asked);
}

/* @return the type that is left. */
static uint8_t read_header(uint8_t type)
{
    static const uint8_t same[4] = {22, 22, 22, 22};
    uint8_t basic = 4;
    uint8_t time[3] = {22, 22, 22};
    uint8_t length[3] = {22, 22, 22};
    uint8_t stream[4] = {22, 22, 22, 22};
    look(&basic, 1);
    look(time, 3);
    look(length, 3);
    look(&type, 1);
    look(stream, 4);
    assert_memory_equal(time, same, 3);
    assert_memory_equal(length, same, 3);
    assert_memory_equal(stream, same, 4);
    return type;
}

static void test_first_aggregate(void **state)
{
    (void)state;
    struct rtmp_opening opening = {.threes = 0};
    assert_int_equal(read_header(22), 22); /* before it begins */
    rtmp_opening_begin(&opening);
    assert_int_equal(read_header(20), 20);
    assert_false(opening.renamed);
    assert_int_equal(read_header(22), 9);
    assert_true(opening.renamed);
    assert_int_equal(read_header(22), 22); /* libavformat takes the others apart itself */
    rtmp_opening_end();
    rtmp_opening_end();
}

/* Bytes in other places, errors and pieces change nothing. */
static void test_other_bytes(void **state)
{
    (void)state;
    struct rtmp_opening opening = {.threes = 0};
    uint8_t byte = 22;
    uint8_t three[3] = {22, 22, 22};
    rtmp_opening_begin(&opening);
    look(&byte, 1);
    look(three, 3);
    look(&byte, 1);
    for (int i = 0; i < 3; i++)
        look(three, 3);
    look(&byte, 1);
    look(three, 3);
    rtmp_opening_look(three, 3, 2);
    rtmp_opening_look(three, 1, 1);
    look(&byte, 1);
    look(three, 3);
    look(three, 3);
    rtmp_opening_look(&byte, 1, -1);
    rtmp_opening_look(&byte, 1, 0);
    assert_int_equal(byte, 22);
    assert_int_equal(three[0], 22);
    assert_false(opening.renamed);
    rtmp_opening_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_aggregate),
        cmocka_unit_test(test_other_bytes),
    };
    return cmocka_run_group_tests_name("rtmp_opening", tests, NULL, NULL);
}
