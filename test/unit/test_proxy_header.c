/* master/proxy_header: PROXY protocol, versions 1 and 2. */
#include "master/proxy_header.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static struct proxy_header header;

/* Read bytes with a request behind them, after every shorter beginning was incomplete. */
static int read_whole(const char *bytes, size_t len)
{
    char text[PROXY_HEADER_MAX + 64];
    memcpy(text, bytes, len);
    memcpy(text + len, "GET / ", 6);
    for (size_t n = 0; n < len; n++) {
        int rc = proxy_header_read(text, n, &header);
        if (rc != 0)
            return rc;
    }
    return proxy_header_read(text, len + 6, &header);
}

static void assert_client(const char *line, const char *client)
{
    char text[IPC_PEER_MAX];
    assert_int_equal(read_whole(line, strlen(line)), strlen(line));
    assert_int_equal(header.has_client, client != NULL);
    if (client == NULL)
        return;
    address_format(&header.client.any, text);
    assert_string_equal(text, client);
}

static void test_version_1(void **state)
{
    assert_client("PROXY TCP4 192.0.2.7 198.51.100.1 4711 8005\r\n", "192.0.2.7:4711");
    assert_client("PROXY TCP6 2001:db8::7 ::1 4711 8005\r\n", "[2001:db8::7]:4711");
    assert_client("PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", "192.0.2.7:1");
    assert_client("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                  "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
                  "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
    assert_client("PROXY UNKNOWN\r\n", NULL);
    assert_client("PROXY UNKNOWN ffff::1 ffff::1 65535 65535\r\n", NULL);
}

static void test_bad_version_1(void **state)
{
    static const char *const lines[] = {
        "GET / HTTP/1.1\r\n",
        "PROXY\r\n",
        "PROXY \r\n",
        "PROXY TCP4\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 4711\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 4711 8005 1\r\n",
        "PROXY TCP4 192.0.2.7  198.51.100.1 4711 8005\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 4711 8005 \r\n",
        "PROXY TCP4 192.0.2.256 198.51.100.1 4711 8005\r\n",
        "PROXY TCP4 192.0.2.7 nowhere 4711 8005\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 65536 8005\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 -1 8005\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 4711 \r\n",
        "PROXY TCP4 ::1 ::1 4711 8005\r\n",
        "PROXY TCP6 192.0.2.7 198.51.100.1 4711 8005\r\n",
        "PROXY UDP4 192.0.2.7 198.51.100.1 4711 8005\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 4711 8005\n",
        "proxy TCP4 192.0.2.7 198.51.100.1 4711 8005\r\n",
    };
    char longer[160];
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_int_equal(read_whole(lines[i], strlen(lines[i])), -EBADMSG);
    (void)snprintf(longer, sizeof(longer), "PROXY UNKNOWN %0*d\r\n", 107 - 16, 0); /* 107 bytes */
    assert_client(longer, NULL);
    (void)snprintf(longer, sizeof(longer), "PROXY UNKNOWN %0*d\r\n", 108 - 16, 0);
    assert_int_equal(read_whole(longer, strlen(longer)), -EBADMSG);
}

/* Make a header of version 2. @return its length. */
static size_t make_v2(char *out, int command, int protocol, size_t len)
{
    static const char body[] = "\xc0\x00\x02\x07\xc6\x33\x64\x01\x12\x67\x1f\x45"; /* TCP4 */
    memcpy(out, SIGNATURE, 12);
    out[12] = (char)command;
    out[13] = (char)protocol;
    out[14] = (char)(len >> 8);
    out[15] = (char)len;
    memset(out + 16, 0, len);
    memcpy(out + 16, body, len < 12 ? len : 12);
    return 16 + len;
}

static void test_version_2(void **state)
{
    char bytes[PROXY_HEADER_MAX + 16], text[IPC_PEER_MAX];
    size_t len = make_v2(bytes, 0x21, 0x11, 12);
    assert_int_equal(read_whole(bytes, len), len);
    assert_true(header.has_client);
    address_format(&header.client.any, text);
    assert_string_equal(text, "192.0.2.7:4711");

    len = make_v2(bytes, 0x21, 0x11, PROXY_HEADER_MAX - 16); /* TLVs */
    assert_int_equal(read_whole(bytes, len), len);
    assert_true(header.has_client);

    len = make_v2(bytes, 0x21, 0x21, 36);
    assert_int_equal(read_whole(bytes, len), len);
    assert_int_equal(header.client.any.sa_family, AF_INET6);
    assert_memory_equal(&header.client.in6.sin6_addr, bytes + 16, 16);
}

static void test_version_2_without_a_client(void **state)
{
    static const struct {
        int command, protocol;
        size_t len;
    } headers[] = {
        {0x20, 0x00, 0},   /* LOCAL */
        {0x20, 0x11, 12},  /* LOCAL: addresses do not count */
        {0x21, 0x00, 0},   /* unspecified */
        {0x21, 0x12, 12},  /* UDP */
        {0x21, 0x31, 216}, /* a Unix socket */
    };
    char bytes[PROXY_HEADER_MAX];
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        size_t len = make_v2(bytes, headers[i].command, headers[i].protocol, headers[i].len);
        assert_int_equal(read_whole(bytes, len), len);
        assert_false(header.has_client);
    }
}

static void test_bad_version_2(void **state)
{
    char bytes[2 * PROXY_HEADER_MAX];
    assert_int_equal(read_whole(bytes, make_v2(bytes, 0x11, 0x11, 12)), -EBADMSG); /* version 1 */
    assert_int_equal(read_whole(bytes, make_v2(bytes, 0x22, 0x11, 12)), -EBADMSG); /* command 2 */
    assert_int_equal(read_whole(bytes, make_v2(bytes, 0x21, 0x11, 11)), -EBADMSG); /* cut off */
    assert_int_equal(read_whole(bytes, make_v2(bytes, 0x21, 0x21, 35)), -EBADMSG);
    (void)make_v2(bytes, 0x21, 0x11, PROXY_HEADER_MAX - 15);
    assert_int_equal(proxy_header_read(bytes, 16, &header), -EBADMSG); /* too long: told at once */
    (void)make_v2(bytes, 0x21, 0x11, 12);
    bytes[11] = 'X';
    assert_int_equal(read_whole(bytes, 28), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_version_1),     cmocka_unit_test(test_bad_version_1),
        cmocka_unit_test(test_version_2),     cmocka_unit_test(test_version_2_without_a_client),
        cmocka_unit_test(test_bad_version_2),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
