/* common/bytes.h: what is put is got back, in network order, whatever the top bit is. */
#include "common/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const uint8_t bytes[] = {0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10};

static void test_gets_in_network_order(void **state)
{
    (void)state;
    assert_int_equal(bytes_get16(bytes), 0xfedc);
    assert_int_equal(bytes_get24(bytes), 0xfedcba);
    assert_true(bytes_get32(bytes) == 0xfedcba98u);
    assert_true(bytes_get(bytes, 0) == 0);
    assert_true(bytes_get(bytes, 1) == 0xfe);
    assert_true(bytes_get(bytes, 8) == UINT64_C(0xfedcba9876543210));
}

static void test_puts_in_network_order(void **state)
{
    (void)state;
    uint8_t out[sizeof(bytes) + 1] = {[sizeof(bytes)] = 0x5a};
    uint8_t *p = bytes_put24(bytes_put16(bytes_put8(out, 0xfe), 0xdcba), 0x987654);
    assert_ptr_equal(bytes_put16(p, 0x3210), out + sizeof(bytes));
    assert_memory_equal(out, bytes, sizeof(bytes));
    assert_ptr_equal(bytes_put64(out, UINT64_C(0xfedcba9876543210)), out + sizeof(bytes));
    assert_memory_equal(out, bytes, sizeof(bytes));
    assert_ptr_equal(bytes_put32(out, 0x01020304), out + 4);
    assert_true(bytes_get32(out) == 0x01020304);
    assert_int_equal(out[sizeof(bytes)], 0x5a);
}

static void test_higher_bits_are_left_out(void **state)
{
    (void)state;
    uint8_t out[3];
    bytes_put24(out, 0xaabbccdd);
    assert_true(bytes_get24(out) == 0xbbccdd);
    bytes_put16(out, 0x12345);
    assert_int_equal(bytes_get16(out), 0x2345);
}

static void test_leb128(void **state)
{
    (void)state;
    static const struct {
        const char *data;
        size_t len, read;
        uint32_t value;
    } cases[] = {
        {"\x05", 1, 1, 5},
        {"\xe5\x8e\x26", 3, 3, 624485},
        {"\xff\xff\xff\xff\x0f", 5, 5, UINT32_MAX},
        {"\x80\x80\x80\x80\x10", 5, 0, 0}, /* 2^32 */
        {"\x81\x80\x80\x80\x80\x80\x80\x00", 8, 8, 1},
        {"\x81\x80\x80\x80\x80\x80\x80\x80\x00", 9, 0, 0},
        {"\x81\x80", 2, 0, 0},
        {"", 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t value = 0;
        size_t n = bytes_get_leb128((const uint8_t *)cases[i].data, cases[i].len, &value);
        assert_int_equal(n, cases[i].read);
        if (n > 0)
            assert_true(value == cases[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gets_in_network_order),
        cmocka_unit_test(test_puts_in_network_order),
        cmocka_unit_test(test_higher_bits_are_left_out),
        cmocka_unit_test(test_leb128),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
